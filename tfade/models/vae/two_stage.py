"""The Two-Stage VAE (Dai and Wipf 2019): a VAE, and a density of the codes that its posterior gives."""

import functools

import gin
import tensorflow as tf

from tfade.distributions.layer import DistributionLayer
from tfade.distributions.standard import StandardNormal
from tfade.distributions.vae_density import VAEDensity
from tfade.errors import UsageError
from tfade.models.defaults import with_defaults
from tfade.models.players import Player
from tfade.models.vae.model import VAE
from tfade.networks.infogan import InfoGANDecoder, InfoGANEncoder
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class TwoStageVAE(VAE):
    """A VAE trained with N(0, I) over its codes, and then a density of codes that takes the place of N(0, I).

        autoencoder  1/D (-E_q[log p(x | z)] + KL(q(z | x) ‖ N(0, I)))
        prior        -log p(z),  z ~ q(z | x) drawn afresh in every step, without a gradient to the encoder

    It is meant for two stages (`Stage.players = ('autoencoder',)`, then `('prior',)`, or `Stage.fit` for a mixture);
    without stages both move in one step. In the paper the density is another VAE, of vectors of the same size, and σ is
    learned in both.

    `log_prob` is the bound with the density as the prior. While the autoencoder alone moves, N(0, I) serves in the
    density's place, which is not fitted by then.

    Args:
        prior: class of the density of codes; `VAEDensity` in the paper.
        spec, latent_size, encoder, decoder, posterior, pixels, flow, context_size, kl_weight, warm_up, free_bits,
            importance_samples: see `VAE`; they are of the first stage.

    Raises:
        UsageError: as `VAE`, a prior without variables, or a decoder with latents of its own.

    Reference: Dai and Wipf 2019, section 4.
    """

    takes_hierarchy = False  # the density is one of a single vector

    __init__ = with_defaults(
        VAE.__init__, latent_size=20, encoder=InfoGANEncoder, decoder=InfoGANDecoder, prior=VAEDensity
    )

    def _build_prior(self, prior):
        """The second stage's density of codes, which has to have variables."""
        density = super()._build_prior(prior)
        if not density.trainable_variables:
            raise UsageError(
                f"TwoStageVAE.prior={prior!r} has no variables, so there is nothing to fit in the second stage; give "
                "VAEDensity, GaussianMixture or a flow, or use VAE"
            )
        return density

    @functools.cached_property
    def _standard(self) -> StandardNormal:
        """N(0, I), the prior of the first stage."""
        standard = StandardNormal()
        standard.build((self.latent_size,))
        return standard

    def players(self):
        first = [network for name, network in self.networks.items() if name != "prior"]
        return Player("autoencoder", *first), Player("prior", self.networks["prior"])

    def losses(self, batch: Batch, seeds: Seeds):
        losses = {}
        if self.moves("autoencoder"):
            losses["autoencoder"] = self.bound_losses(self.bound_terms(batch, seeds, self._first_network))
        if self.moves("prior"):
            codes = tf.stop_gradient(self._posterior_codes(batch, seeds))
            losses["prior"] = {"nll": self.networks["prior"].negative_log_likelihood(codes, seeds)}
        return losses

    def _posterior_codes(self, batch: Batch, seeds: Seeds) -> tf.Tensor:
        """Codes drawn from the posterior that is trained, in inference mode."""
        network = self.networks.__getitem__
        target = self.observation_model.target(self.unit(batch.images), self.uniform_noise(seeds))
        noise = seeds.normal("second stage", (batch.size, self.code_noise_size))
        return self.latents.sampled(self.elbo.context(target, network), noise, network)

    def _first_network(self, name: str) -> DistributionLayer:
        """The networks of the first stage: N(0, I) in the density's place."""
        return self._standard if name == "prior" else self.networks[name]

    def network(self, name: str):
        """The network that serves: N(0, I) in the density's place until the stage that fits the density."""
        waits = name == "prior" and self.moves("autoencoder") and not self.moves("prior")
        return self._standard if waits else super().network(name)
