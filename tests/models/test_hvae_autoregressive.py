"""Levels of latents that are autoregressive over their map: densities, orders, and the bound against quadrature."""

import functools
import itertools
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from tests.flows.cases import perturb
from tests.helpers import assert_every_variable_gets_a_gradient
from tests.models import toys
from tests.models.cases import NORMAL
from tests.models.properties import source
from tfade.distributions.pixels import Bernoulli
from tfade.distributions.topdown_autoregressive import AutoregressiveLevel
from tfade.errors import UsageError
from tfade.flows.autoregressive import IAF
from tfade.models.vae import VAE
from tfade.networks.made import MADE
from tfade.networks.pixel_cnn import GatedPixelCNN
from tfade.networks.topdown import BottomUpEncoder
from tfade.networks.topdown_decoder import TopDownDecoder

MASKED = functools.partial(GatedPixelCNN, width=4, depth=2, kernel_size=3)
STEPS = functools.partial(IAF, conditioner=functools.partial(MADE, width=8))
levels = functools.partial(functools.partial, AutoregressiveLevel, network=MASKED)
VARIANTS = {"precision": ("precision", None), "sum": ("sum", None), "sum_iaf": ("sum", STEPS)}
variants = pytest.mark.parametrize("variant", VARIANTS)


def level_of(variant) -> AutoregressiveLevel:
    keras.utils.set_random_seed(1)
    merge, flow = VARIANTS[variant]
    level = AutoregressiveLevel((2, 2, 3), 1, 0, merge, flow, functools.partial(MASKED, width=12))
    level.build_posterior((2, 2, 4))
    perturb(level, 0.5)
    return level


def normal(*shape, seed=0):
    return tf.random.stateless_normal(shape, (seed, 7))


@pytest.mark.every(3, 2)
@variants
def test_densities_are_those_of_the_map_from_noise(variant, eager):
    """log p and log q are log N(ε; 0, I) - log |det ∂z/∂ε|; each is triangular over the places, a flow aside."""
    level = level_of(variant)
    features, bottom_up, noise = normal(2, 2, 2, 3), normal(2, 2, 2, 4, seed=1), normal(2, 4, seed=2)
    for given, name in (({"bottom_up": bottom_up}, "log_posterior"), ({"temperature": 0.7}, "log_prior")):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(noise)
            drawn = level(features, noise=noise, **given)[1]
            numbers = tf.unstack(drawn.latents, axis=1)
        jacobian = np.stack([tape.gradient(number, noise) for number in numbers], 1).astype(np.float64)
        expected = norm.logpdf(noise).sum(-1) - np.linalg.slogdet(jacobian)[1]
        np.testing.assert_allclose(getattr(drawn, name), expected, rtol=1e-4, atol=1e-4)
        again = level(features, latents=drawn.latents, **given)[1]
        np.testing.assert_allclose(getattr(again, name), expected, rtol=1e-4, atol=1e-4)
        place = np.arange(4)
        assert np.all(jacobian[:, place[:, None] < place] == 0)
        assert level.flow is not None or np.all(np.any(jacobian[:, place[:, None] > place] != 0, 0))


@pytest.mark.every(3)
@variants
def test_one_evaluation_of_the_masked_network_serves_all_densities(variant):
    level, features, given = level_of(variant), normal(2, 2, 2, 3), {"bottom_up": normal(2, 2, 2, 4)}
    for conditions in ({}, given):
        for latents in ({"noise": normal(2, 4)}, {"latents": normal(2, 4)}):
            with mock.patch.object(GatedPixelCNN, "call", autospec=True, side_effect=GatedPixelCNN.call) as calls:
                level(features, **conditions, **latents)
            assert calls.call_count == 1


@pytest.mark.every(2)
@pytest.mark.parametrize("variant", ["precision", "sum"])
def test_the_divergence_of_conditionals_has_the_mean_of_log_q_minus_log_p(variant):
    level = level_of(variant)
    rows = 4000
    features, bottom_up = (tf.repeat(normal(1, 2, 2, n, seed=n), rows, 0) for n in (3, 4))
    drawn = level(features, noise=normal(rows, 4, seed=2), bottom_up=bottom_up)[1]
    gap = (drawn.kl - (drawn.log_posterior - drawn.log_prior)).numpy()
    assert np.std(gap) > 0.01
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(rows)


def test_a_sum_starts_at_the_prior_and_noise_of_a_cold_prior_shrinks():
    level = AutoregressiveLevel((2, 2, 3), 2, 0, "sum", None, MASKED)
    level.build_posterior((2, 2, 4))
    drawn = level(normal(3, 2, 2, 3), noise=normal(3, 8), bottom_up=normal(3, 2, 2, 4))[1]
    np.testing.assert_allclose(drawn.kl, 0.0, atol=1e-5)
    cold = level(normal(3, 2, 2, 3), noise=normal(3, 8), temperature=0.25)[1]
    np.testing.assert_allclose(cold.latents, 0.25 * drawn.latents, rtol=1e-4)


# ---- The model ----


def tiny_encoder(image_shape, outputs):
    """A network with one feature map, of side 1×2."""
    return keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Conv2D(3, 2, strides=2),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(outputs),
        ]
    )


def tiny_decoder(image_shape, latent_size, activation=None):
    return keras.Sequential(
        [
            keras.Input((latent_size,)),
            keras.layers.Dense(8),
            keras.layers.Reshape((1, 2, 4)),
            keras.layers.ReLU(),
            keras.layers.Conv2DTranspose(image_shape[-1], 2, strides=2),
        ]
    )


@pytest.mark.every(3, 1)
@variants
def test_the_bound_approaches_the_likelihood_by_quadrature(variant):
    """Three latents: one at the top, two places. log p(x) = log E_ε p(x | z(ε)) by Gauss and Hermite's rule."""
    keras.utils.set_random_seed(2)
    merge, flow = VARIANTS[variant]
    model = VAE(
        (2, 4, 1),
        latent_size=1,
        context_size=3,
        encoder=functools.partial(BottomUpEncoder, network=tiny_encoder),
        decoder=functools.partial(
            TopDownDecoder, network=tiny_decoder, channels=(1,), level=levels(merge=merge, flow=flow)
        ),
        posterior=NORMAL,
        pixels=Bernoulli,
    )
    for network in model.networks.values():
        perturb(network, 0.3)
    # A posterior that is wider than the prior: importance weights are bounded then.
    (level,) = model.decoder.level_layers
    level.bottom_up.trainable_variables[1].assign_add(
        [0.0, 1.0 if merge == "precision" else 0.4, 0.0][: 3 if flow else 2]
    )
    model.networks["posterior"].offset.assign_add([0.0, 0.4])
    images = (255 * (np.random.default_rng(0).uniform(size=(3, 2, 4, 1)) < 0.5)).astype(np.uint8)
    points, weights = np.polynomial.hermite_e.hermegauss(24)
    nodes = np.array(list(itertools.product(points, repeat=3)), np.float32)
    log_weights = np.log(np.prod(list(itertools.product(weights / weights.sum(), repeat=3)), 1))
    parameters, _ = model.decoder(nodes[:, :1], noise=nodes[:, 1:], training=False)
    pmf = model.networks["pixels"].distribution(parameters)
    expected = [np.logaddexp.reduce(log_weights + pmf.log_prob(image / np.float32(255)).numpy()) for image in images]
    found = model.log_prob(images, num_samples=5000).numpy()
    np.testing.assert_allclose(found, expected, atol=0.07 if flow else 0.035)  # four standard errors


@pytest.mark.every(3, 2)
@variants
def test_every_variable_gets_a_gradient_and_everything_is_answered(variant, eager):
    keras.utils.set_random_seed(4)
    merge, flow = VARIANTS[variant]
    model = VAE(
        source("images").spec,
        latent_size=3,
        context_size=4,
        encoder=functools.partial(BottomUpEncoder, network=toys.ENCODER),
        decoder=functools.partial(
            TopDownDecoder, network=toys.DECODER, channels=(1,), level=levels(merge=merge, flow=flow)
        ),
        posterior=NORMAL,
    )
    perturb(model, 0.3)
    model.compile(lambda name: keras.optimizers.Adam(1e-3))
    images = source("images").fetch(np.arange(4))
    assert_every_variable_gets_a_gradient(model, images)
    codes = model.encode(images).sample(seed=(1, 2))
    for distribution in (model.encode(images), model.prior()):
        assert np.isfinite(distribution.log_prob(codes)).all()
    alone = model.encode(images[2:3]).log_prob(codes[2:3])
    np.testing.assert_allclose(alone[0], model.encode(images).log_prob(codes)[2], rtol=1e-3)
    assert model.sample(2, 0.7, seed=1).shape == (2, 8, 8, 1)
    np.testing.assert_array_equal(model.reconstruct(images), model.decode(model.codes(images)))


def test_parts_that_do_not_fit_are_refused():
    decoder = functools.partial(TopDownDecoder, (8, 8, 1), 3, network=toys.DECODER, channels=(1,))
    with pytest.raises(UsageError, match="merge='precision' multiplies the conditionals"):
        decoder(level=levels(merge="precision", flow=STEPS))
    with pytest.raises(UsageError, match="AutoregressiveLevel.network=3 is not a class"):
        decoder(level=levels(network=3))
