"""The gradient penalty against closed forms."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.objectives.penalties import gradient_penalty, slopes


def test_the_norm_is_that_of_a_whole_example():
    """Over all axes of an image, not only its rows, as Flow-GAN's code has it."""
    weights = tf.random.stateless_normal((4, 5, 3), (0, 1))
    x = tf.random.stateless_normal((6, 4, 5, 3), (1, 1))
    found = slopes(lambda x: tf.reduce_sum(weights * x, (1, 2, 3)), x)
    np.testing.assert_allclose(found, np.full(6, np.linalg.norm(weights)), rtol=1e-6)


@pytest.mark.parametrize(
    ("slope", "one_sided", "expected"), [(3.0, False, 4.0), (3.0, True, 4.0), (0.25, False, 0.5625), (0.25, True, 0.0)]
)
def test_the_penalty_of_a_linear_critic(slope, one_sided, expected):
    x = tf.ones((2, 4))
    penalty = gradient_penalty(lambda x: slope * x[:, :1], x, -x, tf.constant([0.0, 0.5]), one_sided=one_sided)
    np.testing.assert_allclose(penalty, [expected] * 2, rtol=1e-5)


def test_points_lie_between_data_and_samples():
    """The slope of ½|x|² is |x|: it tells where the penalty looked."""
    real, fake = tf.constant([[2.0, 0.0]] * 3), tf.constant([[0.0, 4.0]] * 3)
    mix = tf.constant([1.0, 0.0, 0.25])
    penalty = gradient_penalty(lambda x: 0.5 * tf.reduce_sum(x**2, 1), real, fake, mix, target=0.0)
    np.testing.assert_allclose(penalty, [4.0, 16.0, 0.5**2 + 3.0**2], rtol=1e-5)


def test_a_constant_critic_has_a_finite_gradient():
    """√0 has none; a critic that starts at 0 must be able to leave it."""
    weight = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        penalty = gradient_penalty(lambda x: weight * x, tf.ones((2, 1)), tf.zeros((2, 1)), tf.constant([0.3, 0.6]))
        loss = tf.reduce_mean(penalty)
    assert np.isfinite(tape.gradient(loss, weight))
    assert float(loss) == pytest.approx(1.0, abs=1e-5)
