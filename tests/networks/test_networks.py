import contextlib

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.networks import color_mnist, dcgan, discriminators, infogan, sngan


@pytest.mark.every(3)
@pytest.mark.parametrize(
    ("side", "widths"), [(16, [8, 4]), (28, [8, 4]), (32, [16, 8, 4]), (48, [16, 8, 4]), (64, [32, 16, 8, 4])]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_dcgan_shapes(side, widths, channels):
    shape = (side, side, channels)
    assert dcgan._sides(shape, 4)[1] == widths
    images = dcgan.DCGANGenerator(shape, 5, width=4)(np.zeros((2, 5)))
    assert images.shape == (2, *shape)
    assert dcgan.DCGANEncoder(shape, 10, width=4)(images).shape == (2, 10)
    assert dcgan.DCGANDiscriminator(shape, width=4)(images).shape == (2, 1)


def test_the_published_dcgan_for_64_pixels():
    """Widths 512-256-128-64 between the 4×4 map and the image (papers.md §4c)."""
    generator = dcgan.DCGANGenerator((64, 64, 3), 128, width=64)
    kernels = [v.shape for v in generator.trainable_variables if v.name == "kernel"]
    assert kernels == [(128, 4 * 4 * 512), (4, 4, 256, 512), (4, 4, 128, 256), (4, 4, 64, 128), (4, 4, 3, 64)]


def test_sides_are_four_to_seven_times_a_power_of_two():
    taken = []
    for side in range(1, 130):
        with contextlib.suppress(UsageError):
            dcgan.halvings((side, side, 3))
            taken.append(side)
    assert taken == sorted(b * 2**k for b in range(4, 8) for k in range(1, 6) if b * 2**k < 130)


@pytest.mark.parametrize("shape", [(17, 17, 3), (16, 32, 3), (30, 30, 1), (5, 5, 1), (6, 6, 3)])
def test_sizes_that_do_not_fit_are_rejected(shape):
    with pytest.raises(UsageError, match="image_shape"):
        dcgan.DCGANGenerator(shape, 5)


def test_the_published_infogan_networks():
    """Xiao et al. 2019, table 3, for 28×28: M = 7 (papers.md §3c)."""
    encoder, decoder = infogan.InfoGANEncoder((28, 28, 1), 20), infogan.InfoGANDecoder((28, 28, 1), 20)
    kernels = [[v.shape for v in network.trainable_variables if v.name == "kernel"] for network in (encoder, decoder)]
    assert kernels[0] == [(4, 4, 1, 64), (4, 4, 64, 128), (7 * 7 * 128, 1024), (1024, 20)]
    assert kernels[1] == [(20, 1024), (1024, 7 * 7 * 128), (4, 4, 64, 128), (4, 4, 1, 64)]
    assert decoder(encoder(np.zeros((2, 28, 28, 1)))).shape == (2, 28, 28, 1)


@pytest.mark.parametrize("network", [infogan.InfoGANEncoder, infogan.InfoGANDecoder])
def test_infogan_normalises_no_vector_by_itself(network):
    """Of instance normalisation of single numbers nothing is left but the offset."""
    with pytest.raises(UsageError, match=f"{network.__name__}.normalization='instance'"):
        network((8, 8, 1), 2, normalization="instance")


@pytest.mark.parametrize("network", [infogan.InfoGANEncoder, infogan.InfoGANDecoder])
def test_infogan_takes_sides_that_are_multiples_of_four(network):
    for shape in ((18, 16, 1), (16, 18, 1), (5,)):
        with pytest.raises(UsageError, match="multiples of 4"):
            network(shape, 3)
    small = network((12, 20, 2), 3, channels=(2, 3), dense=4, spectral=True)
    assert [layer for layer in small.layers if "Spectral" in type(layer).__name__]


def test_color_mnist_networks():
    generator = color_mnist.ColorMNISTGenerator((28, 28, 3), 50)
    assert generator.trainable_variables[0].shape == (50, 3136)
    images = generator(np.zeros((2, 50)))
    assert images.shape == (2, 28, 28, 3)
    assert color_mnist.ColorMNISTEncoder((28, 28, 3), 50)(images).shape == (2, 50)
    discriminator = color_mnist.ColorMNISTDiscriminator((28, 28, 3))
    assert discriminator(images).shape == (2, 1)
    assert [v.shape[-1] for v in discriminator.trainable_variables if v.name == "kernel"] == [8, 16, 32, 64, 64, 1]
    with pytest.raises(UsageError, match="image_shape"):
        color_mnist.ColorMNISTGenerator((30, 30, 3), 50)


def test_the_papers_code_discriminator():
    shapes = [v.shape for v in discriminators.CodeDiscriminator(64).trainable_variables]
    assert shapes == [(64, 1000), (1000,), (1000, 1000), (1000,), (1000, 1000), (1000,), (1000, 1), (1,)]


def test_initial_scales():
    wide = dcgan.DCGANDiscriminator((32, 32, 3), width=32)
    np.testing.assert_allclose(wide.trainable_variables[2].numpy().std(), 0.02, rtol=0.1)
    glorot = dcgan.DCGANDiscriminator((32, 32, 3), width=32, initial_scale=None).trainable_variables[2].numpy()
    np.testing.assert_allclose(glorot.std(), (2 / (4 * 4 * (32 + 64))) ** 0.5, rtol=0.1)


KINDS = ("batch", "instance", "layer", None)
NETWORKS = (
    lambda **kw: dcgan.DCGANGenerator((16, 16, 1), 5, width=4, initial_scale=None, **kw),
    lambda **kw: sngan.SNGANGenerator((16, 16, 1), 5, width=4, **kw),
    lambda **kw: dcgan.DCGANEncoder((16, 16, 1), 5, width=4, initial_scale=None, **kw),
    lambda **kw: dcgan.DCGANDiscriminator((16, 16, 1), width=4, initial_scale=None, **kw),
)


@pytest.mark.every(3)
@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("normalization", ["instance", "layer", None])
def test_without_batch_normalisation_an_example_stands_alone(make, normalization):
    """And nothing differs in training; with it, both do."""
    for kind in (normalization, "batch"):
        network = make(normalization=kind)
        x = np.random.default_rng(0).normal(size=(6, *network.input_shape[1:])).astype(np.float32)
        alone = [network(x[:2], training=True), network(x, training=False)[:2]]
        same = [np.allclose(network(x, training=True)[:2], value, atol=1e-5) for value in alone]
        assert same == [kind != "batch"] * 2


@pytest.mark.parametrize("make", NETWORKS)
def test_normalisation_has_a_bias_or_a_convolution_has(make):
    """After every hidden layer there is one shift for each channel: one of another's would be without effect."""
    counts = {kind: sum(v.name[0] == "b" for v in make(normalization=kind).trainable_variables) for kind in KINDS}
    assert len(set(counts.values())) == 1
    with pytest.raises(UsageError, match="normalization='weight'"):
        make(normalization="weight")
