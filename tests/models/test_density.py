"""The density as a model: its loss, its answers, and that every density trains in it."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.distributions.autoregressive_networks import AutoregressiveLSTM, AutoregressiveMADE
from tfade.distributions.flow import FlowDistribution
from tfade.distributions.gaussian import DiagonalNormal, FullNormal
from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError
from tfade.flows.actnorm import ActNorm
from tfade.flows.coupling import Coupling
from tfade.flows.stack import Stack
from tfade.models.density import DensityModel
from tfade.models.optimization import Optimization
from tfade.seeds import Seeds
from tfade.spec import Batch

DENSITIES = {
    "diagonal": DiagonalNormal,
    "full": FullNormal,
    "mixture": functools.partial(GaussianMixture, 3),
    "lstm": functools.partial(AutoregressiveLSTM, width=8, components=2),
    "made": functools.partial(AutoregressiveMADE, components=2),
    "real_nvp": lambda: FlowDistribution(Stack((ActNorm, Coupling))),
}
OPTIMAL = ("diagonal", "full")  # these start where they end
VECTORS = np.random.default_rng(0).normal(size=(64, 3))
VECTORS[:, 1] += VECTORS[:, 0] ** 2
VECTORS = (VECTORS * [1, 5, 0.3] + [4, 0, -2]).astype("float32")


def compiled(distribution, **arguments) -> DensityModel:
    keras.utils.set_random_seed(0)
    model = DensityModel((3,), distribution)
    model.compile(lambda player: keras.optimizers.Adam(1e-2), Optimization(**arguments))
    return model


def endless():
    return tf.data.Dataset.from_tensors(VECTORS).repeat()


@pytest.mark.every(3, 1)
@pytest.mark.parametrize("name", DENSITIES)
def test_every_density_starts_at_the_data_and_learns(name):
    model = compiled(DENSITIES[name])
    before = {name: variable.numpy() for name, variable in model.state().items() if name.startswith("density")}
    reported = model.fit(endless(), steps_per_epoch=1, epochs=25, verbose=0, shuffle=False).history["density/nll"]
    assert reported[0] < 7.5  # a Gaussian of the data's moments has 6.0, a standard one far more
    assert reported[-1] < reported[0] - (-1e-2 if name in OPTIMAL else 2e-2)
    np.testing.assert_allclose(
        np.mean(model.validate(Batch(VECTORS))["nll"]), -np.mean(model.log_prob(VECTORS)), rtol=1e-6
    )
    moved = [variable for variable, value in before.items() if np.any(value != model.state()[variable].numpy())]
    assert len(moved) >= len(model.density.trainable_variables)


def test_the_loss_is_the_negative_log_likelihood():
    model = compiled(DiagonalNormal)
    losses = model.losses(Batch(tf.constant(VECTORS)), Seeds(0, 0))
    assert {player: list(terms) for player, terms in losses.items()} == {"density": ["nll"]}
    by_hand = 0.5 * np.sum(VECTORS**2, -1) + 1.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(losses["density"]["nll"], by_hand, rtol=1e-3)


def test_the_public_interface():
    model = compiled(functools.partial(GaussianMixture, 3))
    assert model.likelihood == "exact"
    model.initialise(Batch(VECTORS))
    samples = model.sample(500, seed=1)
    assert (samples.shape, samples.dtype) == ((500, 3), tf.float32)
    np.testing.assert_array_equal(samples, model.sample(500, seed=1))
    assert np.any(samples != model.sample(500, seed=2))
    assert np.any(model.sample(5) != model.sample(5))
    np.testing.assert_allclose(np.mean(samples, 0), VECTORS.mean(0), atol=1.0)
    cold = model.distribution(0.5)
    np.testing.assert_array_equal(model.sample(4, temperature=0.5, seed=tf.constant(3)), model.sample(4, 0.5, 3))
    assert np.mean(model.distribution().log_prob(cold.sample(200, seed=(1, 2)))) > np.mean(model.log_prob(samples))
    with pytest.raises(UsageError, match="temperature=0"):
        model.sample(3, temperature=0)
    with pytest.raises(NotImplementedError, match="DensityModel cannot encode"):
        model.encode(VECTORS)


def test_data_show_where_to_start_once():
    """The vectors that were shown first count, not the first batch of training that comes after them."""
    model = compiled(DiagonalNormal)
    model.initialise(Batch(VECTORS))
    np.testing.assert_allclose(model.density.shift, VECTORS.mean(0), rtol=1e-5)
    model.fit(tf.data.Dataset.from_tensors(VECTORS + 100), steps_per_epoch=1, verbose=0, shuffle=False)
    np.testing.assert_allclose(model.density.shift, VECTORS.mean(0), rtol=1e-5)


def test_training_starts_from_a_fit_by_expectation_maximisation():
    model = compiled(functools.partial(GaussianMixture, 3))
    model.density.fit_em(VECTORS)
    before = np.mean(model.log_prob(VECTORS))
    first = model.fit(endless(), steps_per_epoch=1, verbose=0, shuffle=False).history["density/nll"]
    np.testing.assert_allclose(first, -before, rtol=1e-5)


def test_averages_start_where_the_density_does():
    model = compiled(DiagonalNormal, average_decay={"density": 0.9})
    model.fit(endless(), steps_per_epoch=1, verbose=0, shuffle=False)
    average, trained = model.averages.networks["density"], model.density
    np.testing.assert_allclose(average.offset.numpy(), trained.offset.numpy(), atol=0.02)
    np.testing.assert_array_equal(model.log_prob(VECTORS), average.distribution().log_prob(VECTORS))


def test_images_are_refused():
    with pytest.raises(UsageError, match="vectors"):
        DensityModel((16, 16, 1))
