"""A variational autoencoder of vectors as a density of them: the second stage of the Two-Stage VAE."""

import math

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.gaussian import diagonal_normal
from tfade.distributions.layer import LayerDistribution, StandardisedLayer
from tfade.distributions.scales import SCALE_RANGE, bounded_log_scale, checked_range
from tfade.errors import UsageError, check_sizes
from tfade.networks.mlp import SkipMLP
from tfade.seeds import Seeds, per_example_normal_noise

tfd = tfp.distributions

DRAWS = 16  # of u, in `log_prob`


@gin.register
class VAEDensity(StandardisedLayer):
    """p(x) = ∫ N(x; g(u), γ² I) N(u; 0, I) du over vectors, u of the dimension of x; trained by its bound.

        log p(x) ≥ E_q(u|x)[log N(x; g(u), γ² I)] - KL(q(u | x) ‖ N(0, I))

    with a learned γ, in units of the deviation of the data (see `StandardisedLayer`). The density has no closed form:
    `log_prob` is the importance-weighted bound of 16 draws of u, whose noise is a function of x. T multiplies u
    and γ, which is not the tempered density.

    Args:
        width, depth: of the two networks, whose last layer sees their input, too.
        scale_range: smallest and largest γ.

    Reference: Dai and Wipf 2019, section 4 and appendix; γ is learned in both stages there.
    """

    takes_temperature_zero = True

    likelihood = "lower_bound"

    def __init__(self, width: int = 1024, depth: int = 3, scale_range: tuple[float, float] = SCALE_RANGE, **kwargs):
        super().__init__(**kwargs)
        check_sizes("VAEDensity", width=width, depth=depth)
        self.width, self.depth, self.scale_range = width, depth, checked_range(scale_range)

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        size = self._require_vectors()
        if self.context_size:
            raise UsageError("VAEDensity takes no context; use GaussianMixture, or a flow, for a conditional density")
        self.encoder = SkipMLP(size, 2 * size, self.width, self.depth)
        self.decoder = SkipMLP(size, size, self.width, self.depth)
        self.log_gamma = self.add_weight(name="log_gamma", shape=(), initializer="zeros")

    def gamma(self) -> tf.Tensor:
        """γ as it is now."""
        return tf.exp(bounded_log_scale(tf.convert_to_tensor(self.log_gamma), self.scale_range))

    def negative_log_likelihood(self, x, seeds: Seeds):
        return -self.log_weights(x, seeds.normal("density", (tf.shape(x)[0], *self.event_shape)), analytic=True)

    def log_weights(self, x, noise, analytic: bool = False, temperature=1.0) -> tf.Tensor:
        """log p(x, u) - log q(u | x) in nats [batch] of x [batch, D], u made of standard normal noise [batch, D].

        Args:
            x, noise: see above.
            temperature: factor on the standard deviations of p(u) and p(x | u).
            analytic: whether log p(u) - log q(u | x) is replaced by its expectation, -KL(q ‖ p): the bound.
        """
        standard = self.standardised(x)
        posterior = diagonal_normal(tf.cast(self.encoder(standard), self.variable_dtype))
        u = posterior.mean() + posterior.stddev() * noise
        prior = tfd.Normal(tf.zeros_like(u), temperature * tf.ones_like(u))
        likelihood = tfd.Independent(tfd.Normal(self._mean(u), temperature * self.gamma()), 1).log_prob(standard)
        if analytic:
            latents = -tf.reduce_sum(tfd.kl_divergence(posterior.distribution, prior), -1)
        else:
            latents = tf.reduce_sum(prior.log_prob(u), -1) - posterior.log_prob(u)
        return likelihood + latents - tf.reduce_sum(tf.math.log(self.scale))

    def standardised(self, x) -> tf.Tensor:
        """x [batch, D] with the mean and variance that the density was initialised for."""
        return (tf.cast(x, self.variable_dtype) - self.shift) / self.scale

    def draw(self, noise, temperature) -> tf.Tensor:
        """Vectors [n, D] from standard normal noise [n, 2, D]."""
        u, error = tf.unstack(temperature * noise, axis=1)
        return self.shift + self.scale * (self._mean(u) + self.gamma() * error)

    def _mean(self, u):
        return tf.cast(self.decoder(u), self.variable_dtype)

    def _distribution(self, context, temperature):
        return VAEDistribution(self, temperature)


class VAEDistribution(LayerDistribution):
    """A `VAEDensity` as a distribution."""

    def _log_prob(self, x):
        size = self._layer.event_shape[0]
        flat = tf.reshape(x, (-1, size))
        # q(u | x) could be fitted to noise that is the same for all vectors, and this would be no bound. Vectors are
        # known up to rounding, so that it is a function of their place on a coarse grid.
        place = tf.round(64.0 * tf.cast(self._layer.standardised(flat), tf.float32)) / 64.0
        noise = per_example_normal_noise(place, 0, (DRAWS, size))
        noise = tf.reshape(tf.cast(noise, self.dtype), (-1, size))
        weights = self._layer.log_weights(tf.repeat(flat, DRAWS, 0), noise, temperature=self._temperature)
        bound = tf.reduce_logsumexp(tf.reshape(weights, (-1, DRAWS)), -1) - math.log(DRAWS)
        return tf.reshape(bound, tf.shape(x)[:-1])

    def _sample_n(self, n, seed=None):
        shape = (n, 2, self._layer.event_shape[0])
        noise = tf.random.stateless_normal(shape, tfp.random.sanitize_seed(seed), dtype=self.dtype)
        return self._layer.draw(noise, self._temperature)
