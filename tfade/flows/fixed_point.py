"""Fixed points of contractions, to a given accuracy."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
import tensorflow as tf

FORGETTING = 0.8  # the rate is the largest measured, of old ones this share for every iteration since
WINDOW = 16  # iterations over which a move is compared with what a contraction that is still on its way would make
ROUNDING = 16.0  # times the resolution of the dtype: no result is asked to be nearer
_searches: ContextVar[list | None] = ContextVar("searches", default=None)


class FixedPoint(NamedTuple):
    """The last iterate, and what is known about it.

    Attributes:
        value: [batch, ...].
        iterations: how many the slowest example took, a scalar.
        change: the largest last step of an example, relative as in `tolerance`, of those that have not converged if
            there are any; a scalar.
        converged: whether every example is as near to its fixed point as was asked, a scalar.
        tolerance: the accuracy.
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


def fixed_point(
    step: Callable[[tf.Tensor], tf.Tensor], start: tf.Tensor, tolerance: float, most: int, constant: float
) -> FixedPoint:
    """x = step(x) for a contraction, by iterating it until x is within `tolerance` of the fixed point.

    A small step alone does not say so: where steps shrink by the factor r, the remaining distance is r / (1 - r) of the
    last one. r is measured for every example, and `constant` where that is smaller, as it is once steps consist of
    rounding. These end the search by the same rule for the last `WINDOW` iterations together, whose factor is
    constant^WINDOW.

    Args:
        step: the contraction, of [batch, ...].
        start: first iterate, [batch, ...].
        tolerance: largest distance of an entry from the fixed point, relative to the largest entry of the example where
            that is above 1; and no less than the dtype's rounding.
        most: number of iterations after which it gives up.
        constant: Lipschitz constant of the contraction, in (0, 1), or a bound of it. If it is one of Euclidean norms,
            the accuracy of the largest entry is an estimate.
    """
    tolerance = accuracy(tolerance, start.dtype)
    whole = constant**WINDOW
    axes = list(range(1, start.shape.rank))

    def largest(value):
        return tf.reduce_max(tf.abs(value), axes)

    def near(change, rate, move):
        return (change * rate / (1.0 - rate) <= tolerance) | (
            tf.maximum(change, move) * whole / (1.0 - whole) <= tolerance
        )

    def going(count, value, anchor, *known):
        return ~tf.reduce_all(near(*known))

    def iterate(count, value, anchor, change, rate, move):
        # Who has arrived stays where it is: an example's result does not depend on the rest of its batch.
        arrived, new = near(change, rate, move), step(value)
        size = tf.maximum(largest(new), 1.0)
        moved = largest(new - value) / size
        # The first step has none before it that would tell a rate.
        measured = tf.where(tf.math.is_inf(change), rate, tf.maximum(moved / change, FORGETTING * rate))
        count, stays = count + 1, tf.reshape(arrived, (-1, *(1 for _ in axes)))
        full = tf.equal(count % WINDOW, 0)
        move = tf.where(full & ~arrived, largest(new - anchor) / size, move)
        value, anchor = tf.where(stays, value, new), tf.where(full, new, anchor)
        rate = tf.where(arrived, rate, tf.minimum(measured, constant))
        return count, value, anchor, tf.where(arrived, change, moved), rate, move

    def everywhere(number):
        return tf.fill(tf.shape(start)[:1], tf.constant(number, start.dtype))

    begin = 0, start, start, everywhere(np.inf), everywhere(constant), everywhere(np.inf)
    count, value, _, change, rate, move = tf.while_loop(going, iterate, begin, maximum_iterations=most)
    arrived = near(change, rate, move)
    slowest = tf.where(tf.reduce_all(arrived) | ~arrived, change, 0.0)  # of those that did not arrive, if any
    return _noted(FixedPoint(value, count, tf.reduce_max(slowest), tf.reduce_all(arrived), tolerance))


def accuracy(tolerance: float, dtype: tf.DType) -> float:
    """The tolerance, and no less than what numbers of this type resolve."""
    return max(tolerance, ROUNDING * float(np.finfo(dtype.as_numpy_dtype).eps))


def compiled(search: Callable[..., FixedPoint]) -> Callable[..., FixedPoint]:
    """A search that runs in a graph where it is called eagerly: it is a loop of many small operations.

    Args:
        search: called as `search(limits, start, *tensors)`, with the last three arguments of `fixed_point` as `limits`;
            a pure function that returns what `fixed_point` found.
    """
    in_a_graph = tf.function(lambda *arguments: search(*arguments)[:-1], autograph=False, reduce_retracing=True)

    def found(limits, start, *tensors) -> FixedPoint:
        if not tf.executing_eagerly():
            return search(limits, start, *tensors)
        with searches():  # of the trace, whose tensors are of no use outside
            parts = in_a_graph(limits, start, *tensors)
        return _noted(FixedPoint(*parts, accuracy(limits[0], start.dtype)))

    return found


def _noted(found: FixedPoint) -> FixedPoint:
    if (known := _searches.get()) is not None:
        known.append(found)
    return found
