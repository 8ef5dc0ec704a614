"""The regularisers of a discriminator against closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.networks.layers import BatchNorm
from tfade.objectives.penalties import (
    R1,
    GradientPenalty,
    WeightClipping,
    gradient_norms,
    gradient_penalty,
    squared_gradient_norms,
)
from tfade.seeds import Seeds

SEEDS = Seeds(0, 1)


def linear(slope: float):
    return lambda x: slope * x[:, :1]


def quadratic(x):
    """Its gradient at x is x, so the penalty shows where it was evaluated."""
    return 0.5 * tf.reduce_sum(x**2, 1, keepdims=True)


def test_the_norm_is_that_of_a_whole_example():
    """Over all axes of an image, not only its rows, as Flow-GAN's code has it."""
    weights = tf.random.stateless_normal((4, 5, 3), (0, 1))
    x = tf.random.stateless_normal((6, 4, 5, 3), (1, 1))
    critic = lambda x: tf.reduce_sum(weights * x, (1, 2, 3))
    np.testing.assert_allclose(gradient_norms(critic, x), np.full(6, np.linalg.norm(weights)), rtol=1e-6)
    np.testing.assert_allclose(squared_gradient_norms(critic, x), np.full(6, np.sum(np.square(weights))), rtol=1e-6)


@pytest.mark.parametrize(
    ("slope", "target", "one_sided", "expected"),
    [
        (3.0, 1.0, False, 4.0),
        (3.0, 1.0, True, 4.0),
        (0.25, 1.0, False, 0.5625),
        (0.25, 1.0, True, 0.0),
        (-0.5, 0.0, False, 0.25),
        (-0.5, 0.0, True, 0.25),
        (1.5, 2.0, False, 0.25),
    ],
)
def test_the_penalty_of_a_linear_critic(slope, target, one_sided, expected):
    x = tf.ones((2, 4))
    penalty = GradientPenalty(target=target, one_sided=one_sided)(linear(slope), x, -x, SEEDS)
    np.testing.assert_allclose(penalty, [expected] * 2, rtol=1e-5, atol=1e-12)


def test_points_lie_between_data_and_samples():
    real, fake = tf.constant([[2.0, 0.0]] * 3), tf.constant([[0.0, 4.0]] * 3)
    mix = tf.constant([1.0, 0.0, 0.25])
    zero_centred = gradient_penalty(quadratic, real, fake, mix, target=0.0)
    np.testing.assert_allclose(zero_centred, [4.0, 16.0, 0.5**2 + 3.0**2], rtol=1e-6)
    one_centred = gradient_penalty(quadratic, real, fake, mix)
    np.testing.assert_allclose(one_centred, [1.0, 9.0, (9.25**0.5 - 1) ** 2], rtol=1e-5)


def test_the_noise_is_one_number_for_each_example_drawn_by_the_seeds():
    real, fake = tf.constant([[2.0, 0.0]] * 3), tf.constant([[0.0, 4.0]] * 3)
    expected = gradient_penalty(quadratic, real, fake, SEEDS.uniform("penalty", (3,)))
    np.testing.assert_array_equal(GradientPenalty()(quadratic, real, fake, SEEDS), expected)
    assert len(np.unique(expected)) == 3


def test_r1_depends_on_data_alone():
    real, fake = tf.constant([[2.0, 0.0], [3.0, 4.0]]), tf.constant([[np.nan, np.nan]] * 2)
    np.testing.assert_allclose(R1()(quadratic, real, fake, SEEDS), [2.0, 12.5], rtol=1e-6)


def test_the_norm_of_nested_examples_is_over_all_float_parts():
    """½ |x|² + y·z + label at (x, z, label): a gradient of (x, y); labels have none and are not mixed."""
    y = tf.constant([3.0, 4.0])

    def critic(examples):
        x, rest = examples
        return 0.5 * tf.reduce_sum(x**2, (1, 2)) + tf.linalg.matvec(rest["z"], y) + tf.cast(rest["label"], tf.float32)

    def examples(value, label):
        return tf.fill((2, 2, 2), value), {"z": tf.ones((2, 2)), "label": tf.fill((2,), label)}

    real, fake, mix = examples(2.0, 7), examples(0.0, 1), tf.constant([1.0, 0.5])
    np.testing.assert_allclose(squared_gradient_norms(critic, real), [16.0 + 25.0] * 2, rtol=1e-6)
    np.testing.assert_allclose(R1()(critic, real, fake, SEEDS), [20.5] * 2, rtol=1e-6)
    np.testing.assert_allclose(gradient_penalty(critic, real, fake, mix, target=0.0), [41.0, 29.0], rtol=1e-6)
    labels = []
    gradient_penalty(lambda parts: labels.append(parts[1]["label"]) or critic(parts), real, fake, mix)
    np.testing.assert_array_equal(labels, [[7, 7]])


def test_a_part_that_the_critic_ignores_counts_nothing():
    pair = tf.ones((2, 3)), tf.ones((2, 5))
    np.testing.assert_allclose(gradient_norms(lambda parts: 2.0 * parts[0][:, :1], pair), [2.0, 2.0], rtol=1e-6)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_constant_critic_has_a_finite_gradient(target):
    """√0 has none; a critic that starts at 0 must be able to leave it."""
    weight = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        x, mix = tf.ones((2, 1)), tf.constant([0.3, 0.6])
        loss = tf.reduce_mean(gradient_penalty(lambda x: weight * x, x, 0 * x, mix, target))
    assert np.isfinite(tape.gradient(loss, weight))
    assert float(loss) == pytest.approx(target, abs=1e-5)


@pytest.mark.parametrize("penalty", [GradientPenalty(target=0.0), R1()], ids=["zero-centred", "r1"])
def test_squared_norms_have_the_exact_gradient(penalty):
    """Of w² and ½ w², in w, however small: no square root with its guard is on the way."""
    weight = tf.Variable(1e-5)
    with tf.GradientTape() as tape:
        value = penalty(lambda x: weight * x, tf.ones((1, 1)), tf.zeros((1, 1)), SEEDS)
    factor = 1.0 if isinstance(penalty, R1) else 2.0
    np.testing.assert_allclose(tape.gradient(value, weight), factor * 1e-5, rtol=1e-6)


def test_penalties_are_in_float32():
    half = lambda x: tf.cast(x, tf.float16) * tf.constant(0.5, tf.float16)
    x = tf.ones((2, 1))
    for penalty in (GradientPenalty(), R1(), WeightClipping()):
        value = penalty(half, x, 0 * x, SEEDS)
        assert (value.shape, value.dtype) == ((2,), tf.float32)


@pytest.mark.parametrize("penalty", [GradientPenalty, R1])
def test_a_penalised_critic_must_not_mix_examples(penalty):
    def layers():
        return [keras.layers.Dense(3), keras.Sequential([BatchNorm(name="hidden_norm")]), keras.layers.Dense(1)]

    critic = keras.Sequential([keras.Input((2,)), *layers()])
    with pytest.raises(
        UsageError, match=f"{penalty.__name__} with weight=2.0.*'hidden_norm' normalises over the batch"
    ):
        penalty(weight=2.0).prepare(critic)
    penalty(weight=0.0).prepare(critic)
    WeightClipping().prepare(critic)


def test_invalid_weights_are_rejected():
    for make in (lambda: GradientPenalty(weight=-1.0), lambda: R1(weight=float("nan"))):
        with pytest.raises(UsageError, match=r"\.weight=.* must be a finite number ≥ 0"):
            make()
    with pytest.raises(UsageError, match=r"R1\.interval=0"):
        R1(interval=0)
    with pytest.raises(UsageError, match=r"GradientPenalty.target=-1"):
        GradientPenalty(target=-1.0)
    with pytest.raises(UsageError, match=r"WeightClipping.limit=0"):
        WeightClipping(limit=0.0)


@pytest.mark.parametrize("optimizer", ["sgd", "scaled"])
def test_clipping_bounds_the_weights_after_an_update(optimizer):
    critic = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    WeightClipping(limit=0.05).prepare(critic)
    made = keras.optimizers.SGD(1.0)
    if optimizer == "scaled":
        made = keras.optimizers.LossScaleOptimizer(made, initial_scale=1.0)
    weights = critic.trainable_variables
    made.apply([tf.ones(weight.shape) for weight in weights], weights)
    values = np.concatenate([np.ravel(w.numpy()) for w in weights])
    np.testing.assert_array_equal(values, np.float32(-0.05))
