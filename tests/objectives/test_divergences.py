"""Each divergence against its closed form: the best critic's bound is the divergence itself."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.objectives import divergences as d

P = np.array([0.5, 0.3, 0.2])  # data over three outcomes
Q = np.array([0.2, 0.3, 0.5])  # model
RATIO = P / Q
# kind → (the best critic's output at each outcome, the divergence): Nowozin et al. 2016, tables 1, 5 and 6.
CASES = {
    d.CrossEntropy: (
        np.log(RATIO),
        np.sum(P * np.log(2 * P / (P + Q)) + Q * np.log(2 * Q / (P + Q))) - np.log(4),
    ),
    d.Hellinger: (0.5 * np.log(RATIO), np.sum((np.sqrt(P) - np.sqrt(Q)) ** 2)),
    d.KL: (1 + np.log(RATIO), np.sum(P * np.log(RATIO))),
    d.ReverseKL: (np.log(RATIO), -np.sum(Q * np.log(RATIO))),
}


def bound(kind, v) -> float:
    """The critic's objective, which it maximises."""
    v = tf.constant(v[:, None], tf.float32)
    loss = kind()
    return -float(tf.reduce_sum(P * loss.real(v) + Q * loss.fake(v)))


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_the_best_critic_finds_the_divergence(kind):
    best, divergence = CASES[kind]
    assert bound(kind, best) == pytest.approx(divergence, abs=1e-5)
    for step in (-0.1, 0.1):
        for place in range(3):
            assert bound(kind, best + step * np.eye(3)[place]) < divergence - 1e-4


def test_total_variation():
    """The best critic is ±∞; ½ tanh(±20) is ±½ in float32."""
    assert bound(d.TotalVariation, 20 * np.sign(P - Q)) == pytest.approx(0.5 * np.abs(P - Q).sum(), abs=1e-5)
    assert bound(d.TotalVariation, np.sign(P - Q)) < 0.3


def test_least_squares_is_minimal_at_the_share_of_data():
    best = P / (P + Q)
    assert bound(d.LeastSquares, best) > max(bound(d.LeastSquares, best + 0.05), bound(d.LeastSquares, best - 0.05))


def test_wasserstein_is_the_difference_of_means():
    v = np.array([1.0, -2.0, 4.0])
    assert bound(d.Wasserstein, v) == pytest.approx(np.sum((P - Q) * v), abs=1e-6)


@pytest.mark.parametrize("kind", d.Divergence.__subclasses__(), ids=lambda kind: kind.__name__)
def test_generators_lower_their_loss_by_raising_the_critics_output(kind):
    v = tf.constant([[-1.0], [0.0], [0.5]])
    assert kind().real(v).shape == kind().fake(v).shape == (3,)
    for saturating in (False, True):
        loss = kind(saturating)
        with tf.GradientTape() as tape:
            tape.watch(v)
            value = loss.generator(v)
        slope = tape.gradient(value, v)
        if kind is d.LeastSquares and saturating:
            continue  # ½ v² turns at 0
        assert np.all(slope < 0)
        np.testing.assert_allclose(value, -loss.fake(v) if saturating else loss.real(v))


def test_large_logits_stay_finite_where_they_can():
    v = tf.constant([[80.0], [-80.0]])
    for kind in d.Divergence.__subclasses__():
        assert np.isfinite(kind().real(v)).all(), kind
        assert np.isfinite(kind().fake(v)).all(), kind
