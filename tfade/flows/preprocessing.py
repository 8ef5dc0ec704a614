"""Fixed flows between data and what a trained flow sees; their log-determinants make likelihoods comparable."""

import math

import gin
import tensorflow as tf

from tfade import numerics
from tfade.errors import UsageError, check_between, check_number
from tfade.flows.layer import FlowLayer, size_of

TOLERANCE = 1e-5  # of rounding, around [0, 1]


@gin.register
class Logit(FlowLayer):
    """z = logit(s), s = α + (1 - 2α) x: data in [0, 1] become unbounded.

        log |det dz/dx| = Σ_i -log s_i - log(1 - s_i) + log(1 - 2α)

    Without the last constant, as in some published code, likelihoods are of another density.

    Args:
        alpha: α in (0, ½): distance that data keep from the ends of the interval. Flow-GAN's code has 1e-7, MAF 1e-6 on
            MNIST and 0.05 on CIFAR-10, RealNVP 0.05.

    Reference: Dinh et al. 2017, section 4.1; papers' constants as collected in their code.
    """

    def __init__(self, alpha: float = 0.05, **kwargs):
        super().__init__(**kwargs)
        check_between("Logit.alpha", alpha, 0, 0.5)
        self.alpha = alpha

    def forward_and_log_det(self, z, context):
        x = (numerics.sigmoid(z) - self.alpha) / (1 - 2 * self.alpha)
        return x, -self._summed(tf.nn.softplus(z) + tf.nn.softplus(-z))

    def inverse_and_log_det(self, x, context):
        # log(1 - s) from 1 - x, and not from s, which may round to 1. Outside [0, 1] it stays finite: see `initialise`.
        tiny = tf.constant(1e-30, x.dtype)
        low, high = (tf.math.log(tf.maximum(self.alpha + (1 - 2 * self.alpha) * part, tiny)) for part in (x, 1 - x))
        return low - high, self._summed(-low - high)

    def initialise(self, x, context=None):
        low, high = float(tf.reduce_min(x)), float(tf.reduce_max(x))
        if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
            raise UsageError(
                f"Logit was given data in [{low:.4g}, {high:.4g}]; it is defined on [0, 1]: rescale them, or "
                "leave it out of Stack.parts for vectors of any range"
            )
        return super().initialise(x, context)

    def _summed(self, terms):
        constant = size_of(self.event_shape) * math.log1p(-2 * self.alpha)
        return tf.reduce_sum(terms, list(range(1, terms.shape.rank))) + constant


@gin.register
class Rescale(FlowLayer):
    """z = scale · x + offset, with log |det dz/dx| = D log |scale|.

    `scale = 2, offset = -1` brings [0, 1] to [-1, 1] (RealNVP, Lucas et al. 2019), `1, -0.5` is Glow's centring, and
    `1/256` takes dequantised levels X + u in [0, 256] to [0, 1].

    Args:
        scale: any number but 0.
        offset: any number.
    """

    def __init__(self, scale: float = 1.0, offset: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        check_number("Rescale.scale", scale)
        check_number("Rescale.offset", offset)
        if scale == 0:
            raise UsageError(f"scale={scale!r} has no inverse; use a scale that is not 0")
        self.scale, self.offset = scale, offset

    def forward_and_log_det(self, z, context):
        return (z - self.offset) / self.scale, -self._log_det(z)

    def inverse_and_log_det(self, x, context):
        return self.scale * x + self.offset, self._log_det(x)

    def _log_det(self, value):
        log_det = size_of(self.event_shape) * math.log(abs(self.scale))
        return tf.fill(tf.shape(value)[:1], tf.constant(log_det, value.dtype))


@gin.register
class Flatten(FlowLayer):
    """An image as the vector of its dimensions, row by row, for flows over vectors."""

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        self.latent_shape = (size_of(self.event_shape),)

    def forward_and_log_det(self, z, context):
        return tf.reshape(z, (-1, *self.event_shape)), tf.zeros_like(z[:, 0])

    def inverse_and_log_det(self, x, context):
        z = tf.reshape(x, (-1, *self.latent_shape))
        return z, tf.zeros_like(z[:, 0])
