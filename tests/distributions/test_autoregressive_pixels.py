"""Images pixel by pixel, and the mixture of discretised logistics: pmfs that sum to 1, and draws that follow them."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import logistic

from launch.benchmarks.pixel_cnn import one_pass_a_pixel
from tests.flows.cases import perturb
from tfade.distributions.autoregressive_pixels import AutoregressivePixels, PixelByPixel
from tfade.distributions.logistic_mixture import LogisticMixture
from tfade.distributions.pixels import Bernoulli, Categorical, IsotropicNormal
from tfade.errors import UsageError
from tfade.networks import pixel_cnn_sampling
from tfade.networks.pixel_cnn import GatedPixelCNN

NETWORK = functools.partial(GatedPixelCNN, width=5, depth=2, kernel_size=3)


class ThreeLevels(Categorical):
    size = pixel_levels = 3


def made(conditionals, shape=(2, 2, 1), features=2) -> PixelByPixel:
    keras.utils.set_random_seed(0)
    pixels = PixelByPixel(conditionals, NETWORK, features)
    pixels.build(shape)
    perturb(pixels)
    return pixels


def features_of(rows, side=2, channels=2):
    return tf.random.stateless_normal((rows, side, side, channels), (1, 2))


@pytest.mark.every(2)
@pytest.mark.parametrize(("conditionals", "channels"), [(ThreeLevels, 1), (Bernoulli, 2)])
def test_the_pmf_of_all_images_sums_to_one_and_draws_follow_it(conditionals, channels):
    pixels = made(conditionals, (2, 2, channels))
    images = np.array(list(itertools.product(range(pixels.pixel_levels), repeat=4 * channels)), np.float32)
    distribution = pixels.distribution(features_of(1))
    pmf = np.exp(distribution.log_prob(images.reshape(-1, 1, 2, 2, channels))[:, 0])
    np.testing.assert_allclose(pmf.sum(), 1.0, rtol=1e-5)
    assert pmf.max() > 1.5 * pmf.min()
    drawn = distribution.sample(4000, seed=(1, 2)).numpy().reshape(4000, -1)
    place = drawn @ pixels.pixel_levels ** np.arange(4 * channels)[::-1]
    counts = np.bincount(place.astype(int), minlength=len(pmf))
    assert np.sum((counts - 4000 * pmf) ** 2 / (4000 * pmf)) < len(pmf) + 5 * np.sqrt(2 * len(pmf))


@pytest.mark.every(3, 2)
@pytest.mark.parametrize("conditionals", [Bernoulli, Categorical, LogisticMixture])
def test_cached_draws_are_those_of_a_pass_for_every_pixel(conditionals):
    pixels = made(conditionals, (3, 3, 2))
    noise, features = tf.random.stateless_uniform((4, *pixels.noise_shape), (3, 4)), features_of(4, 3)
    found = pixels.image_from_uniform(noise, features)
    np.testing.assert_array_equal(found, one_pass_a_pixel(pixels, noise, features))
    assert len(np.unique(found)) > 1
    assert set(np.unique(found)) <= set(range(pixels.pixel_levels))


def test_likelihoods_of_several_images_for_each_feature_map():
    pixels = made(Bernoulli)
    features = features_of(3)
    images = tf.cast(tf.random.stateless_uniform((5, 3, 2, 2, 1), (1, 2)) < 0.5, tf.float32)
    together = pixels.distribution(features).log_prob(images)
    for index in range(3):
        alone = pixels.distribution(features[index : index + 1]).log_prob(images[:, index : index + 1])
        np.testing.assert_allclose(together[:, index], alone[:, 0], rtol=1e-5)


def test_progress_is_told_by_the_row(monkeypatch, capfd):
    monkeypatch.setattr(pixel_cnn_sampling, "EVERY", -1.0)
    pixels = made(Bernoulli, (3, 2, 1), features=0)
    noise = tf.random.stateless_uniform((2, *pixels.noise_shape), (3, 4))
    quiet = pixels.image_from_uniform(noise)
    assert capfd.readouterr().out == ""
    np.testing.assert_array_equal(pixels.image_from_uniform(noise, report="pixels"), quiet)
    assert capfd.readouterr().out.splitlines() == [f"  pixels: {row} of 3 rows" for row in (1, 2, 3)]


def test_cold_pixels_are_the_likeliest():
    pixels = made(ThreeLevels, features=0)
    noise = tf.random.stateless_uniform((50, *pixels.noise_shape), (3, 4))
    assert len(np.unique(pixels.image_from_uniform(noise), axis=0)) > 5
    cold = pixels.image_from_uniform(noise, temperature=0.01)
    assert len(np.unique(cold, axis=0)) == 1
    theta = pixels.network(cold[:1] - 1.0).numpy()
    np.testing.assert_array_equal(cold[0, ..., 0], theta[0].argmax(-1))


# ---- The mixture ----


def mixture(channels=3, **arguments) -> LogisticMixture:
    layer = LogisticMixture(**arguments)
    layer.build((1, 2, channels))
    return layer


def test_a_cold_draw_is_finite_at_the_end_of_its_noise():
    layer = mixture(1)
    noise = tf.zeros((2, 1, 2, layer.noise_size))  # uniform on [0, 1), which holds 0
    assert np.isfinite(layer.from_uniform(parameters(layer), noise, 0.0)).all()


def parameters(layer, scale=1.0, rows=2):
    shape = (rows, 1, 2, layer.outputs)
    return tf.constant(scale * np.random.default_rng(0).normal(size=shape), tf.float32)


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_the_pmf_of_a_channel_sums_to_one_given_those_before_it(scale):
    """P(levels of the first channels and any of this one) summed over this one is P(levels of the first channels)."""
    layer = mixture(2, components=10)
    theta = parameters(layer, scale)
    red = np.array([0.0, 3.0, 128.0, 255.0], np.float32)
    both = np.stack(np.broadcast_arrays(red[:, None], np.arange(256)), -1)[:, :, None, None, None]
    found = layer.distribution(theta).distribution.log_prob(np.broadcast_to(both, (4, 256, 2, 1, 2, 2)).astype("f4"))
    of_red = tf.reduce_logsumexp(found, 1)
    logits, locations, scales, _ = layer.parts(theta)
    at = [(red[:, None, None, None, None] + shift) / 127.5 - 1 for shift in (-0.5, 0.5)]
    cdf = [logistic.cdf(edge, locations[..., 0, :], 2 * scales[..., 0, :]) for edge in at]
    cdf = np.where(at[0] < -1, 0, cdf[0]), np.where(at[1] > 1, 1, cdf[1])
    expected = np.log(np.sum(tf.nn.softmax(logits) * (cdf[1] - cdf[0]), -1))
    np.testing.assert_allclose(of_red, expected, rtol=1e-3, atol=1e-3)
    every = np.broadcast_to(np.arange(256, dtype=np.float32).reshape(256, 1, 1, 1, 1), (256, 2, 1, 2, 1))
    grey = mixture(1)
    total = tf.reduce_logsumexp(grey.distribution(parameters(grey, scale)).distribution.log_prob(every), 0)
    np.testing.assert_allclose(total, 0.0, atol=1e-4)


def test_the_pmf_of_a_pixel_sums_to_one_and_draws_follow_it():
    """Over all 256² levels of two channels: counted in boxes of 32², with the mean that the layer states."""
    layer = mixture(2, components=3)
    theta = parameters(layer, rows=1)[:, :, :1]
    levels = np.stack(np.meshgrid(np.arange(256), np.arange(256), indexing="ij"), -1).astype(np.float32)
    pmf = tf.exp(layer.distribution(theta).distribution.log_prob(levels.reshape(-1, 1, 1, 2))).numpy().reshape(256, 256)
    np.testing.assert_allclose(pmf.sum(), 1.0, rtol=1e-4)
    draws = layer.distribution(theta).sample(6000, seed=(1, 2)).numpy()
    counts = np.histogramdd(draws.reshape(6000, 2), (np.arange(-0.5, 256, 32),) * 2)[0]
    expected = 6000 * pmf.reshape(8, 32, 8, 32).sum((1, 3))
    common = expected > 5
    assert np.sum((counts - expected)[common] ** 2 / expected[common]) < common.sum() + 4 * np.sqrt(2 * common.sum())
    np.testing.assert_allclose(layer.as_image(draws).mean(0), layer.mean(theta), atol=0.03)


def test_a_channel_of_three_depends_on_those_before_it_by_its_own_coefficients():
    """Green on red by a, blue on red by b and on green by c (Salimans et al. 2017, equation 3), by scipy's cdf."""
    layer = mixture(3, components=1, scale_range=(1e-3, 1e3))
    locations, scales, (a, b, c) = np.array([0.1, -0.3, 0.2]), np.array([0.05, 0.1, 0.2]), (0.9, -0.5, 0.3)
    start = -np.log(2.0)
    theta = [0.0, *locations, *(np.log(scales) - start), *np.arctanh([a, b, c])]
    found = layer.parts(tf.constant(theta, tf.float32)[None, None, None])
    np.testing.assert_allclose(found[2][0, 0, 0, :, 0], scales, rtol=3e-2)  # softly bounded
    levels = np.array([130.0, 100.0, 150.0])
    red, green, _ = levels / 127.5 - 1
    shifted = locations + [0, a * red, b * red + c * green]
    exact = 2 * found[2][0, 0, 0, :, 0].numpy()
    edges = [(levels + shift) / 127.5 - 1 for shift in (-0.5, 0.5)]
    expected = np.sum(np.log(logistic.cdf(edges[1], shifted, exact) - logistic.cdf(edges[0], shifted, exact)))
    theta = tf.constant(theta, tf.float32)[None, None, None]
    value = layer.distribution(theta).distribution.log_prob(levels.astype(np.float32)[None, None, None])
    np.testing.assert_allclose(np.ravel(value), expected, rtol=1e-3)


def test_a_grey_mixture_of_one_takes_three_numbers_and_components_start_spread():
    assert mixture(1, components=10).outputs == 30
    layer = mixture(3, components=10)
    assert layer.outputs == 100
    np.testing.assert_allclose(np.diff(layer.parts(tf.zeros((1, 1, 2, 100)))[1][0, 0, 0, 0]), 0.2, rtol=1e-5)


@pytest.mark.parametrize("level", [0.0, 3.0, 255.0])
def test_far_levels_have_finite_gradients(level):
    layer = mixture()
    theta = tf.fill((1, 1, 2, layer.outputs), -40.0)
    with tf.GradientTape() as tape:
        tape.watch(theta)
        log_prob = layer.distribution(theta).log_prob(tf.fill((1, 1, 2, 3), level))
    assert np.isfinite(log_prob).all()
    assert np.isfinite(tape.gradient(log_prob, theta)).all()


@pytest.mark.parametrize(
    ("arguments", "shape", "message"),
    [
        ({"conditionals": IsotropicNormal}, (2, 2, 1), "conditionals=IsotropicNormal cannot be those of a PixelCNN"),
        ({"conditionals": NETWORK}, (2, 2, 1), "conditionals=GatedPixelCNN is not derived from PixelDistribution"),
        ({"conditionals": 3}, (2, 2, 1), "conditionals=3 is not a class"),
        ({"network": 3}, (2, 2, 1), "network=3 is not a class"),
        ({"features": 0}, (2, 2, 1), "features=0"),
        ({}, (3,), r"data of shape \(3,\)"),
        ({"network": functools.partial(NETWORK, width=2)}, (2, 2, 3), "width=2 do not suit 3 channels"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments, shape, message):
    with pytest.raises(UsageError, match=message):
        AutoregressivePixels(**arguments).build(shape)
    with pytest.raises(UsageError, match="components=0"):
        LogisticMixture(0)
