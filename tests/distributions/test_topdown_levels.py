"""One level of latents inside a decoder: densities against closed forms and Jacobians."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import norm

from tests.models.vaes import LEVELS, disturb, levels
from tfade.distributions.topdown_levels import TopDownLevel, precision_weighted


def level_of(variant, spread=0.3) -> TopDownLevel:
    keras.utils.set_random_seed(1)
    level = LEVELS[variant]((2, 2, 3), 2, 0)
    level.build_posterior((2, 2, 4))
    disturb(level, spread)
    return level


def features_of(rows=3, channels=3, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=(rows, 2, 2, channels)), tf.float32)


@pytest.mark.every(2, 1)
@levels
def test_densities_of_a_level_are_those_of_its_map_from_noise(variant):
    """log q = log N(ε; 0, I) - log |det ∂z/∂ε|, the Jacobian by automatic differentiation."""
    level = level_of(variant)
    features, bottom_up = features_of(), features_of(channels=4, seed=1)
    noise = tf.constant(np.random.default_rng(2).normal(size=(3, 8)), tf.float32)
    for given, name in (({"bottom_up": bottom_up}, "log_posterior"), ({"temperature": 0.7}, "log_prior")):
        with tf.GradientTape() as tape:
            tape.watch(noise)
            drawn = level(features, noise=noise, **given)[1]
        jacobian = tape.batch_jacobian(drawn.latents, noise).numpy().astype(np.float64)
        expected = norm.logpdf(noise).sum(-1) - np.linalg.slogdet(jacobian)[1]
        np.testing.assert_allclose(getattr(drawn, name), expected, rtol=1e-4, atol=1e-4)
        again = level(features, latents=drawn.latents, **given)[1]
        np.testing.assert_allclose(getattr(again, name), expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(again.latents, drawn.latents)


@pytest.mark.parametrize("merge", ["precision", "sum"])
def test_moments_and_divergence_of_a_level_in_closed_form(merge):
    level = level_of(merge, 0.1)
    features, bottom_up = features_of(), features_of(channels=4, seed=1)
    drawn = level(features, noise=tf.zeros((3, 8)), bottom_up=bottom_up)[1]

    def moments(convolution, value):
        mean, log_scale = np.split(convolution(value).numpy().astype(np.float64), 2, -1)
        return mean.reshape(3, 8), log_scale.reshape(3, 8)

    prior_mean, prior_scale = moments(level.prior, features)
    mean, scale = moments(level.bottom_up, bottom_up)
    prior_scale = np.exp(prior_scale)
    if merge == "sum":
        more_mean, more_scale = moments(level.top_down, features)
        mean, scale = mean + more_mean, np.exp(scale + more_scale)
    else:
        precisions = prior_scale**-2, np.exp(-2 * scale)
        mean = (prior_mean * precisions[0] + mean * precisions[1]) / sum(precisions)
        scale = sum(precisions) ** -0.5
    np.testing.assert_allclose(drawn.latents, mean, rtol=1e-3, atol=1e-4)
    ratio = scale / prior_scale
    kl = np.sum(0.5 * (ratio**2 + ((mean - prior_mean) / prior_scale) ** 2 - 1) - np.log(ratio), -1)
    np.testing.assert_allclose(drawn.kl, kl, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(drawn.log_prior, norm.logpdf(mean, prior_mean, prior_scale).sum(-1), rtol=1e-3)


def test_precision_weighting_of_far_unlike_scales():
    """The sharper normal wins, and nothing overflows."""
    mean, log_scale = precision_weighted((tf.constant(1.0), tf.constant(-9.0)), (tf.constant(-5.0), tf.constant(9.0)))
    np.testing.assert_allclose([mean, log_scale], [1.0, -9.0], atol=1e-5)
    mean, log_scale = precision_weighted((tf.constant(1.0), tf.constant(0.5)), (tf.constant(3.0), tf.constant(0.5)))
    np.testing.assert_allclose([mean, log_scale], [2.0, 0.5 - 0.5 * np.log(2)], rtol=1e-6)


def test_a_sum_starts_at_the_prior():
    level = LEVELS["sum_iaf"]((2, 2, 3), 2, 0)
    level.build_posterior((2, 2, 4))
    drawn = level(features_of(), noise=tf.ones((3, 8)), bottom_up=features_of(channels=4))[1]
    np.testing.assert_allclose(drawn.kl, 0.0, atol=1e-5)
