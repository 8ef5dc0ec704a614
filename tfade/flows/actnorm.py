"""Activation normalisation: a scale and a shift for every dimension or channel, set from the first data."""

import gin
import keras
import tensorflow as tf

from tfade.errors import UsageError, check_positive
from tfade.flows.layer import FlowLayer, size_of
from tfade.flows.transformers import LOG_SCALE_BOUND, OUTPUT_GAIN
from tfade.numerics import soft_bounded


@gin.register
class ActNorm(FlowLayer):
    """x = z · exp(s) + t along the last axis: for every dimension of a vector, every channel of an image.

    `initialise` sets s and t once, so that the latents of the data it is given have mean 0 and deviation 1; that it has
    been done is saved with the weights. Until then the layer is the identity. With a context, a linear function of it
    that starts at 0 is added to both.

    Args:
        epsilon: added to the deviation, so that a constant channel is not blown up. A channel of deviation d has one of
            d / (d + epsilon) after the initialisation.

    Raises:
        UsageError: an epsilon that is not positive.

    Reference: Kingma and Dhariwal 2018, section 3.1 (there y = s ⊙ (x + b) from data to latents).
    """

    def __init__(self, epsilon: float = 1e-3, **kwargs):
        super().__init__(**kwargs)
        check_positive("ActNorm.epsilon", epsilon)
        self.epsilon = epsilon

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        channels = self.event_shape[-1]
        self._positions = size_of(self.event_shape[:-1])
        self.log_scale = self.add_weight(name="log_scale", shape=(channels,), initializer="zeros")
        self.shift = self.add_weight(name="shift", shape=(channels,), initializer="zeros")
        self.initialised = self.add_weight(name="initialised", shape=(), initializer="zeros", trainable=False)
        if self.context_size:
            self.conditioner = keras.layers.Dense(2 * channels, kernel_initializer="zeros", use_bias=False)
            self.conditioner.build((None, self.context_size))

    def forward_and_log_det(self, z, context):
        log_scale, shift = self._parameters(context)
        return z * tf.exp(log_scale) + shift, self._log_det(log_scale, z)

    def inverse_and_log_det(self, x, context):
        log_scale, shift = self._parameters(context)
        return (x - shift) * tf.exp(-log_scale), -self._log_det(log_scale, x)

    def initialise(self, x, context=None):
        """Sets scale and shift from the whole batch, once, and returns its latents; later calls change nothing.

        Args:
            x: data [batch, *event_shape]: all of the global batch, so that replicas agree. Call it outside of
                `strategy.run`.
            context: [batch, context_size] or None; ignored until the context's part has been trained.
        """
        x = tf.convert_to_tensor(x, self.variable_dtype)
        if len(x.shape) != len(self.event_shape) + 1 or len(x) < 2:
            raise UsageError(
                f"ActNorm cannot be initialised from data of shape {tuple(x.shape)}; give a batch of 2 or more, "
                f"[batch, {', '.join(map(str, self.event_shape))}]"
            )
        mean, variance = tf.nn.moments(x, list(range(len(x.shape) - 1)))
        done = self.initialised > 0
        log_scale = tf.math.log(tf.sqrt(variance) + tf.constant(self.epsilon, x.dtype))
        self.log_scale.assign(tf.where(done, self.log_scale, log_scale))
        self.shift.assign(tf.where(done, self.shift, mean))
        self.initialised.assign(tf.ones_like(self.initialised))
        return super().initialise(x, context)

    def _parameters(self, context):
        log_scale, shift = tf.convert_to_tensor(self.log_scale), tf.convert_to_tensor(self.shift)
        if context is None:
            return log_scale, shift
        shape = (-1, *(1 for _ in self.event_shape[:-1]), self.event_shape[-1])
        moved = tf.cast(self.conditioner(context), log_scale.dtype)
        more_shift, more_scale = (tf.reshape(OUTPUT_GAIN * part, shape) for part in tf.split(moved, 2, -1))
        return log_scale + soft_bounded(more_scale, LOG_SCALE_BOUND), shift + more_shift

    def _log_det(self, log_scale, value):
        """log |det dx/dz| [batch]."""
        if log_scale.shape.rank > 1:  # of the context, [batch, 1 …, C]
            return self._positions * tf.reduce_sum(log_scale, list(range(1, len(log_scale.shape))))
        return tf.fill(tf.shape(value)[:1], self._positions * tf.reduce_sum(log_scale))
