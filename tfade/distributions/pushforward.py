"""Densities that can be drawn from and not evaluated: noise through a network."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.layer import DistributionLayer, LayerDistribution
from tfade.errors import UsageError, check_class, check_whole
from tfade.networks.mlp import LatentMapping


@gin.register
class ImplicitDensity(DistributionLayer):
    """z = T(e), e ~ N(0, T² I): the distribution of a network's outputs over vectors. It has no density to evaluate.

    Args:
        noise_size: dimension of e, 1 or more.
        mapping: class of the network, called as `mapping(inputs, outputs)`.

    Reference: Hoshen et al. 2019, section 3.2.
    """

    takes_temperature_zero = True

    def __init__(self, noise_size: int = 32, mapping=LatentMapping, **kwargs):
        super().__init__(**kwargs)
        check_whole("noise_size", noise_size)
        check_class("mapping", mapping)
        self.noise_size, self._make_mapping = noise_size, mapping

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        size = self._require_vectors()
        if self.context_size:
            raise UsageError("ImplicitDensity takes no context")
        self.mapping = self._make_mapping(self.noise_size, size)

    def push(self, noise, training: bool = False) -> tf.Tensor:
        """T(e) of noise [n, noise_size]: [n, D] in the precision of the variables."""
        return tf.cast(self.mapping(noise, training=training), self.variable_dtype)

    def negative_log_likelihood(self, x, seeds):
        raise UsageError("ImplicitDensity has no likelihood to train by; GLANN trains it by matching its samples")

    def _distribution(self, context, temperature):
        return ImplicitDistribution(self, temperature)


class ImplicitDistribution(LayerDistribution):
    """An `ImplicitDensity` as a distribution; `log_prob` raises NotImplementedError."""

    def _sample_n(self, n, seed=None):
        shape = (n, self._layer.noise_size)
        noise = tf.random.stateless_normal(shape, tfp.random.sanitize_seed(seed), dtype=self.dtype)
        return self._layer.push(self._temperature * noise)
