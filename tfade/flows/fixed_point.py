"""Fixed points of contractions, to a given accuracy."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
import tensorflow as tf

SLOWEST = 0.999  # largest measured rate that is believed: of 1 or more nothing could be said about the distance
STAGNANT = 4.0  # times the rounding of the result, a step that is no smaller than the one before is rounding, too
FORGETTING = 0.8  # the rate is the largest measured, of old ones this share for every iteration since
_searches: ContextVar[list | None] = ContextVar("searches", default=None)


class FixedPoint(NamedTuple):
    """The last iterate, and what is known about it.

    Attributes:
        value: [batch, ...].
        iterations: how many the slowest example took, a scalar.
        change: the largest last step of an example, relative as in `tolerance`, of those that have not converged if
            there are any; a scalar.
        converged: whether every example is as near to its fixed point as was asked, a scalar.
        tolerance: what was asked.
    """

    value: tf.Tensor
    iterations: tf.Tensor
    change: tf.Tensor
    converged: tf.Tensor
    tolerance: float


@contextlib.contextmanager
def searches() -> Iterator[list[FixedPoint]]:
    """The list of what `fixed_point` finds inside, in order; of a function that is traced, tensors of its graph.

    A graph that was traced before adds nothing, nor do calls on other threads (replicas); an inner block keeps its own.
    """
    token = _searches.set([])
    try:
        yield _searches.get()
    finally:
        _searches.reset(token)


def fixed_point(step: Callable[[tf.Tensor], tf.Tensor], start: tf.Tensor, tolerance: float, most: int) -> FixedPoint:
    """x = step(x) for a contraction, by iterating it until x is within `tolerance` of the fixed point.

    A small step alone does not say so: where steps shrink by the factor r, the way still to go is r / (1 - r) of the
    last one. r is measured for every example. Steps of rounding size end the search, too: those of the result's, and
    larger ones that no longer shrink, as the contraction's own terms may be larger than its value.

    Args:
        step: the contraction, of [batch, ...].
        start: first iterate, [batch, ...].
        tolerance: largest distance of an entry from the fixed point, relative to the largest entry of the example where
            that is above 1.
        most: number of iterations after which it gives up.
    """
    rounding = 16.0 * np.finfo(start.dtype.as_numpy_dtype).eps
    axes = list(range(1, start.shape.rank))

    def largest(value):
        return tf.reduce_max(tf.abs(value), axes)

    def near(change, rate):
        at_rest = (change <= rounding) | ((change <= STAGNANT * rounding) & (rate >= SLOWEST))
        return (change * rate / (1.0 - rate) <= tolerance) | at_rest

    def going(count, value, change, rate):
        return ~tf.reduce_all(near(change, rate))

    def iterate(count, value, change, rate):
        # Who has arrived stays where it is: an example's result does not depend on the rest of its batch.
        arrived, new = near(change, rate), step(value)
        moved = largest(new - value) / tf.maximum(largest(new), 1.0)
        measured = tf.maximum(tf.math.divide_no_nan(moved, change), FORGETTING * rate)
        value = tf.where(tf.reshape(arrived, (-1, *(1 for _ in axes))), value, new)
        rate = tf.where(arrived, rate, tf.minimum(measured, SLOWEST))
        return count + 1, value, tf.where(arrived, change, moved), rate

    def everywhere(number):
        return tf.fill(tf.shape(start)[:1], tf.constant(number, start.dtype))

    begin = 0, start, everywhere(np.inf), everywhere(SLOWEST)
    count, value, change, rate = tf.while_loop(going, iterate, begin, maximum_iterations=most)
    arrived = near(change, rate)
    slowest = tf.where(tf.reduce_all(arrived) | ~arrived, change, 0.0)  # of those that did not arrive, if any
    found = FixedPoint(value, count, tf.reduce_max(slowest), tf.reduce_all(arrived), tolerance)
    if (noted := _searches.get()) is not None:
        noted.append(found)
    return found
