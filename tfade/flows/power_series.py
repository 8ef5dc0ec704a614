"""log |det (I + ∂g/∂x)| of a contraction g: its unbiased estimate by a power series, and the exact number."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

RESOLUTION = 2.0**-22  # of the uniform number that decides how many terms there are; rarer numbers of terms never come

Residual = Callable[[tf.Tensor, Sequence[tf.Tensor]], tf.Tensor]  # g(x, parameters), a pure function


def poisson_tail(rate: float) -> np.ndarray:
    """P(N ≥ 0), P(N ≥ 1), … of a Poisson variable, float64, as far as the probabilities are above 2⁻²²."""
    tail, remaining, probability = [], 1.0, math.exp(-rate)
    while remaining > RESOLUTION:
        tail.append(remaining)
        remaining -= probability
        probability *= rate / len(tail)
    return np.array(tail)


def number_of_terms(uniform: tf.Tensor, exact: int, tail: np.ndarray) -> tf.Tensor:
    """exact + N, where N has the given tail, from numbers in [0, 1); int32 of their shape."""
    beyond = uniform[..., None] >= tf.constant(1.0 - tail[1:], uniform.dtype)
    return exact + tf.reduce_sum(tf.cast(beyond, tf.int32), -1)


def residual_and_log_det(
    residual: Residual, x: tf.Tensor, parameters: Sequence[tf.Tensor], probe, terms, exact: int, tail: np.ndarray
) -> tuple[tf.Tensor, tf.Tensor]:
    """g(x) and an unbiased estimate of log |det (I + J)|, J = ∂g/∂x, of a contraction g.

        log det  Σ_k (-1)^(k+1) c_k / k · vᵀ Jᵏ v,   k = 1 … n + N
        gradient Σ_k (-1)^k c_k · vᵀ Jᵏ (∂J) v,      k = 0 … n + N

    v ~ N(0, I), N ~ Poisson, c_k = 1 for k ≤ n and 1 / P(N ≥ k - n) above: Russian roulette. Value and gradient share
    the vectors vᵀ Jᵏ; the gradient is the Neumann series of (I + J)⁻¹, not the derivative of the terms. Nothing but x,
    v and one vector is kept for it: g is evaluated once more on the way back, so that memory does not grow with the
    number of terms.

    The variance of the estimate is finite only as far as |J|ᵏ falls faster than P(N ≥ k) rises in the denominator; with
    a Poisson variable that is never so for all k, but terms that would matter come less often than once in 2²² draws.

    Args:
        residual: g, a pure function of x and the parameters.
        x: [batch, ...].
        parameters: of g; whatever of it gradients are to reach.
        probe: v, standard normal, of the shape of x.
        terms: n + N, int32, [] or [batch].
        exact: n, the terms that are always there.
        tail: P(N ≥ 0), P(N ≥ 1), …

    Returns:
        g(x), and the estimate [batch].

    Reference: Chen et al. 2019, equations 6 and 8 and appendix B.
    """
    weights = tf.constant(np.concatenate([np.ones(exact + 1), 1.0 / tail[1:]]), x.dtype)

    @tf.custom_gradient
    def of(x, *parameters):
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(x)
            value = residual(x, parameters)
        log_det, neumann = _series(lambda left: tape.gradient(value, x, left), probe, terms, weights)

        def gradient(of_value, of_log_det):
            with tf.GradientTape(watch_accessed_variables=False) as outer:
                outer.watch([x, *parameters])
                with tf.GradientTape(watch_accessed_variables=False) as inner:
                    inner.watch(x)
                    again = residual(x, parameters)
                pulled = inner.gradient(again, x, neumann)
                total = tf.reduce_sum(again * of_value) + tf.reduce_sum(_dot(pulled, probe) * of_log_det)
            return outer.gradient(total, [x, *parameters])

        return (value, log_det), gradient

    return of(x, *parameters)


def _series(pull: Callable, probe, terms, weights) -> tuple[tf.Tensor, tf.Tensor]:
    """The estimate [batch], and Σ_k (-1)^k c_k vᵀ Jᵏ, from `pull(v)` = vᵀ J."""
    last = tf.reduce_max(terms)
    shape = (-1, *(1 for _ in probe.shape[1:]))

    def step(k, left, log_det, neumann):
        left = pull(left)
        number, sign = tf.cast(k, probe.dtype), tf.cast(2 * (k % 2) - 1, probe.dtype)
        factor = tf.reshape(sign * tf.where(k <= terms, weights[k], 0.0), (-1,))  # [1] or [batch]
        return k + 1, left, log_det + factor / number * _dot(left, probe), neumann - tf.reshape(factor, shape) * left

    start = 1, probe, tf.zeros_like(_dot(probe, probe)), probe
    _, _, log_det, neumann = tf.while_loop(lambda k, *_: k <= last, step, start)
    return log_det, neumann


def jacobian_and_log_det(residual: Residual, x, parameters) -> tuple[tf.Tensor, tf.Tensor]:
    """g(x) and log |det (I + ∂g/∂x)| [batch], exact, by one backward pass for every dimension of x."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(x)
        value = residual(x, parameters)
        flat = tf.reshape(value, (-1, math.prod(value.shape[1:])))
        entries = tf.unstack(flat, axis=1)
    rows = [tf.reshape(tape.gradient(entry, x), tf.shape(flat)) for entry in entries]
    return value, _log_det(tf.stack(rows, 1) + tf.eye(len(rows), dtype=x.dtype))


def _log_det(matrix) -> tf.Tensor:
    """log det [batch] of I + J with ‖J‖ < 1, by elimination; XLA has no `slogdet`.

    Its symmetric part is positive definite, so every pivot is positive and none has to be looked for.
    """
    log_pivots = []
    while True:
        pivot = matrix[:, 0, 0]
        log_pivots.append(tf.math.log(pivot))
        if matrix.shape[1] == 1:
            return tf.add_n(log_pivots)
        row, column = matrix[:, :1, 1:], matrix[:, 1:, :1]
        matrix = matrix[:, 1:, 1:] - column * row / pivot[:, None, None]


def _dot(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(one * other, list(range(1, one.shape.rank)))
