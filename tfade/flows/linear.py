"""Linear maps: a diagonal, and a matrix by its LU factors."""

import gin
import keras
import numpy as np
import scipy.linalg
import tensorflow as tf

from tfade.errors import UsageError, check_seed
from tfade.flows.layer import FlowLayer, size_of
from tfade.flows.transformers import LOG_SCALE_BOUND, OUTPUT_GAIN
from tfade.numerics import soft_bounded

SINGULAR = 1e7  # condition number from which a kernel counts as singular: float32 keeps nothing of its inverse


class ContextScale(keras.layers.Layer):
    """log c(context), a bounded log-scale for every channel that is 0 at the start: how a context enters a linear map.

    Args:
        context_size, channels: sizes of the context and of the last axis of the event.
    """

    def __init__(self, context_size: int, channels: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.kernel = self.add_weight(
            name="kernel", shape=(context_size, channels), initializer="zeros", autocast=False
        )
        self.built = True

    def call(self, context):
        """[batch, context_size] → [batch, channels]."""
        return soft_bounded(OUTPUT_GAIN * tf.matmul(context, self.kernel), LOG_SCALE_BOUND)


class Linear(FlowLayer):
    """z = c(context) ⊙ (x W^T) along the last axis, with c = 1 where there is no context; a subclass has W."""

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        if self.context_size:
            self.context_scale = ContextScale(self.context_size, self.event_shape[-1], dtype=self.dtype_policy)

    def forward_and_log_det(self, z, context):
        log_scale, log_det = self._of_context(z, context)
        value, own = self.solved(z * tf.exp(-log_scale))
        return value, own - log_det

    def inverse_and_log_det(self, x, context):
        log_scale, log_det = self._of_context(x, context)
        value, own = self.multiplied(x)
        return value * tf.exp(log_scale), own + log_det

    def multiplied(self, x) -> tuple[tf.Tensor, tf.Tensor]:
        """x W^T, and log |det| [batch] of that map of an event."""
        raise NotImplementedError

    def solved(self, z) -> tuple[tf.Tensor, tf.Tensor]:
        """The inverse, and its log |det|."""
        raise NotImplementedError

    def _of_context(self, value, context):
        """log c, to be broadcast against events, and its part of the log-determinant [batch]."""
        if context is None:
            zero = tf.zeros((), value.dtype)
            return zero, zero
        log_scale = self.context_scale(context)
        shape = (-1, *(1 for _ in self.event_shape[:-1]), self.event_shape[-1])
        return tf.reshape(log_scale, shape), size_of(self.event_shape[:-1]) * tf.reduce_sum(log_scale, -1)


@gin.register
class DiagonalScaling(Linear):
    """z = x ⊙ exp(s), one s for every number of the event: it gives stacks of additive couplings a volume.

    A context scales every channel once more.

    Reference: Dinh et al. 2015, section 3.3.
    """

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        self.log_scale = self.add_weight(name="log_scale", shape=self.event_shape, initializer="zeros")

    def solved(self, z):
        return z * tf.exp(-self.log_scale), self._log_det(z, -1.0)

    def multiplied(self, x):
        return x * tf.exp(self.log_scale), self._log_det(x, 1.0)

    def _log_det(self, value, sign):
        return tf.fill(tf.shape(value)[:1], sign * tf.reduce_sum(self.log_scale))


@gin.register
class LULinear(Linear):
    """z = W x along the last axis, at every position of an image, with W = P L (U + diag(σ ⊙ exp(s))).

    P is a permutation, L is lower triangular with ones on the diagonal, U is strictly upper triangular. P and the signs
    σ are fixed, and saved; L, U and s are trained, and W stays invertible whatever they become. Density takes one
    matrix product, sampling two triangular solves. A context scales what W returns.

    Args:
        kernel: W at the start, [C, C]; None starts at the identity.

    Raises:
        UsageError: a kernel that is not square, not finite, singular, or at `build` not of the event's last axis.

    Reference: Kingma and Dhariwal 2018, section 3.2, equations 9 to 11.
    """

    def __init__(self, kernel: np.ndarray | None = None, **kwargs):
        super().__init__(**kwargs)
        self._kernel = None if kernel is None else _checked(np.asarray(kernel, np.float64))

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        channels = self.event_shape[-1]
        kernel = self.first_kernel(channels) if self._kernel is None else self._kernel
        if kernel.shape != (channels, channels):
            raise UsageError(
                f"kernel has shape {list(kernel.shape)}, but the last axis of events of shape {self.event_shape} takes "
                f"[{channels}, {channels}]"
            )
        permutation, lower, upper = scipy.linalg.lu(kernel, p_indices=True)
        diagonal = np.diag(upper)
        factors = np.tril(lower, -1) + np.diag(np.log(np.abs(diagonal))) + np.triu(upper, 1)
        self.factors = self._weight("factors", factors)  # L below the diagonal, s on it, U above
        self.signs = self._weight("signs", np.sign(diagonal), trainable=False)
        self.permutation = self._weight("permutation", permutation, trainable=False, dtype="int64")

    def first_kernel(self, channels: int) -> np.ndarray:
        """W at the start, where none is given."""
        return np.eye(channels)

    def solved(self, z):
        lower, upper = self._factors()
        columns = tf.transpose(tf.reshape(z, (-1, z.shape[-1])))
        columns = tf.linalg.triangular_solve(lower, tf.gather(columns, tf.argsort(self.permutation)))
        columns = tf.linalg.triangular_solve(upper, columns, lower=False)
        return tf.reshape(tf.transpose(columns), tf.shape(z)), -self._log_det(z)

    def multiplied(self, x):
        lower, upper = self._factors()
        kernel = tf.gather(tf.matmul(lower, upper), self.permutation)
        flat = tf.matmul(tf.reshape(x, (-1, x.shape[-1])), kernel, transpose_b=True)
        return tf.reshape(flat, tf.shape(x)), self._log_det(x)

    def _factors(self):
        """L and U with their diagonals."""
        below = np.tril(np.ones(self.factors.shape), -1).astype(self.variable_dtype)
        diagonal = self.signs * tf.exp(tf.linalg.diag_part(self.factors))
        lower = self.factors * below + np.eye(len(below), dtype=below.dtype)
        return lower, self.factors * below.T + tf.linalg.diag(diagonal)

    def _log_det(self, value):
        log_det = size_of(self.event_shape[:-1]) * tf.linalg.trace(self.factors)
        return tf.fill(tf.shape(value)[:1], log_det)

    def _weight(self, name, value, trainable=True, dtype=None):
        def initializer(shape, dtype):
            return tf.cast(value, dtype)

        return self.add_weight(name=name, shape=value.shape, initializer=initializer, trainable=trainable, dtype=dtype)


@gin.register
class Invertible1x1Convolution(LULinear):
    """Glow's generalised permutation of channels: `LULinear` that starts as a random rotation.

    Args:
        kernel: W at the start instead of the rotation, [C, C].
        seed: of the rotation, together with the layer's place in its stack.

    Reference: Kingma and Dhariwal 2018, section 3.2.
    """

    def __init__(self, kernel: np.ndarray | None = None, seed: int = 0, **kwargs):
        super().__init__(kernel, **kwargs)
        check_seed("Invertible1x1Convolution.seed", seed)
        self.seed = seed

    def first_kernel(self, channels):
        normal = np.random.default_rng((self.seed, self.ordinal)).normal(size=(channels, channels))
        return np.linalg.qr(normal)[0]


def _checked(kernel: np.ndarray) -> np.ndarray:
    """The kernel, or an error if it cannot be inverted."""
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise UsageError(f"kernel has shape {list(kernel.shape)}; a square matrix [C, C] is needed")
    if not np.isfinite(kernel).all():
        raise UsageError("kernel has entries that are not finite")
    condition = np.linalg.cond(kernel)
    if condition > SINGULAR:
        raise UsageError(
            f"kernel is singular, or nearly so: its condition number is {condition:.3g}, above {SINGULAR:g}; give an "
            "invertible matrix such as a rotation"
        )
    return kernel
