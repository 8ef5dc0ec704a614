"""A VAE of vectors: the bound against the closed form of a linear Gaussian model, and everything it answers."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from tests.helpers import assert_same_state
from tfade.distributions.flow import FlowDistribution
from tfade.distributions.flow_densities import RealNVPDensity
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.mixture import GaussianMixture
from tfade.distributions.pixels import Categorical, QuantizedNormal
from tfade.errors import UsageError
from tfade.flows.coupling import Coupling
from tfade.models.density import DensityModel
from tfade.models.flow import FlowModel
from tfade.models.stages import Stage
from tfade.models.vae import VAE
from tfade.networks.conditioner import LinearConditioner, MLPConditioner
from tfade.networks.mlp import MLPDecoder, MLPEncoder
from tfade.spec import Batch
from tfade.training.checkpoints import restore, snapshot

VECTORS = np.random.default_rng(0).normal(1.0, 2.0, (40, 3)).astype(np.float32)
SMALL = {
    "latent_size": 2,
    "context_size": 5,
    "encoder": functools.partial(MLPEncoder, width=8),
    "decoder": functools.partial(MLPDecoder, width=8),
    "posterior": functools.partial(DiagonalNormal, conditioner=LinearConditioner),
}


class LinearDecoder(keras.Sequential):
    """x = W z + b."""

    def __init__(self, shape, latent_size, activation=None):
        super().__init__([keras.Input((latent_size,)), keras.layers.Dense(shape[0])])


def test_the_importance_weighted_bound_comes_to_the_closed_form():
    model = VAE((3,), **{**SMALL, "decoder": LinearDecoder})
    kernel, bias = (variable.numpy() for variable in model.decoder.variables)
    sigma = float(model.networks["pixels"].scale())
    covariance = kernel.T @ kernel + sigma**2 * np.eye(3)
    x = multivariate_normal(bias, covariance).rvs(8, random_state=1).astype(np.float32)
    exact = multivariate_normal(bias, covariance).logpdf(x)
    np.testing.assert_allclose(model.log_prob(x, num_samples=20_000), exact, atol=0.6)
    assert np.mean(model.log_prob(x)) < np.mean(exact)


@pytest.mark.full("as the VAE of vectors of test_properties")
@pytest.mark.parametrize("flow", [None, Coupling], ids=["vectors", "features"])
def test_it_trains_and_answers(flow):
    model = VAE((3,), flow=flow, pixels=QuantizedNormal, **SMALL)
    model.compile(lambda name: keras.optimizers.Adam(1e-2))
    before = float(tf.reduce_mean(model.log_prob(VECTORS)))
    step = tf.function(model.train_step, autograph=False)
    for _ in range(60):
        logs = step(tf.constant(VECTORS))
    assert all(np.isfinite(value) for value in logs.values())
    assert float(tf.reduce_mean(model.log_prob(VECTORS))) > before + 1.0
    assert model.sample(5, seed=0).shape == (5, 3)
    assert model.reconstruct(VECTORS).shape == (40, 3)
    assert set(model.validate(Batch(VECTORS))) == {"nll", "kl"}
    assert model.to_image(model.to_observation(VECTORS)[0]).shape == (40, 3)
    np.testing.assert_allclose(model.to_image(model.to_observation(VECTORS)[0]), VECTORS, atol=1e-4)


def test_the_first_batch_initialises_the_flow_of_the_prior():
    prior = functools.partial(RealNVPDensity, 1, conditioner=functools.partial(MLPConditioner, width=4))
    model = VAE((3,), prior=prior, **SMALL)
    model.compile(lambda name: keras.optimizers.SGD(0.0))
    offset = model.networks["posterior"].offset
    offset.assign(offset + 3.0)  # codes far from where an untrained prior expects them
    before = float(tf.reduce_mean(model.prior().log_prob(model.encode(VECTORS).sample(seed=1))))
    model.fit(tf.data.Dataset.from_tensors(VECTORS).repeat(), steps_per_epoch=1, verbose=0, shuffle=False)
    after = float(tf.reduce_mean(model.prior().log_prob(model.encode(VECTORS).sample(seed=1))))
    assert after > before + 3.0


MIXTURE = functools.partial(GaussianMixture, 2)
COUPLING = functools.partial(Coupling, conditioner=functools.partial(MLPConditioner, width=4))


@pytest.mark.every(4, 2)
@pytest.mark.parametrize(
    "make",
    [
        lambda: VAE((3,), prior=MIXTURE, **SMALL),
        lambda: FlowModel((3,), COUPLING, MIXTURE),
        lambda: DensityModel((3,), MIXTURE),
        lambda: DensityModel((3,), lambda: FlowDistribution(COUPLING, MIXTURE)),
    ],
    ids=["VAE", "FlowModel", "DensityModel", "flow over a mixture"],
)
def test_later_stages_keep_what_was_trained(make):
    """Data-dependent initialisation is for the first stage that moves a density, in a process that resumes, too."""
    stages = (Stage("first", 2), Stage("second", 2))
    batches = tf.data.Dataset.from_tensors(VECTORS).repeat()

    def compiled():
        model = make()
        model.compile(lambda name, of_stage: keras.optimizers.Adam(0.1), stages=stages)
        return model

    model, resumed = compiled(), compiled()
    model.fit(batches, steps_per_epoch=2, verbose=0, shuffle=False)
    model.finish_stage()
    restore(resumed, snapshot(model.state()))
    trained = snapshot(model.state())
    for each in (model, resumed):
        assert each.stage.name == "second"
        each.initialise(Batch(VECTORS))
        assert_same_state(snapshot(each.state()), trained)


def test_levels_are_of_images():
    with pytest.raises(UsageError, match="vectors"):
        VAE((3,), pixels=Categorical, **SMALL)
