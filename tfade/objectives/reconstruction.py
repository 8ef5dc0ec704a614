"""Reconstruction losses as pure functions, one value per example."""

import tensorflow as tf


def absolute_error(x, reconstruction, *, reduction: str = "mean") -> tf.Tensor:
    """‖x - x̂‖₁ of each example: images [batch, H, W, C] in one scale → [batch].

    Args:
        x, reconstruction: images of the same shape and scale.
        reduction: "mean" over the pixels and channels, or their "sum" (the norm as it is written).
    """
    reduce = {"mean": tf.reduce_mean, "sum": tf.reduce_sum}[reduction]
    return reduce(tf.abs(x - reconstruction), axis=(1, 2, 3))
