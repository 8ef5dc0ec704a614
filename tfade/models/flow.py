"""Flows as generative models: exact likelihood, exact inference, samples in one pass."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.distributions.standard import StandardNormal
from tfade.errors import UsageError
from tfade.flows.layer import FlowLayer, size_of
from tfade.flows.preprocessing import Flatten
from tfade.flows.stack import Stack
from tfade.models.base import GenerativeModel
from tfade.models.players import Player
from tfade.seeds import Seeds, as_seed, per_example_noise


@gin.register
class FlowModel(GenerativeModel):
    """A flow f between data and codes z with a simple prior, trained by maximum likelihood.

        log p(x) = log p(f(y)) + log |det ∂f/∂y|,   y = (255 x + u) / 256,   u ~ U[0, 1)

    Likelihoods are of the dequantised image y on [0, 1]^D, in nats; bits per dimension are -log₂ p / D + 8. Training
    draws new noise u at every step. For `log_prob` the noise is a function of the image, so that neither its place in a
    batch nor its batch mates matter, and for `encode` it is ½. Vectors have no noise, y = x.

    A temperature T multiplies the standard deviation of the prior (Glow's T; p^(1/τ) has T = √τ). For a flow of
    constant volume this samples the tempered density, for others it is an approximation.

    Args:
        image_shape: (H, W, C), or (D,) for vectors.
        flow: class of f, made without arguments; preprocessing (`Logit`, `Rescale`) is part of it.
        prior: class of the codes' density over (D,), made without arguments.

    Raises:
        UsageError: no flow, or an object where a class is wanted.

    Reference: Dinh et al. 2015 and 2017; Kingma and Dhariwal 2018.
    """

    likelihood = "exact"

    def __init__(self, image_shape, flow=None, prior=StandardNormal):
        super().__init__(image_shape)
        if not callable(flow) or not callable(prior):
            raise UsageError(
                f"{type(self).__name__} has flow={flow!r} and prior={prior!r}; give classes that make them, such as "
                "functools.partial(Stack, parts), or @Stack in gin"
            )

        def make_flow() -> FlowLayer:
            made = Stack([flow(), Flatten()])  # codes are vectors, whatever the flow ends in
            made.build(self.image_shape)
            return made

        def make_prior():
            made = prior()
            made.build((self.latent_size,))
            return made

        self.latent_size = size_of(self.image_shape)
        self.flow = self.add_network("flow", make_flow)
        self.prior_density = self.add_network("prior", make_prior)

    def players(self):
        return (Player("flow", self.flow, self.prior_density),)

    def losses(self, x, seeds: Seeds):
        return {"flow": {"nll": -self._log_density(self._dequantised(x, seeds), self.flow, self.prior_density)}}

    def initialise(self, x):
        self.prior_density.initialise(self.flow.initialise(self._continuous(x, per_example_noise)))

    def validate(self, x):
        log_prob = self.log_prob(x)
        result = {"nll": -log_prob}
        if self._of_images:
            result["bits_per_dim"] = numerics.bits_per_dim(log_prob, self.latent_size)
        return result

    @property
    def _of_images(self) -> bool:
        return len(self.image_shape) == 3

    def _dequantised(self, x, seeds: Seeds) -> tf.Tensor:
        """y for training."""
        return self._continuous(x, lambda unit: seeds.uniform("dequantisation", (tf.shape(unit)[0], *self.image_shape)))

    def _continuous(self, x, noise) -> tf.Tensor:
        """y from images and `noise(images in [0, 1])`; vectors as they are."""
        if not self._of_images:
            return tf.cast(x, tf.float32)
        unit = numerics.checked_unit(x, self.image_shape)
        return numerics.dequantised(unit, noise(unit))

    def _generated(self, z, flow: FlowLayer) -> tf.Tensor:
        """y from codes, as the flow has it: a little outside [0, 1] where a logit keeps its distance from the ends."""
        return flow.bijector().forward(z)

    @staticmethod
    def _log_density(y, flow: FlowLayer, prior) -> tf.Tensor:
        z, log_det = flow.bijector().inverse_and_log_det(y)
        return prior.distribution().log_prob(z) + log_det

    def log_density(self, y) -> tf.Tensor:
        """Nats [batch] of the density at continuous points y, images in [0, 1] or vectors: no noise is added."""
        return self._log_density(tf.cast(y, tf.float32), self.network("flow"), self.network("prior"))

    def log_prob(self, x, num_samples=1):
        """Nats [batch] of the dequantised image; the mean over `num_samples` draws of its noise."""
        if num_samples < 1:
            raise UsageError(f"num_samples={num_samples!r} is below 1; it is the number of draws of the noise")
        draws = num_samples if self._of_images else 1
        values = [
            self.log_density(self._continuous(x, lambda unit, k=k: per_example_noise(unit, k))) for k in range(draws)
        ]
        return tf.add_n(values) / draws

    def prior(self, temperature=1.0):
        """The codes' density, its standard deviation multiplied by `temperature`."""
        return self.network("prior").distribution(temperature=temperature)

    def sample(self, n, temperature=1.0, seed=None):
        return self.decode(self.prior(temperature).sample(n, seed=as_seed(seed)))

    def encode(self, x):
        z = self.network("flow").bijector().inverse(self._continuous(x, lambda unit: 0.5))
        return tfp.distributions.Independent(tfp.distributions.Deterministic(z), 1)

    def decode(self, z):
        """Images in [0, 1] (or vectors) from codes; the gradient is the flow's, also where an image is clipped."""
        y = self._generated(tf.cast(z, tf.float32), self.network("flow"))
        if not self._of_images:
            return y
        return numerics.straight_through(lambda y: tf.clip_by_value(y, 0.0, 1.0), y)

    def reconstruct(self, x):
        return self.decode(self.codes(x))
