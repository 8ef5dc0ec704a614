"""SNGAN's networks: the published ones at 32×32, others at every size, and what keeps examples apart."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.networks.dcgan import DCGANGenerator
from tfade.networks.sngan import ResidualBlock, ResidualDiscriminator, SNGANDiscriminator, SNGANGenerator
from tfade.networks.spectral import SpectralConv2D, SpectralDense

DISCRIMINATORS = [SNGANDiscriminator, ResidualDiscriminator]


def kernels(network) -> list[tuple]:
    return [tuple(v.shape) for v in network.trainable_variables if v.name == "kernel"]


def test_the_published_networks_at_32_pixels():
    """Tables 3 and 4 of the paper; papers.md §11 (c)."""
    generator = SNGANGenerator((32, 32, 3), 128)
    assert kernels(generator) == [
        *[(128, 4 * 4 * 512), (4, 4, 256, 512), (4, 4, 128, 256), (4, 4, 64, 128)],
        (3, 3, 64, 3),
    ]
    plain = kernels(SNGANDiscriminator((32, 32, 3)))
    assert [(k[0], k[-1]) for k in plain[:-1]] == [
        *[(3, 64), (4, 128), (3, 128), (4, 256), (3, 256), (4, 512), (3, 512)],
    ]
    assert plain[-1] == (4 * 4 * 512, 1)
    residual = ResidualDiscriminator((32, 32, 3))
    blocks = [layer for layer in residual.layers if isinstance(layer, ResidualBlock)]
    assert [block.pool is not None for block in blocks] == [True, True, False, False]
    assert [block.shortcut is not None for block in blocks] == [True, True, False, False]
    three, one, wide = (3, 3, 128, 128), (1, 1, 128, 128), (3, 3, 3, 128)
    assert kernels(residual) == [wide, three, (1, 1, 3, 128), three, three, one, *[three] * 4, (128, 1)]


@pytest.mark.every(3)
@pytest.mark.parametrize("side", [8, 12, 16, 28, 32, 48, 64])
@pytest.mark.parametrize("channels", [1, 7])
def test_every_size(side, channels):
    shape = (side, side, channels)
    images = SNGANGenerator(shape, 5, width=2)(np.zeros((2, 5)))
    assert images.shape == (2, *shape)
    for kind in DISCRIMINATORS:
        assert kind(shape, width=2)(images).shape == (2, 1)


def test_64_pixels_take_one_more_layer():
    for kind, more in ((SNGANDiscriminator, 2), (ResidualDiscriminator, 3)):
        small, large = (kernels(kind((side, side, 3), width=2)) for side in (32, 64))
        assert len(large) == len(small) + more
    small, large = (kernels(SNGANGenerator((side, side, 3), 5, width=2)) for side in (32, 64))
    assert len(large) == len(small) + 1
    assert large[-1] == small[-1] == (3, 3, 2, 3)


@pytest.mark.parametrize("kind", [SNGANGenerator, DCGANGenerator])
def test_a_decoders_output_is_linear(kind):
    """Without its activation it is what the tanh is of, and goes beyond 1."""
    z = 100.0 * tf.random.stateless_normal((3, 5), (0, 1))
    bounded, linear = kind((16, 16, 2), 5, width=4), kind((16, 16, 2), 5, width=4, activation=None)
    linear.set_weights(bounded.get_weights())
    np.testing.assert_allclose(bounded(z), tf.tanh(linear(z)), atol=1e-5)
    linear.layers[-2].bias.assign([3.0, -3.0])
    assert float(tf.reduce_max(tf.abs(linear(z)))) > 1


@pytest.mark.parametrize("kind", DISCRIMINATORS)
@pytest.mark.parametrize("spectral", [False, True])
def test_examples_are_kept_apart(kind, spectral):
    network = kind((16, 16, 1), width=4, spectral=spectral)
    x = tf.random.stateless_normal((4, 16, 16, 1), (0, 1))
    np.testing.assert_allclose(network(x)[:1], network(x[:1]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_spectral_normalisation_is_in_every_layer(kind):
    network = kind((16, 16, 1), width=2, spectral=True)
    linear = [layer for layer in network._flatten_layers() if hasattr(layer, "kernel")]
    assert linear
    assert all(isinstance(layer, (SpectralConv2D, SpectralDense)) for layer in linear)
    assert len(kernels(network)) == len(linear) == len(network.non_trainable_variables)


def test_residual_blocks_add_their_branch():
    """Against the sum written out."""
    x = tf.random.stateless_normal((2, 8, 8, 3), (0, 1))
    for first, down in ((True, True), (False, True), (False, False)):
        block = ResidualBlock(3, down=down, first=first)
        found = block(x)
        pool = (lambda y: tf.nn.avg_pool2d(y, 2, 2, "VALID")) if down else (lambda y: y)
        branch = block.after(tf.nn.relu(block.before(x if first else tf.nn.relu(x))))
        trunk = x if block.shortcut is None else block.shortcut(x)  # 1×1 convolution and mean commute
        np.testing.assert_allclose(found, pool(trunk) + pool(branch), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(17, 17, 3), (16, 32, 3), (30, 30, 1), (5, 5, 1), (8,)])
def test_sizes_that_do_not_fit_are_rejected(shape):
    for make in (lambda: SNGANGenerator(shape, 5), *(lambda kind=kind: kind(shape) for kind in DISCRIMINATORS)):
        with pytest.raises(UsageError, match="image_shape"):
            make()
