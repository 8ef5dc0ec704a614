"""Maximum mean discrepancy: its kernels and its estimate against sums by hand and closed forms."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.objectives.mmd import IMQ, RBF, SCALES, mmd, squared_distances

KERNELS = [IMQ(), RBF(), IMQ((1.0,), prior_scale=2.0), RBF((0.5, 3.0))]


def points(rows: int, dimensions: int, seed: int, dtype="float64") -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(dtype))


def test_kernels_by_hand():
    """Two points at distance 5 in 2 dimensions: C = 4 σ², ‖x - y‖² = 25."""
    x, y = tf.constant([[0.0, 0.0]]), tf.constant([[3.0, 4.0]])
    assert float(IMQ()(x, y)[0, 0]) == pytest.approx(sum(4 * s / (4 * s + 25) for s in SCALES), rel=1e-6)
    assert float(IMQ((1.0,), prior_scale=2.0)(x, y)[0, 0]) == pytest.approx(16 / 41, rel=1e-6)
    assert float(RBF((2.0, 5.0))(x, y)[0, 0]) == pytest.approx(np.exp(-25 / 8) + np.exp(-25 / 20), rel=1e-6)
    assert float(IMQ()(x, x)[0, 0]) == float(RBF()(x, x)[0, 0]) == pytest.approx(len(SCALES))


@pytest.mark.every(2)
@pytest.mark.parametrize("kernel", KERNELS, ids=["imq", "rbf", "imq_wide", "rbf_two"])
def test_the_estimate_is_the_u_statistic(kernel):
    """Pair by pair: no point is compared with itself."""
    x, y = points(4, 3, 0), points(6, 3, 1)

    def pairs(one, other, same=False):
        values = [
            float(kernel(one[i : i + 1], other[j : j + 1])[0, 0])
            for i in range(len(one))
            for j in range(len(other))
            if not (same and i == j)
        ]
        return np.mean(values)

    expected = pairs(x, x, same=True) + pairs(y, y, same=True) - 2 * pairs(x, y)
    assert float(mmd(x, y, kernel)) == pytest.approx(expected, abs=1e-12)


def test_it_is_unbiased_and_may_be_negative():
    """Its mean over pairs of samples from one distribution is 0; from N(0, I) and N(μ, I) it is the closed form.

    With one Gaussian kernel exp(-‖x - y‖² / C), C = 2 d, the expectation over x - y ~ N(δ, 2 I) is
    (C / (C + 4))^(d/2) exp(-‖δ‖² / (C + 4)).
    """
    d, kernel, shift = 2, RBF((1.0,)), np.array([1.0, -0.5])
    width = 2 * d
    own = (width / (width + 4)) ** (d / 2)
    expected = 2 * own - 2 * own * np.exp(-(shift @ shift) / (width + 4))
    generator, estimate = np.random.default_rng(0), tf.function(lambda x, y: mmd(x, y, kernel))
    same, moved = [], []
    for _ in range(400):
        x, y = (tf.constant(generator.normal(size=(8, d))) for _ in range(2))
        same.append(float(estimate(x, y)))
        moved.append(float(estimate(x, y + shift)))
    assert min(same) < 0
    assert abs(np.mean(same)) < 4 * np.std(same) / 20
    assert abs(np.mean(moved) - expected) < 4 * np.std(moved) / 20
    assert expected > 8 * np.std(moved) / 20


def test_its_gradient_draws_the_points_together():
    x, y = points(32, 2, 0, "float32"), points(32, 2, 1, "float32") + 3.0
    with tf.GradientTape() as tape:
        tape.watch(y)
        value = mmd(x, y, IMQ())
    gradient = tape.gradient(value, y).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient.mean(0) > 0).all()


def test_distances_of_equal_points_are_not_negative():
    x = 1e3 + points(20, 5, 0, "float32")
    distances = squared_distances(x, x).numpy()
    assert distances.min() >= 0


def test_invalid_arguments_are_rejected():
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match=r"IMQ\.scales=.* must be a finite number > 0"):
            IMQ((1.0, wrong))
        with pytest.raises(UsageError, match=r"RBF\.prior_scale=.* must be a finite number > 0"):
            RBF(prior_scale=wrong)
    with pytest.raises(UsageError, match=r"IMQ\.scales=\(\) is not a tuple of one scale"):
        IMQ(())
    for x, y in ((1, 5), (5, 1)):
        with pytest.raises(UsageError, match="1 points as .*2 or more"):
            mmd(points(x, 2, 0), points(y, 2, 1), IMQ())
