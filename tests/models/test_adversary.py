"""The adversarial part that models share: what is evaluated, what is returned, where gradients go."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.adversary import Adversary
from tfade.models.players import Weighted
from tfade.networks.discriminators import MLPDiscriminator
from tfade.networks.layers import BatchNorm
from tfade.objectives.divergences import CrossEntropy, Hinge, LeastSquares, LogRatio, Wasserstein
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
    generator, discriminator = Adversary(critic, LogRatio, penalty).terms(REAL, {"fake": FAKE}, Seeds(0, 0))
    assert critic.calls == calls
    assert set(generator) == {"fake"}
    assert set(discriminator) == {"real", "fake"} | ({"r1"} if calls == 3 else set())
    values = tf.reduce_sum(FAKE**2, 1)
    np.testing.assert_allclose(generator["fake"], -values, rtol=1e-6)
    np.testing.assert_allclose(discriminator["fake"], tf.nn.softplus(values), rtol=1e-6)
    np.testing.assert_allclose(discriminator["real"], tf.nn.softplus(-tf.reduce_sum(REAL**2, 1)), rtol=1e-6)
    if calls == 3:
        weight, value = discriminator["r1"]
        assert weight == 1.0
        np.testing.assert_allclose(value, 2.0 * tf.reduce_sum(REAL**2, 1), rtol=1e-5)


@pytest.mark.parametrize("penalty", [R1, GradientPenalty])
def test_a_lazy_penalty_is_as_large_on_average(penalty):
    """Values and gradients are three times those of the penalty in every third step, and 0 in between."""
    critic = MLPDiscriminator((3,), width=4)

    @tf.function(autograph=False)
    def of_step(step, interval):
        with tf.GradientTape() as tape:
            adversary = Adversary(critic, Hinge, functools.partial(penalty, interval=interval))
            weight, value = Weighted.of(adversary.terms(REAL, {"fake": FAKE}, Seeds(0, step))[1][penalty.name])
            loss = weight * tf.reduce_sum(value)
        return value, tape.gradient(loss, critic.trainable_variables[:-1])  # but the last bias

    for step in range(4):
        (plain, lazy), factor = (of_step(tf.constant(step), interval) for interval in (1, 3)), 3.0 * (step % 3 == 0)
        for mine, others in zip(tf.nest.flatten(lazy), tf.nest.flatten(plain)):
            np.testing.assert_allclose(mine, factor * others, rtol=1e-5, atol=1e-7)
        assert np.any(plain[0])
        assert np.any(plain[1][0])


def test_points_of_the_penalty_are_drawn_by_the_seeds():
    seeds = Seeds(3, 5)
    penalty = functools.partial(GradientPenalty, target=0.0, weight=7.0)
    weight, value = Adversary(Counting(), Hinge, penalty).terms(REAL, {"fake": FAKE}, seeds)[1]["gradient_penalty"]
    mix = seeds.uniform("penalty", (6,))[:, None]
    assert weight == 7.0
    np.testing.assert_allclose(value, 4.0 * tf.reduce_sum((mix * REAL + (1 - mix) * FAKE) ** 2, 1), rtol=1e-5)


@pytest.mark.parametrize(("penalty", "calls"), [(GradientPenalty, 5), (R1, 4), (None, 3)])
def test_several_fakes(penalty, calls):
    """Each network is evaluated once on the data and once on each fake; the penalty is a mean over the fakes."""
    critic, seeds, other = Counting(), Seeds(3, 5), 2.0 * FAKE
    adversary = Adversary(critic, Hinge, penalty)
    generator, discriminator = adversary.terms(REAL, {"reconstruction": FAKE, "sample": other}, seeds)
    assert critic.calls == calls
    assert set(generator) == {"reconstruction", "sample"}
    assert set(discriminator) == {"real", "reconstruction", "sample"} | ({penalty.name} if penalty else set())
    alone = {name: adversary.terms(REAL, {name: x}, seeds) for name, x in (("reconstruction", FAKE), ("sample", other))}
    for name, (its_generator, its_discriminator) in alone.items():
        np.testing.assert_array_equal(generator[name], its_generator[name])
        np.testing.assert_array_equal(discriminator[name], its_discriminator[name])
    if penalty is not None:
        each = [terms[penalty.name].value for _, terms in alone.values()]
        np.testing.assert_allclose(discriminator[penalty.name].value, np.mean(each, 0), rtol=1e-6)


class Joint(keras.layers.Layer):
    """A discriminator of pairs (x, z): the sum of squares of both."""

    def call(self, pair, training=None):
        x, z = pair
        return tf.reduce_sum(x**2, 1, keepdims=True) + tf.reduce_sum(z**2, 1, keepdims=True)


@pytest.mark.parametrize(("penalty", "factor"), [(R1, 2.0), (functools.partial(GradientPenalty, target=0.0), 4.0)])
def test_pairs(penalty, factor):
    pair = (REAL, REAL[:, :2])
    generator, discriminator = Adversary(Joint(), Wasserstein, penalty).terms(pair, {"fake": pair}, Seeds(0, 0))
    square = tf.reduce_sum(REAL**2, 1) + tf.reduce_sum(REAL[:, :2] ** 2, 1)
    np.testing.assert_allclose(generator["fake"], -square, rtol=1e-6)
    *_, (_, value) = discriminator.values()
    np.testing.assert_allclose(value, factor * square, rtol=1e-5)


def test_constants_of_a_wasserstein_critic_cancel_with_two_fakes():
    """They would drift without bound if data counted once and samples twice, as VGH++ and the VAE-GAN have them."""

    def loss(shift):
        network = keras.layers.Lambda(lambda x: tf.reduce_sum(x, 1, keepdims=True) + shift)
        terms = Adversary(network, Wasserstein).terms(REAL, {"a": FAKE, "b": FAKE + 1.0}, Seeds(0, 0))[1]
        weights = {name: getattr(term, "weight", 1) for name, term in terms.items()}
        assert weights == {"real": 1, "a": 0.5, "b": 0.5}
        return sum(tf.reduce_mean(getattr(term, "value", term)) * weights[name] for name, term in terms.items())

    distances = 3.0 * (tf.reduce_mean(FAKE) - tf.reduce_mean(REAL)) + 1.5
    np.testing.assert_allclose(loss(0.0), distances, rtol=1e-5)
    np.testing.assert_allclose(loss(64.0), distances, rtol=1e-4)


@pytest.mark.parametrize("names", [[], ["real"], ["sample", "r1"]])
def test_names_of_fakes_are_checked(names):
    with pytest.raises(UsageError, match=r"fakes=.* must be non-empty .* reserved names \['r1', 'real'\]"):
        Adversary(Counting(), Hinge, R1).terms(REAL, dict.fromkeys(names, FAKE), Seeds(0, 0))


def test_the_discriminator_may_be_shown_others_in_the_place_of_the_fakes():
    """Its terms and its penalty are of those; the generator's are of its fakes, which nothing else reaches."""
    fake, shown = tf.Variable(FAKE), tf.Variable(2.0 * FAKE)
    adversary, seeds = Adversary(Counting(), Hinge, GradientPenalty), Seeds(0, 0)
    with tf.GradientTape(persistent=True) as tape:
        generator, discriminator = adversary.terms(REAL, {"fake": fake}, seeds, discriminator_fakes={"fake": shown})
    on_fakes, _ = adversary.terms(REAL, {"fake": FAKE}, seeds)
    _, on_shown = adversary.terms(REAL, {"fake": 2.0 * FAKE}, seeds)
    np.testing.assert_array_equal(generator["fake"], on_fakes["fake"])
    np.testing.assert_array_equal(discriminator["fake"], on_shown["fake"])
    np.testing.assert_array_equal(discriminator["gradient_penalty"].value, on_shown["gradient_penalty"].value)
    assert tape.gradient(discriminator["fake"], [fake, shown]) == [None, None]
    assert np.any(tape.gradient(generator["fake"], fake) != 0)
    with pytest.raises(UsageError, match=r"discriminator_fakes=\['old'\] must have the names of fakes=\['fake'\]"):
        adversary.terms(REAL, {"fake": FAKE}, seeds, discriminator_fakes={"old": FAKE})


class Patches(keras.layers.Layer):
    """A discriminator of single numbers: their squares, [batch, 3, 1]."""

    def call(self, inputs, training=None):
        return inputs[..., None] ** 2


def test_losses_of_patches_are_averaged():
    generator, discriminator = Adversary(Patches(), LeastSquares, R1).terms(REAL, {"fake": FAKE}, Seeds(0, 0))
    np.testing.assert_allclose(generator["fake"], tf.reduce_mean((FAKE**2 - 1) ** 2, 1) / 2, rtol=1e-5)
    np.testing.assert_allclose(discriminator["fake"], tf.reduce_mean(FAKE**4, 1) / 2, rtol=1e-5)
    np.testing.assert_allclose(discriminator["real"], tf.reduce_mean((REAL**2 - 1) ** 2, 1) / 2, rtol=1e-5)
    np.testing.assert_allclose(discriminator["r1"].value, tf.reduce_sum((2 * REAL / 3) ** 2, 1) / 2, rtol=1e-5)


@pytest.mark.parametrize("penalty", [GradientPenalty, R1])
def test_the_penalty_moves_the_discriminator_alone(penalty):
    adversary = Adversary(MLPDiscriminator((3,), 8, 2), CrossEntropy, penalty)
    real, fake = tf.Variable(REAL), tf.Variable(FAKE)
    with tf.GradientTape(persistent=True) as tape:
        generator, discriminator = adversary.terms(tf.stop_gradient(real), {"fake": fake}, Seeds(0, 0))
        value = tf.reduce_mean(discriminator[penalty.name].value)
    assert tape.gradient(value, fake) is None
    assert np.any(tape.gradient(generator["fake"], fake) != 0)
    reached = tape.gradient(value, adversary.network.trainable_variables)
    assert any(gradient is not None and np.any(gradient != 0) for gradient in reached)


@pytest.mark.parametrize("given", [{"divergence": Hinge()}, {"divergence": None}, {"penalty": R1()}, {"penalty": 10.0}])
def test_classes_are_wanted(given):
    with pytest.raises(UsageError, match=f"{next(iter(given))}=.* is not a class"):
        Adversary(Counting(), **{"divergence": Hinge, **given})


def test_a_penalty_that_does_not_go_with_the_network_is_refused():
    critic = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), BatchNorm(), keras.layers.Dense(1)])
    for penalty in (GradientPenalty, R1):
        with pytest.raises(UsageError, match="normalises over the batch"):
            Adversary(critic, CrossEntropy, penalty)
    Adversary(critic, CrossEntropy)
    Adversary(critic, CrossEntropy, WeightClipping)
