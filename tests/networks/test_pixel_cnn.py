"""The gated PixelCNN: what a place sees, and the cached sampler against a pass for every place."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from launch.benchmarks.pixel_cnn import naive
from tests.flows.cases import perturb
from tfade.errors import UsageError
from tfade.networks.pixel_cnn import GatedPixelCNN

SHAPE = (3, 4, 3)
SMALL = {"width": 16, "depth": 3, "kernel_size": 5}


def made(*arguments, **options) -> GatedPixelCNN:
    """A network with random weights everywhere."""
    keras.utils.set_random_seed(0)
    network = GatedPixelCNN(*arguments, **{**SMALL, **options})
    perturb(network)
    return network


def dependence(network) -> np.ndarray:
    """Whether the parameters of a place and channel [first axis] depend on a number of the image [second]."""
    x = tf.random.stateless_normal((2, *network.shape), (1, 2))
    numbers, groups = x[0].shape.num_elements(), network.shape[0] * network.shape[1] * network.groups
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        parameters = tf.reshape(network(x), (2, groups, -1))
        weights = tf.random.stateless_normal(parameters.shape[-1:], (1, 2))
        parts = tf.unstack(tf.reduce_sum(weights * parameters, -1), axis=1)
    return np.stack([np.any(tape.gradient(part, x).numpy() != 0, 0).reshape(numbers) for part in parts])


def test_a_number_sees_all_before_it_and_no_other_channel_by_channel():
    found = dependence(made((3, 4, 2), 2, depth=4))
    np.testing.assert_array_equal(found, np.tri(24, k=-1) > 0)


def test_a_place_sees_all_places_before_it_and_no_channel_of_its_own():
    found = dependence(made((3, 4, 2), 2, ordered_channels=False, depth=4))
    places = np.arange(12)
    np.testing.assert_array_equal(found, np.repeat(places[:, None] > places, 2, 1))


def test_the_reach_of_one_layer_is_its_kernel():
    """A wide first convolution alone: two rows above, two columns to either side, and two columns to the left."""
    row, column = np.mgrid[:4, :5].reshape(2, -1)
    rows, columns = row[:, None] - row, column[:, None] - column
    above = (rows > 0) & (rows <= 2) & (abs(columns) <= 2)
    left = (rows == 0) & (columns > 0) & (columns <= 2)
    np.testing.assert_array_equal(dependence(made((4, 5, 1), 2, depth=1)), above | left)


def draw(given, parameters):
    """Any function of what is given and of two parameters of each channel."""
    return tf.tanh(given + parameters[:, ::2] * parameters[:, 1::2])


@pytest.mark.every(2)
@pytest.mark.parametrize(("ordered", "context_size"), [(True, 3), (False, 0)])
def test_cached_sampling_is_the_naive_loop(ordered, context_size):
    network = made(SHAPE, 6, context_size, ordered)
    given = tf.random.stateless_normal((2, *SHAPE), (3, 4))
    context = tf.random.stateless_normal((2, *SHAPE[:2], context_size), (5, 6)) if context_size else None
    found = network.ancestral(draw, given, context, report="places")
    np.testing.assert_allclose(found, naive(network, draw, given, context), atol=1e-5)
    assert 0.3 < np.std(found) < 1


def test_the_sampler_has_the_gradient_of_the_network(eager):
    """x solves x = draw(given, θ(x)): ∂x/∂given = (1 - ∂draw/∂x)⁻¹ ∂draw/∂given."""
    network = made((2, 2, 1), 2, ordered_channels=False)
    given = tf.random.stateless_normal((1, 2, 2, 1), (3, 4))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(given)
        x = network.ancestral(draw, given)
        places = tf.unstack(tf.reshape(x, (4,)))
    found = np.reshape([tape.gradient(place, given) for place in places], (4, 4))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((x, given))
        places = tf.unstack(draw(tf.reshape(given, (4, 1)), tf.reshape(network(x), (4, 2)))[:, 0])
    of_x, of_given = (
        np.reshape([tape.gradient(place, part, unconnected_gradients="zero") for place in places], (4, 4))
        for part in (x, given)
    )
    np.testing.assert_allclose(found, np.linalg.solve(np.eye(4) - of_x, of_given), atol=1e-5)


def test_the_context_reaches_every_place_and_parameters_start_at_zero():
    network = GatedPixelCNN(SHAPE, 6, context_size=2, **SMALL)
    image, context = tf.ones((1, *SHAPE)), tf.random.stateless_normal((1, *SHAPE[:2], 2), (1, 2))
    np.testing.assert_array_equal(network(image, context), np.zeros((1, *SHAPE[:2], 6)))
    perturb(network)
    assert np.all(network(image, context) != network(image, -context))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 4}, "kernel_size=4 is even"),
        ({"kernel_size": 1}, "kernel_size=1"),
        ({"inner_kernel_size": 2}, "inner_kernel_size=2 is even"),
        ({"width": 2}, "width=2 do not suit 3 channels"),
        ({"outputs": 4}, "outputs=4 .* a multiple of 3"),
        ({"context_size": -1}, "context_size=-1"),
        ({"depth": 0}, "depth=0"),
        ({"shape": (6,)}, r"shape=\(6,\) is not \(H, W, C\)"),
    ],
)
def test_invalid_arguments_are_rejected(options, message):
    with pytest.raises(UsageError, match=message):
        GatedPixelCNN(**({"shape": SHAPE, "outputs": 6} | options))
