"""The rational-quadratic spline by itself: its knots, its slopes, its tails."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.flows.splines import LOGIT_BOUND, RationalQuadratic

BINS, BOUND = 5, 3.0
SPLINE = RationalQuadratic(BINS, BOUND, min_bin=0.02, min_slope=0.05)


def random_parameters(scale=1.0, seed=0):
    """One spline's widths, heights and slopes, before they are bounded, [3 K - 1]."""
    return scale * np.random.default_rng(seed).normal(size=3 * BINS - 1)


def transformed(values, parameters, direction="forward", spline=SPLINE):
    """A column of numbers through one spline; float64."""
    z = tf.constant(np.asarray(values, np.float64)[:, None])
    return [tensor.numpy()[:, 0] for tensor in getattr(spline, direction)(z, tf.tile(parameters[None], (len(z), 1)))]


def knots(raw) -> np.ndarray:
    """By the paper: softmax, least size, cumulative sum; the logits are softly bounded."""
    weights = np.exp(LOGIT_BOUND * np.tanh(raw / LOGIT_BOUND))
    shares = 0.02 + (1 - BINS * 0.02) * weights / weights.sum()
    return -BOUND + 2 * BOUND * np.concatenate([[0.0], np.cumsum(shares)])


@pytest.mark.parametrize("scale", [0.3, 2.0, 50.0])
def test_the_curve_passes_through_its_knots_with_their_slopes(scale):
    raw = random_parameters(scale)
    x, y = knots(raw[:BINS]), knots(raw[BINS : 2 * BINS])
    limit = -np.log(0.05)
    slopes = np.exp(np.concatenate([[0.0], limit * np.tanh(raw[2 * BINS :] / limit), [0.0]]))
    for side in (1e-9, -1e-9):
        values, log_slopes = transformed(x[1:-1] + side, raw)
        np.testing.assert_allclose(values, y[1:-1], atol=3e-6)
        np.testing.assert_allclose(np.exp(log_slopes), slopes[1:-1], rtol=1e-5)
    values, log_slopes = transformed([x[0] + 1e-9, x[-1] - 1e-9], raw)
    np.testing.assert_allclose(values, [-BOUND, BOUND], atol=1e-7)
    np.testing.assert_allclose(log_slopes, 0, atol=1e-5)


@pytest.mark.parametrize("scale", [0.3, 2.0, 50.0])
def test_the_curve_rises_and_its_slope_is_its_derivative(scale):
    grid = np.linspace(-4, 4, 4001)
    for direction in ("forward", "inverse"):
        values, log_slopes = transformed(grid, random_parameters(scale), direction)
        assert (np.diff(values) > 0).all()
        near = [transformed(grid + step, random_parameters(scale), direction)[0] for step in (1e-7, -1e-7)]
        np.testing.assert_allclose(np.exp(log_slopes), (near[0] - near[1]) / 2e-7, rtol=2e-3, atol=1e-5)


def test_float32_keeps_the_way_back_where_slopes_differ_much():
    """The smaller root of the quadratic as a difference of near numbers loses 500 times as much."""
    generator = np.random.default_rng(0)
    x = generator.uniform(-3, 3, (50_000, 1)).astype("float32")
    parameters = tf.constant(3 * generator.normal(size=(50_000, SPLINE.size)), tf.float32)
    back, _ = SPLINE.forward(SPLINE.inverse(tf.constant(x), parameters)[0], parameters)
    assert np.abs(back - x).max() < 3e-4


def test_outside_is_left_alone():
    outside = np.array([-1e6, -3.5, -BOUND, BOUND, 3.0001, 1e6])
    for direction in ("forward", "inverse"):
        values, log_slopes = transformed(outside, random_parameters(3.0), direction)
        np.testing.assert_array_equal(values, outside)
        np.testing.assert_array_equal(log_slopes, 0)


@pytest.mark.parametrize("scale", [1.0, 10.0, 1e6])
def test_the_inverse_is_real_and_has_gradients_whatever_the_parameters(scale):
    """float32, where the textbook discriminant is negative by rounding."""
    generator = np.random.default_rng(0)
    x = tf.constant(generator.uniform(-3.2, 3.2, (2000, 4)), tf.float32)
    parameters = tf.constant(scale * generator.normal(size=(2000, 4 * SPLINE.size)), tf.float32)
    for function in (SPLINE.forward, SPLINE.inverse):
        with tf.GradientTape() as tape:
            tape.watch([x, parameters])
            value, log_slope = function(x, parameters)
            total = tf.reduce_sum(value) + tf.reduce_sum(log_slope)
        for tensor in (value, log_slope, *tape.gradient(total, [x, parameters])):
            assert np.isfinite(tensor).all()
        assert np.abs(value)[np.abs(x) < BOUND].max() <= BOUND * (1 + 1e-6)


def test_parameters_are_laid_out_parameter_by_parameter():
    """Two dimensions, one with the identity's parameters: they must not leak into each other."""
    raw = random_parameters()
    both = np.stack([raw, np.zeros_like(raw)], -1).ravel()
    values, _ = SPLINE.forward(tf.constant([[0.7, 0.7]], tf.float64), tf.constant(both[None]))
    np.testing.assert_allclose(values[0], [transformed([0.7], raw)[0][0], 0.7], rtol=1e-12)
