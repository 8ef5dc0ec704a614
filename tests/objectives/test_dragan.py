"""DRAGAN's penalty: where it looks, on one replica or two, and with other data than images."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.objectives.dragan import DRAGAN, global_deviation
from tfade.seeds import Seeds
from tfade.training.strategy import make_strategy

X = tf.random.stateless_uniform((64, 5, 4), (0, 1), -0.5, 0.5)


def identity(points):
    """A critic with the gradient 2 (points - X) / …: its square root shows where it was evaluated."""
    return tf.reduce_sum((points - X) ** 2, (1, 2))


def distance(penalty):
    """‖x′ - x‖ of each example, from a penalty with the target 0: (2 ‖x′ - x‖)²."""
    return np.sqrt(penalty(identity, X, None, Seeds(3, 4))) / 2


def test_points_lie_around_the_data():
    deviation = float(tf.math.reduce_std(X))
    noise = Seeds(3, 4).uniform("penalty 0", X.shape)
    expected = np.linalg.norm((deviation * (noise - 0.5)).numpy().reshape(64, -1), axis=1)
    np.testing.assert_allclose(distance(DRAGAN(target=0.0)), expected, rtol=1e-4)


def test_points_of_the_authors_code_lie_on_one_side():
    deviation, seeds = float(tf.math.reduce_std(X)), Seeds(3, 4)
    noise, mix = seeds.uniform("penalty 0", X.shape), seeds.uniform("penalty mix 0", (64, 1, 1))
    expected = np.linalg.norm((0.5 * mix * deviation * noise).numpy().reshape(64, -1), axis=1)
    np.testing.assert_allclose(distance(DRAGAN(target=0.0, interpolate=True)), expected, rtol=1e-4)


def test_points_stay_among_images():
    seen = []

    def critic(points):
        seen.append(points)
        return tf.reduce_sum(points, (1, 2))

    for limits in ((-0.4, 0.4), None):
        DRAGAN(limits=limits)(critic, X, None, Seeds(3, 4))
    assert float(tf.reduce_max(seen[0])) == pytest.approx(0.4)
    assert float(tf.reduce_max(seen[1])) > 0.5


@pytest.mark.parametrize("beside", [(), (X,)])
def test_latents_have_no_limits(beside):
    """Neither alone, as a discriminator of codes has them, nor beside images."""
    seen = []

    def critic(parts):
        seen.append(parts[-1])
        return tf.add_n([tf.reduce_sum(part, list(range(1, part.shape.rank))) for part in parts])

    DRAGAN()(critic, (*beside, tf.constant([[5.0, -4.0]] * 32 + [[-5.0, 4.0]] * 32)), None, Seeds(3, 4))
    assert float(tf.reduce_max(seen[0])) > 4


def test_four_times_the_weight_and_half_the_target_serve_for_twice_the_range():
    """Lucic et al. have images in [0, 1], we have them in [-1, 1]."""
    half = DRAGAN(target=0.5)(lambda x: tf.reduce_sum(tf.sin(3 * x), (1, 2)), X, None, Seeds(3, 4))
    unit = DRAGAN(limits=(0.0, 1.0))(
        lambda y: tf.reduce_sum(tf.sin(3 * (2 * y - 1)), (1, 2)), (X + 1) / 2, None, Seeds(3, 4)
    )
    np.testing.assert_allclose(unit, 4 * half, rtol=1e-3)


def test_the_penalty_of_a_linear_critic_and_of_pairs():
    slope = DRAGAN()(lambda x: 3.0 * x[:, 0, 0], X, None, Seeds(0, 0))
    np.testing.assert_allclose(slope, 4.0, rtol=1e-5)
    pair = X, tf.ones((64, 2))
    both = DRAGAN()(lambda pair: 3.0 * pair[0][:, 0, 0] + 4.0 * pair[1][:, 0], pair, None, Seeds(0, 0))
    np.testing.assert_allclose(both, 16.0, rtol=1e-5)
    labels = X, tf.zeros((64,), tf.int32)
    np.testing.assert_allclose(DRAGAN()(lambda pair: 3.0 * pair[0][:, 0, 0], labels, None, Seeds(0, 0)), 4.0, rtol=1e-5)


def test_the_deviation_is_that_of_the_global_batch():
    strategy = make_strategy(devices=2)

    def of_part():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return global_deviation(X[32:] + 7.0 if replica else X[:32])

    values = strategy.experimental_local_results(strategy.run(of_part))
    expected = np.std(np.concatenate([X[:32], X[32:] + 7.0]))
    np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.parametrize("limits", [3, (1.0, 1.0), (0.0,), ("x", 1), (0.0, float("nan"))])
def test_wrong_limits_are_refused(limits):
    with pytest.raises(UsageError, match="DRAGAN.limits="):
        DRAGAN(limits=limits)
