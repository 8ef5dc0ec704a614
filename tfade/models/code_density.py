"""Autoencoders and a density of their codes: the part that generative latent flows, RAE and WAE share."""

import tensorflow as tf

from tfade.distributions.standard import StandardNormal
from tfade.errors import check_choice, check_finite
from tfade.models.latent import Autoencoder
from tfade.models.perceptual import Perceptual
from tfade.models.players import Player, Weighted
from tfade.objectives.reconstruction import REDUCTIONS, squared_error
from tfade.questions import unanswered
from tfade.seeds import Seeds
from tfade.spec import Batch


class CodeDensityAutoencoder(Autoencoder):
    """An autoencoder with deterministic codes z = E(x), and a density p(z) of them, which is its prior.

        autoencoder  λ_R ‖x - G(z)‖² + what a subclass adds
        prior        -log p(sg[z])   if p has variables; sg stops the gradient

    Both move in one step, or one after the other in stages: a stage of the prior alone takes its codes in inference
    mode, from an encoder that stays as it is. A density with data-dependent initialisation sees the first batch's
    codes when the first stage begins that moves it.

    Args:
        spec: what the data look like, or the bare shape of an example.
        latent_size: dimension of the code.
        encoder, decoder: network classes, called as `encoder(image_shape, outputs)` and `decoder(image_shape,
            latent_size)`; the decoder's images are in [-1, 1].
        prior: class of p(z), a `DistributionLayer`.
        reconstruction_weight: λ_R ≥ 0.
        reconstruction: ‖·‖² as the "mean" over the dimensions of an example, or their "sum". Images are in [0, 1].
        perceptual: class of a `FeatureNetwork`, whose distance of features is added to the reconstruction with the
            weight `perceptual_weight`; None for none.
        perceptual_weight: λ_P ≥ 0.

    Raises:
        UsageError: a negative weight, an unknown reduction, a latent size below 1, or a perceptual network that does
            not take such images.
    """

    def __init__(
        self,
        spec,
        latent_size: int,
        encoder,
        decoder,
        prior=StandardNormal,
        reconstruction_weight: float = 1.0,
        reconstruction: str = "mean",
        perceptual=None,
        perceptual_weight: float = 1.0,
    ):
        check_finite("reconstruction_weight", reconstruction_weight)
        check_choice("reconstruction", reconstruction, list(REDUCTIONS))
        super().__init__(spec, latent_size, encoder, decoder, prior)
        self.reconstruction_weight, self.reconstruction = reconstruction_weight, reconstruction
        self.perceptual = None if perceptual is None else Perceptual(self, perceptual, perceptual_weight)

    def players(self):
        prior = self.networks["prior"]
        fitted = (Player("prior", prior),) if prior.trainable_variables else ()
        return (Player("autoencoder", self.encoder, self.decoder), *fitted)

    def losses(self, batch: Batch, seeds: Seeds):
        x = self.unit(batch.images)
        moving = self.moves("autoencoder")
        codes = self.encoder(self.network_range(x), training=moving)
        losses = {"autoencoder": self.autoencoder_terms(x, codes, seeds)} if moving else {}
        if self.networks["prior"].trainable_variables and self.moves("prior"):
            losses["prior"] = {"nll": self.code_nll(tf.stop_gradient(codes), seeds)}
        return losses

    def autoencoder_terms(self, x, codes, seeds: Seeds) -> dict[str, Weighted]:
        """The autoencoder's terms for images x in [0, 1] (or vectors) and their codes, in training."""
        decoded = self.decoded(codes)
        error = squared_error(x, decoded, reduction=self.reconstruction)
        terms = {"reconstruction": Weighted(self.reconstruction_weight, error)}
        return terms if self.perceptual is None else terms | self.perceptual.terms(x, decoded)

    def code_nll(self, codes, seeds: Seeds) -> tf.Tensor:
        """-log p(z) in nats [batch] of codes, in training."""
        return self.networks["prior"].negative_log_likelihood(codes, seeds)

    def initialise(self, batch: Batch):
        if self.perceptual is not None and not int(tf.convert_to_tensor(self.step.value)):
            self.perceptual.load()
        prior = self.networks["prior"]
        if self.moves("prior") and not prior.is_fitted:
            prior.initialise(self.encoder(self.network_input(batch.images), training=False))

    def validate(self, batch: Batch):
        codes = self.codes(batch.images)
        return {
            "reconstruction": squared_error(self.unit(batch.images), self.decode(codes)),
            "code_nll": -self.prior().log_prob(codes),
        }

    @unanswered("a density of deterministic codes defines none over images")
    def log_prob(self, x, num_samples=1, labels=None): ...
