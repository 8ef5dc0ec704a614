"""The adversarial part that models share: what is evaluated, what is returned, where gradients go."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.adversary import Adversary
from tfade.networks.critics import DenseCritic
from tfade.networks.layers import BatchNorm
from tfade.objectives.divergences import CrossEntropy, Hinge, LogRatio
from tfade.objectives.penalties import R1, GradientPenalty, WeightClipping
from tfade.seeds import Seeds

REAL = tf.random.stateless_normal((6, 3), (0, 1))
FAKE = tf.random.stateless_normal((6, 3), (0, 2))


class Counting(keras.layers.Layer):
    """A critic x₁² + x₂² + x₃² that counts its calls; it has no weights."""

    calls = 0

    def call(self, inputs, training=None):
        self.calls += 1
        assert training
        return tf.reduce_sum(inputs**2, 1, keepdims=True)


@pytest.mark.parametrize(
    ("penalty", "calls"), [(None, 2), (WeightClipping, 2), (R1, 3), (functools.partial(R1, weight=0.0), 2)]
)
def test_one_evaluation_of_each_side_serves_both(penalty, calls):
    critic = Counting()
    generator, discriminator = Adversary(critic, LogRatio, penalty).terms(REAL, FAKE, Seeds(0, 0))
    assert critic.calls == calls
    assert set(discriminator) == {"real", "fake"} | ({"r1"} if calls == 3 else set())
    values = tf.reduce_sum(FAKE**2, 1)
    np.testing.assert_allclose(generator, -values, rtol=1e-6)
    np.testing.assert_allclose(discriminator["fake"], tf.nn.softplus(values), rtol=1e-6)
    np.testing.assert_allclose(discriminator["real"], tf.nn.softplus(-tf.reduce_sum(REAL**2, 1)), rtol=1e-6)
    if calls == 3:
        weight, value = discriminator["r1"]
        assert weight == 1.0
        np.testing.assert_allclose(value, 2.0 * tf.reduce_sum(REAL**2, 1), rtol=1e-5)


def test_points_of_the_penalty_are_drawn_by_the_seeds():
    seeds = Seeds(3, 5)
    penalty = functools.partial(GradientPenalty, target=0.0, weight=7.0)
    weight, value = Adversary(Counting(), Hinge, penalty).terms(REAL, FAKE, seeds)[1]["gradient_penalty"]
    mix = seeds.uniform("penalty", (6,))[:, None]
    assert weight == 7.0
    np.testing.assert_allclose(value, 4.0 * tf.reduce_sum((mix * REAL + (1 - mix) * FAKE) ** 2, 1), rtol=1e-5)


@pytest.mark.parametrize("penalty", [GradientPenalty, R1])
def test_the_penalty_moves_the_discriminator_alone(penalty):
    adversary = Adversary(DenseCritic((3,), 8, 2), CrossEntropy, penalty)
    real, fake = tf.Variable(REAL), tf.Variable(FAKE)
    with tf.GradientTape(persistent=True) as tape:
        generator, discriminator = adversary.terms(tf.stop_gradient(real), fake, Seeds(0, 0))
        value = tf.reduce_mean(discriminator[penalty.name].value)
    assert tape.gradient(value, fake) is None
    assert np.any(tape.gradient(generator, fake) != 0)
    reached = tape.gradient(value, adversary.network.trainable_variables)
    assert any(gradient is not None and np.any(gradient != 0) for gradient in reached)


@pytest.mark.parametrize("given", [{"divergence": Hinge()}, {"divergence": None}, {"penalty": R1()}, {"penalty": 10.0}])
def test_classes_are_wanted(given):
    with pytest.raises(UsageError, match=f"{next(iter(given))}=.* is no class"):
        Adversary(Counting(), **{"divergence": Hinge, **given})


def test_a_penalty_that_does_not_go_with_the_network_is_refused():
    critic = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), BatchNorm(), keras.layers.Dense(1)])
    for penalty in (GradientPenalty, R1):
        with pytest.raises(UsageError, match="normalises over the batch"):
            Adversary(critic, CrossEntropy, penalty)
    Adversary(critic, CrossEntropy)
    Adversary(critic, CrossEntropy, WeightClipping)
