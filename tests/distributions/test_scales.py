"""Standard deviations stay within their range, however narrow it is, and can be set to any value inside."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.distributions.scales import SCALE_RANGE, bounded_log_scale, checked_range, unbounded_log_scale
from tfade.errors import UsageError

RANGES = [(0.999, 1.001), (1.0, 1.0 + 1e-5), (0.5, 2.0), (1e-3, 10.0), (1e-3, 8.0), SCALE_RANGE, (3.0, 4.0)]


@pytest.mark.parametrize("scale_range", RANGES, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-12)])
def test_the_range_is_a_bound_that_is_reached(scale_range, dtype, tolerance):
    low, high = scale_range
    values = tf.constant([-1e6, -50.0, -10.0, -1.0, 0.0, 0.1, 1.0, 10.0, 50.0, 1e6], dtype)
    scales = np.exp(bounded_log_scale(values, scale_range).numpy().astype(np.float64))
    assert (scales >= low * (1 - tolerance)).all()
    assert (scales <= high * (1 + tolerance)).all()
    assert (np.diff(scales) >= 0).all()
    np.testing.assert_allclose(scales[[0, -1]], scale_range, rtol=tolerance)


@pytest.mark.parametrize("scale_range", RANGES, ids=str)
def test_a_deviation_inside_is_hit_and_has_a_gradient(scale_range):
    low, high = scale_range
    scales = low * (high / low) ** np.array([0.2, 0.5, 0.8])
    free = tf.constant(unbounded_log_scale(scales, scale_range))
    with tf.GradientTape() as tape:
        tape.watch(free)
        log_scale = bounded_log_scale(free, scale_range)
    np.testing.assert_allclose(np.exp(log_scale), scales, rtol=1e-12)
    assert (tape.gradient(log_scale, free).numpy() > 0).all()
    constant = tf.exp(bounded_log_scale(tf.constant(unbounded_log_scale(0.0, scale_range)), scale_range))
    assert low <= float(constant) < high


def test_a_wide_range_is_the_identity_inside():
    values = np.linspace(-4.0, 4.0, 9, dtype=np.float32)
    np.testing.assert_allclose(bounded_log_scale(tf.constant(values)), values, atol=0.006)


@pytest.mark.parametrize("wrong", [(1.0, 1.0), (2.0, 1.0), (0.0, 1.0), (1.0, np.inf), (np.nan, 1.0), (1.0,)])
def test_other_ranges_are_rejected(wrong):
    with pytest.raises(UsageError, match="scale_range=.*low, high"):
        checked_range(wrong)


def test_a_deviation_beyond_the_range_is_rejected():
    with pytest.raises(UsageError, match=r"scale_range=\(0\.5, 2\.0\) does not hold a standard deviation of 3"):
        unbounded_log_scale(np.array([1.0, 3.0]), (0.5, 2.0))
