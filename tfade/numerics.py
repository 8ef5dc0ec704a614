"""Pure functions between pixels and what networks see."""

import tensorflow as tf

LEVELS = 256


def to_unit(images) -> tf.Tensor:
    """Images in [0, 1], float32, from uint8 levels or from floats that are in [0, 1] already."""
    images = tf.convert_to_tensor(images)
    return tf.cast(images, tf.float32) / (LEVELS - 1) if images.dtype == tf.uint8 else tf.cast(images, tf.float32)


def to_signed(images) -> tf.Tensor:
    """Images in [-1, 1], float32, from uint8 levels or floats in [0, 1]."""
    return 2.0 * to_unit(images) - 1.0


def from_signed(images) -> tf.Tensor:
    """Images in [0, 1] from images in [-1, 1]; rounding just outside is clipped."""
    return tf.clip_by_value(0.5 * (tf.cast(images, tf.float32) + 1.0), 0.0, 1.0)
