"""Flows as generative models: exact likelihood, exact inference, samples in one pass."""

import gin
import keras
import tensorflow as tf

from tfade import numerics
from tfade.contract import as_spec
from tfade.distributions.flow import likelihood_over
from tfade.distributions.standard import StandardNormal
from tfade.errors import UsageError, check_whole
from tfade.flows.layer import FlowLayer, size_of
from tfade.flows.noise import FlowNoise, PerExampleNoise, TrainingNoise
from tfade.flows.preprocessing import Flatten
from tfade.flows.stack import Stack
from tfade.models.latent import LatentVariableModel, deterministic
from tfade.models.players import Player
from tfade.questions import needs
from tfade.seeds import Seeds, example_keys, per_example_noise
from tfade.spec import Batch


@gin.register
class FlowModel(LatentVariableModel):
    """A flow f between data and latents z with a simple prior, trained by maximum likelihood.

        log p(x) = log p(f(y)) + log |det ∂f/∂y|,   y = (255 x + u) / 256,   u ~ U[0, 1)

    Likelihoods are of the dequantised image y on [0, 1]^D, in nats; bits per dimension are -log₂ p / D + 8. Training
    draws new noise u at every step. For `log_prob` the noise is a function of the image, so that neither its place in a
    batch nor its batch mates matter, and for `encode` it is ½. Vectors have no noise, y = x.

    Where log |det| is an estimate (`ResidualBlock`), so is the likelihood, "unbiased": `log_prob` estimates it with
    noise that is a function of the image and the draw, and there is no `log_density`.

    A temperature T multiplies the standard deviation of the prior (Glow's T; p^(1/τ) has T = √τ, so that T = 0.7 is
    τ = 0.49). With a normal prior and a flow of constant volume (NICE) this samples the tempered density
    p_τ ∝ p^(1/τ), in the space behind the preprocessing: the volume of `Logit` is not constant. For affine and other
    flows it is an approximation.

    Args:
        spec: what the data look like, or the bare shape: (H, W, C), or (D,) for vectors.
        flow: class of f, made without arguments; preprocessing (`Logit`, `Rescale`) is part of it.
        prior: class of the density of z over (D,), made without arguments.

    Raises:
        UsageError: no flow, or an object where a class is wanted.

    Reference: Dinh et al. 2015 and 2017; Kingma and Dhariwal 2018.
    """

    bound_rises_with_draws = False  # that of a prior which is a bound

    def __init__(self, spec, flow=None, prior=StandardNormal):
        spec = as_spec(spec)
        super().__init__(spec, size_of(spec.shape), prior)
        if not callable(flow) or isinstance(flow, keras.layers.Layer):
            raise UsageError(
                f"flow={flow!r} of {type(self).__name__} is not a class; give one such as functools.partial(Stack, "
                "parts), or @Stack in gin, without parentheses"
            )

        def make_flow() -> FlowLayer:
            made = Stack([flow(), Flatten()])  # latents are vectors, whatever the flow ends in
            made.build(self.image_shape)
            return made

        self.flow = self.add_network("flow", make_flow)

    @property
    def likelihood(self):
        return likelihood_over(self.flow, self.networks["prior"])

    @property
    def gains_by_xla(self):
        variables = [variable for network in self.networks.values() for variable in network.trainable_variables]
        return all(len(variable.shape) < 4 for variable in variables)  # no convolution

    def players(self):
        return (Player("flow", self.flow, self.networks["prior"]),)

    def losses(self, batch: Batch, seeds: Seeds):
        return {"flow": {"nll": self._nll(self.unit(batch.images, self.uniform_noise(seeds)), seeds)}}

    def initialise(self, batch: Batch):
        latents, prior = self.flow.initialise(self.unit(batch.images, per_example_noise)), self.networks["prior"]
        if not prior.is_fitted:
            prior.initialise(latents)

    def validate(self, batch: Batch):
        log_prob = self.log_prob(batch.images)
        result = {"nll": -log_prob}
        if self.spec.is_image:
            result["bits_per_dim"] = numerics.bits_per_dim(log_prob, self.latent_size)
        return result

    def _nll(self, y, seeds: Seeds) -> tf.Tensor:
        """-log p(y) in nats [batch] of the networks that are trained."""
        return -_log_density(y, self.flow, self.networks["prior"], TrainingNoise(seeds))

    @needs(likelihood="exact")
    def log_density(self, y):
        return self._log_density(tf.cast(y, tf.float32))

    def log_prob(self, x, num_samples=1, labels=None):
        """Nats [batch] of the dequantised image; the mean over `num_samples` draws of its noise."""
        check_whole("num_samples", num_samples)
        self.checked_labels(labels)
        draws = num_samples if self.spec.is_image or not self.flow.is_exact else 1
        values = [self._log_density(self.unit(x, lambda y, k=k: per_example_noise(y, k)), k) for k in range(draws)]
        return tf.add_n(values) / draws

    def _log_density(self, y, draw: int = 0) -> tf.Tensor:
        """log p(y) in nats [batch] of the networks that serve the contract."""
        noise = PerExampleNoise(example_keys(y), draw)
        return _log_density(y, self.network("flow"), self.network("prior"), noise)

    def encode(self, x, labels=None):
        self.checked_labels(labels)
        return deterministic(self.network("flow").bijector().inverse(self.unit(x, 0.5)))

    def decode(self, z, labels=None):
        """Images in [0, 1] (or vectors) from latents; the gradient is the flow's, also where an image is clipped."""
        self.checked_labels(labels)
        y = self.network("flow").bijector().forward(tf.cast(z, tf.float32))
        if not self.spec.is_image:
            return y
        return numerics.straight_through(lambda y: tf.clip_by_value(y, 0.0, 1.0), y)


def _log_density(y, flow: FlowLayer, prior, noise: FlowNoise) -> tf.Tensor:
    z, log_det = flow.bijector(noise=noise).inverse_and_log_det(y)
    return prior.distribution().log_prob(z) + log_det
