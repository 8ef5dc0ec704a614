"""Pure functions between data and what networks see."""

import math

import tensorflow as tf

from tfade.errors import UsageError

LEVELS = 256


def to_unit(images) -> tf.Tensor:
    """Images in [0, 1], float32, from uint8 levels or from floats that are in [0, 1] already."""
    images = tf.convert_to_tensor(images)
    return tf.cast(images, tf.float32) / (LEVELS - 1) if images.dtype == tf.uint8 else tf.cast(images, tf.float32)


def to_signed(unit):
    """Images in [-1, 1] from images in [0, 1]."""
    return 2.0 * unit - 1.0


def unsigned(signed):
    """The inverse of `to_signed`, as it is: of numbers outside [-1, 1], too."""
    return 0.5 * (signed + 1.0)


def from_signed(images) -> tf.Tensor:
    """Images in [0, 1] from images in [-1, 1], float32; rounding just outside is clipped."""
    return tf.clip_by_value(unsigned(tf.cast(images, tf.float32)), 0.0, 1.0)


def soft_bounded(value: tf.Tensor, bound: float) -> tf.Tensor:
    """bound · tanh(value / bound): the identity near 0, always within ±bound."""
    return bound * tf.tanh(value / bound)


def dequantised(images, noise) -> tf.Tensor:
    """(255 x + u) / 256 in [0, 1): pixels as a continuous quantity, each level spread over its bin of width 1/256.

    Args:
        images: uint8 levels, or floats x in [0, 1].
        noise: u in [0, 1), of the same shape or a scalar; 0.5 puts every level at the middle of its bin.

    Reference: Theis et al. 2016, section 3.1; Flow-GAN's code.
    """
    return ((LEVELS - 1) * to_unit(images) + noise) / LEVELS


def is_unit(images) -> tf.Tensor:
    """Whether all floats lie in [0, 1] up to rounding, and none is NaN: a scalar."""
    return tf.reduce_all(tf.abs(images - 0.5) <= 0.5 + 1e-5)


def checked_unit(images, shape: tuple[int, ...]) -> tf.Tensor:
    """`to_unit` of a user's images.

    Args:
        images: [batch, *shape], uint8 or floats in [0, 1].
        shape: (H, W, C) that they must have: others would be broadcast against it somewhere.

    Raises:
        UsageError: another shape or, in eager execution, floats outside [0, 1] or NaN.
    """
    unit = to_unit(images)
    if unit.shape.rank is not None and tuple(unit.shape[1:]) != tuple(shape):
        raise UsageError(f"images have shape {list(unit.shape)}; give [batch, {', '.join(map(str, shape))}]")
    if tf.executing_eagerly() and not bool(is_unit(unit)):
        raise UsageError(
            f"images lie in [{float(tf.reduce_min(unit)):.4g}, {float(tf.reduce_max(unit)):.4g}] or hold NaN; "
            "give uint8, or floats in [0, 1]"
        )
    return unit


def bits_per_dim(log_prob, dimensions: int, continuous: bool = True) -> tf.Tensor:
    """Bits for each number of an image with 256 levels, from nats of the whole image.

    -log₂ p / D + 8 for a density of dequantised images on [0, 1]^D, -log₂ P / D for a pmf of the levels.
    """
    bits = -tf.convert_to_tensor(log_prob) / (dimensions * math.log(2.0))
    return bits + math.log2(LEVELS) if continuous else bits


def replica_mean(value: tf.Tensor) -> tf.Tensor:
    """The mean of a value over all replicas, a constant to whatever is trained; the value itself on one replica."""
    value, context = tf.stop_gradient(value), tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, value)


def straight_through(function, value: tf.Tensor) -> tf.Tensor:
    """function(value), with the gradient of the identity."""

    @tf.custom_gradient
    def passed(value):
        return function(value), lambda upstream: upstream

    return passed(value)


@tf.custom_gradient
def sigmoid(value: tf.Tensor):
    """1 / (1 + e^-value), whose slope is right on both sides: TensorFlow's, s (1 - s), is 0 where s rounds to 1."""
    return tf.sigmoid(value), lambda upstream: upstream * tf.exp(-tf.nn.softplus(value) - tf.nn.softplus(-value))


def checked_labels(labels, classes: int, count, owner: str) -> tf.Tensor:
    """Labels as int32 [count].

    Args:
        labels: integers [count] in [0, classes); in a graph dtype and shape alone are checked.
        classes: how many there are.
        count: how many labels, or None or a tensor for any number.
        owner: whose classes they are, for the error.

    Raises:
        UsageError: anything else.
    """
    labels = tf.convert_to_tensor(labels)
    known = isinstance(count, int) and labels.shape.rank is not None
    if (
        not labels.dtype.is_integer
        or labels.shape.rank not in (None, 1)
        or (known and labels.shape[0] not in (None, count))
    ):
        expected = count if isinstance(count, int) else "batch"
        raise UsageError(f"labels are {labels.dtype.name} {list(labels.shape)}; give integers [{expected}]")
    labels = tf.cast(labels, tf.int64)
    if tf.executing_eagerly() and not bool(tf.reduce_all((labels >= 0) & (labels < classes))):
        lowest, highest = int(tf.reduce_min(labels)), int(tf.reduce_max(labels))
        raise UsageError(f"labels lie in [{lowest}, {highest}]; the classes of {owner} are 0 to {classes - 1}")
    return tf.cast(labels, tf.int32)
