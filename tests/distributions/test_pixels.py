"""Distributions of pixels: a pmf sums to 1, densities are those of scipy, means are means."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import logistic, norm

from tfade.distributions.pixels import Bernoulli, Categorical, DiscretizedLogistic, IsotropicNormal, QuantizedNormal
from tfade.errors import UsageError

SHAPE = (2, 2, 3)


def built(make, **arguments):
    layer = make(**arguments)
    layer.build(SHAPE, True)
    return layer


def parameters(layer, scale=1.0, batch=4):
    shape = (batch, *SHAPE[:2], SHAPE[2] * layer.size)
    return tf.constant(scale * np.random.default_rng(0).normal(size=shape), tf.float32)


@pytest.mark.every(3)
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize(
    "layer",
    [built(Categorical), built(DiscretizedLogistic), built(DiscretizedLogistic, isotropic=False), built(Bernoulli)],
    ids=lambda layer: f"{layer.name}",
)
def test_a_pmf_sums_to_one(layer, scale):
    distribution = layer.distribution(parameters(layer, scale)).distribution
    levels = [distribution.log_prob(tf.fill((4, *SHAPE), float(level))) for level in range(layer.pixel_levels)]
    np.testing.assert_allclose(tf.reduce_sum(tf.exp(levels), 0), 1.0, rtol=1e-4)


def test_discretized_logistic_is_a_difference_of_cdfs():
    layer = built(DiscretizedLogistic, initial_scale=0.1)
    theta = parameters(layer)
    mean, s = 255 / (1 + np.exp(-theta.numpy().astype(np.float64))), 255 * 0.1
    for level in (0, 1, 100, 254, 255):
        lower = logistic.cdf((level - 0.5 - mean) / s) if level > 0 else 0.0
        upper = logistic.cdf((level + 0.5 - mean) / s) if level < 255 else 1.0
        found = layer.distribution(theta).distribution.log_prob(tf.fill(theta.shape, float(level)))
        np.testing.assert_allclose(found, np.log(upper - lower), rtol=1e-3)


def test_far_levels_have_finite_gradients():
    layer = built(DiscretizedLogistic, initial_scale=0.002)
    theta = tf.fill((1, *SHAPE), 40.0)
    with tf.GradientTape() as tape:
        tape.watch(theta)
        log_prob = layer.distribution(theta).log_prob(tf.fill((1, *SHAPE), 3.0))
    assert np.isfinite(log_prob).all()
    assert np.isfinite(tape.gradient(log_prob, theta)).all()


@pytest.mark.parametrize("kind", [IsotropicNormal, QuantizedNormal])
def test_normals_are_normal(kind):
    layer = built(kind, initial_scale=0.2, scale_range=(1e-6, 1e6))
    theta = parameters(layer)
    y = np.random.default_rng(1).uniform(size=(4, *SHAPE))
    mean, *rest = np.split(theta.numpy().astype(np.float64), layer.size, -1)
    scale = 0.2 * np.exp(rest[0]) if rest else 0.2
    expected = norm(1 / (1 + np.exp(-mean)), scale).logpdf(y).sum((1, 2, 3))
    np.testing.assert_allclose(
        layer.distribution(theta).log_prob(tf.constant(y, tf.float32)),
        expected,
        rtol=1e-5 if kind is IsotropicNormal else 2e-2,
    )


@pytest.mark.parametrize("kind", [Bernoulli, IsotropicNormal, QuantizedNormal, DiscretizedLogistic, Categorical])
def test_means_are_means_of_draws(kind):
    layer = built(kind)
    theta = parameters(layer, 2.0 if kind is DiscretizedLogistic else 1.0)  # some near the ends, whose tails are cut
    draws = layer.distribution(theta).sample(4000, seed=(1, 2))
    np.testing.assert_allclose(tf.reduce_mean(layer.as_image(draws), 0), layer.mean(theta), atol=0.05)


def test_what_the_distribution_is_of():
    unit = tf.constant(np.arange(256).reshape(1, 16, 16, 1) / 255, tf.float32)
    noise = tf.constant(np.random.default_rng(0).uniform(size=unit.shape), tf.float32)
    np.testing.assert_array_equal(built(Categorical).target(unit, noise)[0, ..., 0], np.arange(256).reshape(16, 16))
    y = built(IsotropicNormal).target(unit, noise).numpy()
    np.testing.assert_array_equal(np.floor(256 * y)[0, ..., 0], np.arange(256).reshape(16, 16))
    many = tf.repeat(unit, 2000, 0)
    binary = built(Bernoulli).target(many, tf.random.stateless_uniform(many.shape, (0, 1)))
    assert set(np.unique(binary)) == {0.0, 1.0}
    np.testing.assert_allclose(tf.reduce_mean(binary, 0), unit[0], atol=0.08)
    np.testing.assert_allclose(built(Categorical).as_image(built(Categorical).target(unit, noise)), unit, atol=1e-6)


@pytest.mark.parametrize("arguments", [{"initial_scale": 0.0}, {"scale_range": (1.0, 0.1)}, {"initial_scale": 20.0}])
def test_invalid_scales_are_rejected(arguments):
    with pytest.raises(UsageError, match="scale"):
        IsotropicNormal(**arguments)


def test_a_fixed_scale_is_not_trained():
    fixed = built(IsotropicNormal, initial_scale=0.05, learned=False)
    assert not fixed.trainable_variables
    assert float(fixed.scale()) == pytest.approx(0.05)
    assert len(built(IsotropicNormal).trainable_variables) == 1
