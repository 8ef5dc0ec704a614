"""Each divergence against its closed form: the best critic's bound is the divergence itself."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.objectives import divergences as d

KINDS = [kind for kind in vars(d).values() if isinstance(kind, type) and issubclass(kind, d.Divergence)]
KINDS.remove(d.Divergence)
ONE_FORM = (d.Wasserstein, d.LogRatio, d.Hinge)  # of the generator's loss
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


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_constant_added_to_the_output_leaves_the_bound_where_declared(kind):
    v = np.array([0.3, -0.2, 0.6])
    assert (bound(kind, v + 1.0) == pytest.approx(bound(kind, v), abs=1e-6)) == kind.shift_invariant


def test_the_log_ratio_is_the_sum_of_minimax_and_non_saturating_loss():
    """Its critic is that of the cross entropy; for the best one the generator's loss is KL(model ‖ data)."""
    v = tf.constant([[-3.0], [0.2], [4.0]])
    minimax, non_saturating = (d.CrossEntropy(saturating).generator(v) for saturating in (True, False))
    np.testing.assert_allclose(d.LogRatio().generator(v), minimax + non_saturating, rtol=1e-5)
    np.testing.assert_array_equal(d.LogRatio().real(v), d.CrossEntropy().real(v))
    np.testing.assert_array_equal(d.LogRatio().fake(v), d.CrossEntropy().fake(v))
    best = tf.constant(CASES[d.CrossEntropy][0][:, None], tf.float32)
    found = tf.reduce_sum(Q * d.LogRatio().generator(best))
    assert float(found) == pytest.approx(np.sum(Q * np.log(Q / P)), abs=1e-6)


def test_the_minimax_loss_is_the_value_of_the_game():
    """E log(1 - D): Goodfellow et al. 2014, equation 1."""
    v = tf.constant([[-3.0], [0.2], [4.0]])
    np.testing.assert_allclose(d.CrossEntropy(saturating=True).generator(v), np.log(1 - tf.sigmoid(v)[:, 0]), rtol=1e-5)


def test_hinge_spares_what_is_beyond_the_margin():
    v = tf.constant([[-2.0], [-0.5], [0.25], [3.0]])
    np.testing.assert_allclose(d.Hinge().real(v), [3.0, 1.5, 0.75, 0.0])
    np.testing.assert_allclose(d.Hinge().fake(v), [0.0, 0.5, 1.25, 4.0])
    np.testing.assert_allclose(d.Hinge().generator(v), [2.0, 0.5, -0.25, -3.0])


def test_the_best_hinge_critic_finds_the_total_variation():
    """v = sign(p - q), where the bound is -2 + ∑|p - q|: Lim and Ye 2017, theorem 1."""
    assert bound(d.Hinge, np.sign(P - Q)) == pytest.approx(np.abs(P - Q).sum() - 2, abs=1e-6)
    for step in (-0.1, 0.1):
        assert bound(d.Hinge, np.sign(P - Q) + step * np.eye(3)[0]) < bound(d.Hinge, np.sign(P - Q)) - 1e-3


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("saturating", [False, True])
def test_generators_lower_their_loss_by_raising_the_critics_output(kind, saturating):
    v = tf.constant([[-1.0], [0.0], [0.5]])
    assert kind().real(v).shape == kind().fake(v).shape == (3,)
    if kind in ONE_FORM:
        if saturating:
            with pytest.raises(TypeError, match="saturating"):
                kind(saturating=True)
        loss, expected = kind(), -v[:, 0]
    else:
        loss = kind(saturating)
        expected = -loss.fake(v) if saturating else loss.real(v)
    with tf.GradientTape() as tape:
        tape.watch(v)
        value = loss.generator(v)
    slope = tape.gradient(value, v)
    np.testing.assert_allclose(value, expected)
    if not (kind is d.LeastSquares and saturating):  # ½ v² turns at 0
        assert np.all(slope < 0)


def test_large_logits_stay_finite_where_they_can():
    v = tf.constant([[80.0], [-80.0]])
    for kind in KINDS:
        assert np.isfinite(kind().real(v)).all(), kind
        assert np.isfinite(kind().fake(v)).all(), kind
        assert np.isfinite(kind().generator(v)).all(), kind
