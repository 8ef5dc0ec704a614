"""Measures PixelCNN's cached sampling against a loop that calls the network anew for every pixel.

Both make the same images of the same noise. Part of `python -m launch.benchmark`.
"""

import statistics
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from launch.benchmarks.timing import Figures, seconds

SHAPE = (28, 28, 1)
BATCH = 4
LIMIT = 0.2  # of the naive loop's time


def measure() -> Figures:
    """(name, value, limit or None) of every figure: images of two levels and of 256, with the default network."""
    from tfade.distributions.autoregressive_pixels import PixelByPixel
    from tfade.distributions.pixels import Bernoulli, Categorical

    for conditionals in (Bernoulli, Categorical):
        pixels = PixelByPixel(conditionals)
        pixels.build(SHAPE)
        noise = tf.random.stateless_uniform((BATCH, *pixels.noise_shape), (0, 1))
        title = f"PixelCNN, {BATCH} × {SHAPE[0]}×{SHAPE[1]}, {pixels.pixel_levels} levels"
        yield from _sampling(title, pixels, noise)


def _sampling(title: str, pixels, noise) -> Figures:
    pixels.image_from_uniform(noise)  # compiled
    times = [seconds(lambda: pixels.image_from_uniform(noise).numpy()) for _ in range(3)]
    cached = statistics.median(times)
    one_pass = parameters_of(pixels.network)
    one_pass(tf.zeros((BATCH, *SHAPE)), None, tf.constant(0), tf.constant(0))  # traced
    by_pass = seconds(lambda: one_pass_a_pixel(pixels, noise, one_pass=one_pass))
    yield f"{title}, cached sampling / naive", cached / by_pass, LIMIT
    yield f"{title}, cached sampling, seconds", cached, None


def one_pass_a_pixel(pixels, noise, features=None, one_pass: Callable | None = None) -> np.ndarray:
    """Levels [batch, H, W, C] of uniform noise, by a pass for every pixel (and ordered channel)."""

    def draw(noise, theta):
        return 2.0 * pixels.as_image(pixels.conditionals.from_uniform(theta, noise)) - 1.0

    signed = naive(pixels.network, draw, noise, features, one_pass)
    return np.round(0.5 * (signed + 1.0) * (pixels.pixel_levels - 1))


def parameters_of(network) -> Callable:
    """(images, context, row, column) → the network's output at that place, compiled."""
    return tf.function(lambda x, context, row, column: network(x, context)[:, row, column])


def naive(network, draw: Callable, given, context=None, one_pass: Callable | None = None) -> np.ndarray:
    """What `GatedPixelCNN.ancestral` solves, by a pass of the whole network for every place (and ordered channel)."""
    height, width, channels = network.shape
    one_pass = one_pass or parameters_of(network)
    x = np.zeros((len(given), height, width, channels), np.float32)
    for row in range(height):
        for column in range(width):
            for channel in range(network.groups):
                theta = one_pass(tf.constant(x), context, tf.constant(row), tf.constant(column))
                value = np.asarray(draw(given[:, row, column], theta))
                chosen = slice(None) if network.groups == 1 else channel
                x[:, row, column, chosen] = value[:, chosen]
    return x
