"""Another density of the codes of a model that is trained: an ex-post density."""

from collections.abc import Callable

import gin
import tensorflow as tf

from tfade.contract import CODES, QUESTIONS, forwarded
from tfade.distributions.layer import build_latent_distribution
from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError, check_choice, check_class
from tfade.models.base import GenerativeModel
from tfade.models.players import Player
from tfade.networks.topdown_decoder import TopDownDecoder
from tfade.seeds import Seeds, per_example_normal_noise
from tfade.spec import Batch


@gin.register
@forwarded("autoencoder", *QUESTIONS)
class LatentDensity(GenerativeModel):
    """A trained model with codes, and a density p(z) that takes its prior's place and is all that is trained.

        prior  -log p(sg[z]),  z = E(x), the centre of q(z | x), or a draw of it

    It wraps the model and delegates every question to it: samples decode draws of the density, `encode`, `decode` and
    `reconstruct` stay as they were, and a bound stays defined, with the density as its prior (but for AVB without
    adaptive contrast, whose discriminator knows the prior it was trained with). A stage without steps
    takes over the model's weights before the density is fitted; see `tfade.training.recorded_model`.

    Args:
        spec: what the data look like.
        autoencoder: makes the model of a specification, without its weights.
        distribution: class of the density, made without arguments.
        codes: "centres" of the posteriors, or "samples", drawn afresh in every step.

    Raises:
        UsageError: a model without codes or a decoder, or one with latents inside its decoder; unknown codes.

    Reference: Ghosh et al. 2020, section 4; Rosca et al. 2018, appendix E.3.
    """

    def __init__(self, spec, autoencoder: Callable | None = None, distribution=GaussianMixture, codes: str = "centres"):
        super().__init__(spec)
        check_class("autoencoder", autoencoder)
        check_choice("codes", codes, CODES)
        wrapped = autoencoder(self.spec)
        name = type(wrapped).__name__
        for question, missing in (("codes", "an encoder"), ("decode", "a decoder")):
            if not wrapped.answers(question):
                raise UsageError(f"{name} has no codes that a density could be fitted to: it lacks {missing}")
        if any(isinstance(network, TopDownDecoder) for network in wrapped.networks.values()):
            raise UsageError(
                f"the decoder of this {name} has latents of its own; its prior is not a density of one vector"
            )
        # Before this model takes the networks over, so that it never sees the prior that is replaced.
        self.density = wrapped.add_network(
            "prior", lambda: build_latent_distribution("distribution", distribution, wrapped.latent_size)
        )
        self.autoencoder, self.codes_used = self.wrap(wrapped), codes
        if not wrapped.bound_takes_any_prior:
            wrapped.likelihood = None
        self.likelihood, self.latent_size, self.pixel_levels = (
            wrapped.likelihood,
            wrapped.latent_size,
            wrapped.pixel_levels,
        )
        self.bound_rises_with_draws = wrapped.bound_rises_with_draws
        self.gaussian_codes, self.conditional = wrapped.gaussian_codes, wrapped.conditional
        self.fields = ("images", "labels") if wrapped.conditional else ("images",)
        self.code_protocol, self.fit_protocol = wrapped.code_protocol, wrapped.fit_protocol

    @property
    def externally_configured(self) -> list:
        """The wrapped model and its networks, which the configuration of its own run describes."""
        return [self.autoencoder, *(network for name, network in self.networks.items() if name != "prior")]

    def players(self):
        return (Player("prior", self.density),) if self.density.trainable_variables else ()

    def losses(self, batch: Batch, seeds: Seeds):
        noise = seeds.normal("codes", (batch.size, self.code_noise_size)) if self.codes_used == "samples" else None
        codes = tf.stop_gradient(self._codes(batch, noise))
        return {"prior": {"nll": self.density.negative_log_likelihood(codes, seeds)}}

    def _codes(self, batch: Batch, noise=None) -> tf.Tensor:
        condition = self.conditions(batch.labels)
        if noise is None:
            return self.autoencoder.codes(batch.images, **condition)
        return self.autoencoder.sampled_codes(batch.images, noise, **condition)

    def initialise(self, batch: Batch):
        if not self.density.is_fitted:
            self.density.initialise(self._held_out_codes(batch))

    def _held_out_codes(self, batch: Batch) -> tf.Tensor:
        """Codes outside of training: draws are a function of the example."""
        if self.codes_used == "centres":
            return self._codes(batch)
        return self._codes(batch, per_example_normal_noise(self.unit(batch.images), 3, (self.code_noise_size,)))

    def validate(self, batch: Batch):
        return {"code_nll": -self.prior().log_prob(self._held_out_codes(batch))}

    @property
    def code_noise_size(self):
        return self.autoencoder.code_noise_size

    def sampled_codes(self, x, noise, labels=None):
        return self.autoencoder.sampled_codes(x, noise, labels)

    @property
    def has_class_prior(self):
        return self.autoencoder.has_class_prior

    def draw_prior(self, n, temperature=1.0, seed=None, labels=None):
        return self.autoencoder.draw_prior(n, temperature, seed, labels)
