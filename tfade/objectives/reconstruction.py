"""Reconstruction losses as pure functions, one value per example."""

import tensorflow as tf

from tfade.errors import check_choice

REDUCTIONS = {"mean": tf.reduce_mean, "sum": tf.reduce_sum}


def absolute_error(x, reconstruction, *, reduction: str = "mean") -> tf.Tensor:
    """‖x - x̂‖₁ of each example: [batch, ...] → [batch].

    Args:
        x, reconstruction: images or vectors, of the same shape and scale.
        reduction: "mean" over the dimensions of an example, or their "sum" (the norm as it is written).

    Raises:
        UsageError: another reduction.
    """
    return _reduced(tf.abs(x - reconstruction), reduction)


def squared_error(x, reconstruction, *, reduction: str = "mean") -> tf.Tensor:
    """‖x - x̂‖₂² of each example: [batch, ...] → [batch].

    Half of the sum is -log N(x; x̂, I) up to a constant.

    Args:
        x, reconstruction, reduction: see `absolute_error`.

    Raises:
        UsageError: another reduction.
    """
    return _reduced(tf.math.squared_difference(x, reconstruction), reduction)


def _reduced(errors: tf.Tensor, reduction: str) -> tf.Tensor:
    check_choice("reduction", reduction, list(REDUCTIONS))
    return REDUCTIONS[reduction](errors, axis=list(range(1, errors.shape.rank)))
