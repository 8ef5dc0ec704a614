"""Densities that can be drawn from and not evaluated: noise through a network."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.layer import DistributionLayer
from tfade.errors import UsageError, check_class, check_whole
from tfade.networks.mlp import LatentMapping

tfd = tfp.distributions


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


class ImplicitDistribution(tfd.Distribution):
    """An `ImplicitDensity` as a distribution that is thrown away after use; `log_prob` raises NotImplementedError."""

    def __init__(self, layer: ImplicitDensity, temperature: tf.Tensor):
        parameters = dict(locals())
        self._layer, self._temperature = layer, temperature
        super().__init__(
            dtype=tf.as_dtype(layer.variable_dtype),
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=layer.name,
        )

    def _sample_n(self, n, seed=None):
        shape = (n, self._layer.noise_size)
        noise = tf.random.stateless_normal(shape, tfp.random.sanitize_seed(seed), dtype=self.dtype)
        return self._layer.push(self._temperature * noise)

    def _event_shape(self):
        return tf.TensorShape(self._layer.event_shape)

    def _event_shape_tensor(self):
        return tf.constant(self._layer.event_shape, tf.int32)

    def _batch_shape(self):
        return tf.TensorShape([])

    def _batch_shape_tensor(self):
        return tf.zeros(0, tf.int32)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}
