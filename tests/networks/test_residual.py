"""Conditioners of images: shapes, weight normalisation, the start at 0, one image at a time, precision."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.flows.cases import perturb
from tfade.errors import UsageError
from tfade.networks.glow import GlowConditioner, ZeroConv2D
from tfade.networks.residual import ResidualBlocks, ResidualConditioner, WeightNormalizedConv2D, weight_normalized

SHAPE = (6, 5, 3)
CONDITIONERS = {
    "residual": functools.partial(ResidualConditioner, width=8, blocks=2),
    "elu": functools.partial(ResidualConditioner, width=8, blocks=1, activation="elu"),
    "glow": functools.partial(GlowConditioner, width=8),
    "zero_conv": ZeroConv2D,
}


@pytest.fixture(params=CONDITIONERS, ids=str)
def make(request):
    """Makes a conditioner with random weights, or as it starts."""

    def make(context_size=0, perturbed=True):
        keras.utils.set_random_seed(1)
        network = CONDITIONERS[request.param](SHAPE, 4, context_size)
        if perturbed:
            perturb(network)
        return network

    return make


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)


@pytest.fixture
def context():
    return np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)


def test_it_starts_at_zero_for_any_input(make, images, context):
    for arguments in ((images,), (images, context)):
        outputs = make(0 if len(arguments) == 1 else 2, perturbed=False)(*arguments)
        assert outputs.shape == (3, 6, 5, 4)
        np.testing.assert_array_equal(outputs, 0)


def test_every_variable_and_the_context_matter(make, images, context):
    network, context = make(2), tf.constant(context)
    with tf.GradientTape() as tape:
        tape.watch(context)
        loss = tf.reduce_sum(tf.square(network(images, context)))
    variables = [variable.value for variable in network.trainable_variables]
    for gradient in tape.gradient(loss, [context, *variables]):
        assert gradient is not None
        assert np.abs(gradient).max() > 0


def test_an_image_has_no_batch_mates(make, images):
    """The parameters of an image are the same alone, among others, and in training."""
    network = make()
    together = network(images, training=True)
    np.testing.assert_allclose(network(images[1:2]), together[1:2], rtol=1e-5, atol=1e-5)
    assert np.abs(together).max() > 0.01


def test_bfloat16_has_weights_and_their_maths_in_float32(make, images, context):
    exact = make(2)(images, context)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = make(2)
        assert {variable.dtype for variable in network.trainable_variables} == {"float32"}
        np.testing.assert_allclose(tf.cast(network(images, context), tf.float32), exact, rtol=0.1, atol=0.25)
    finally:
        keras.config.set_dtype_policy("float32")


def test_weight_normalisation():
    """The norm of a kernel is its gain; the length of its direction does not matter; zeros have a finite gradient."""
    layer = WeightNormalizedConv2D(4, 3)
    layer.build((None, 8, 8, 5))
    layer.gain.assign([1.0, 2.0, 0.5, 3.0])
    kernel = weight_normalized(layer.direction, layer.gain)
    np.testing.assert_allclose(np.linalg.norm(kernel.numpy().reshape(-1, 4), axis=0), [1, 2, 0.5, 3], rtol=1e-5)
    np.testing.assert_allclose(weight_normalized(7.0 * layer.direction, layer.gain), kernel, rtol=1e-5, atol=1e-6)
    image = np.zeros((1, 8, 8, 5), np.float32)
    image[0, 4, 4, 2] = 1.0  # the response to one number is the kernel, turned around
    response = layer(image)[0, 3:6, 3:6].numpy()
    np.testing.assert_allclose(response[::-1, ::-1], kernel[:, :, 2], rtol=1e-5, atol=1e-6)
    direction = tf.zeros((3, 3, 5, 4))
    with tf.GradientTape() as tape:
        tape.watch(direction)
        kernel = weight_normalized(direction, tf.ones((4,)))
    np.testing.assert_array_equal(kernel, 0)
    assert np.isfinite(tape.gradient(kernel, direction)).all()


def test_residual_blocks_are_the_blocks_one_by_one(images):
    """The kernels in one variable, against layers of their own."""
    keras.utils.set_random_seed(2)
    blocks = ResidualBlocks(2, tf.nn.relu)
    blocks.build((None, *SHAPE))
    perturb(blocks)
    trunk = tf.constant(images)
    for number in range(2):
        branch = trunk
        for layer in (2 * number, 2 * number + 1):
            conv = WeightNormalizedConv2D(3, 3)
            conv.build((None, *SHAPE))
            conv.direction.assign(blocks.direction[layer])
            conv.gain.assign(blocks.gain[layer, 0, 0, 0])
            conv.bias.assign(blocks.bias[layer])
            branch = conv(tf.nn.relu(branch))
        trunk += branch
    np.testing.assert_allclose(blocks(images), trunk, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("depth", [1, 8])
def test_features_keep_their_size_at_the_start(depth):
    """Unit inputs leave eight blocks neither vanished nor blown up, without a first batch to set gains from."""
    keras.utils.set_random_seed(3)
    blocks = ResidualBlocks(depth, tf.nn.relu)
    blocks.build((None, 12, 12, 32))
    outputs = blocks(np.random.default_rng(0).normal(size=(4, 12, 12, 32)).astype(np.float32))
    assert 0.9 < np.std(outputs) < 3


def test_the_published_sizes():
    """RealNVP: 1×1 to 64, 8 blocks of two 3×3, 1×1 to 2 C; Glow: 3×3 and 1×1 to 512, 3×3 (papers.md §2c, §14)."""
    shapes = [tuple(v.shape) for v in ResidualConditioner((32, 32, 4), 6).trainable_variables if len(v.shape) > 3]
    assert shapes == [(1, 1, 4, 64), (16, 3, 3, 64, 64), (16, 1, 1, 1, 64), (1, 1, 64, 6)]
    shapes = [tuple(v.shape) for v in GlowConditioner((16, 16, 6), 12).trainable_variables if len(v.shape) > 3]
    assert shapes == [(3, 3, 6, 512), (1, 1, 512, 512), (3, 3, 512, 12)]


def test_the_scale_of_glows_last_layer():
    """An output's log-scale of 1/3 multiplies it, its bias included, by e."""
    layer = ZeroConv2D((4, 4, 2), 2, kernel_size=1)
    layer.bias.assign([1.0, 1.0])
    layer.log_scale.assign([1 / 3, 0.0])
    np.testing.assert_allclose(layer(np.zeros((1, 4, 4, 2)))[0, 0, 0], [np.e, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    "make_wrong",
    [
        lambda: ResidualConditioner(SHAPE, 2, width=0),
        lambda: ResidualConditioner(SHAPE, 2, blocks=0),
        lambda: GlowConditioner(SHAPE, 2, width=0),
    ],
)
def test_sizes_below_one_are_rejected(make_wrong):
    with pytest.raises(UsageError, match=r"width=|blocks="):
        make_wrong()
