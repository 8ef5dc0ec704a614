"""The convolutional networks of InfoGAN, for images whose sides are multiples of 4: what GLF and its peers share.

Each is a `keras.Sequential` with its input known, so its variables exist once it is constructed.

Reference: Chen et al. 2016, appendix C; Lucic et al. 2018 (the networks as they are usually compared); Xiao et al.
2019, table 3.
"""

from collections.abc import Sequence

import gin
import keras

from tfade.errors import UsageError, check_choice, check_list, check_sizes
from tfade.networks.layers import check_activation, float32, leaky_relu, norm_layers
from tfade.networks.spectral import SpectralConv2D, SpectralConv2DTranspose, SpectralDense

CHANNELS = (64, 128)


def _smallest_map(owner: str, image_shape, channels) -> tuple[int, int]:
    """(h, w) of the feature map between the convolutions and the dense layers.

    Raises:
        UsageError: not an image whose sides can be halved twice, or not two numbers of channels.
    """
    check_list(f"{owner}.channels", channels)
    if len(channels) != 2:
        raise UsageError(f"{owner}.channels={channels!r} are not two numbers; {CHANNELS} is the published size")
    if len(image_shape) != 3 or image_shape[0] % 4 or image_shape[1] % 4:
        raise UsageError(
            f"image_shape={tuple(image_shape)} does not suit {owner}: it takes images whose sides are multiples of 4; "
            "set load.image_size or load.pad (vectors: MLPEncoder and MLPDecoder)"
        )
    return image_shape[0] // 4, image_shape[1] // 4


NORMALIZATIONS = ("batch", "layer", None)  # one of single images would leave nothing of a vector


def _hidden(layer: keras.layers.Layer, normalization: str | None, leaky: bool) -> list[keras.layers.Layer]:
    """A layer, its normalisation and its rectifier."""
    return [layer, *norm_layers(normalization), leaky_relu() if leaky else keras.layers.ReLU()]


@gin.register
class InfoGANEncoder(keras.Sequential):
    """Image in [-1, 1] → code [batch, outputs]: two 4×4 convolutions of stride 2, a dense layer, a linear one.

    Args:
        image_shape: (H, W, C), H and W multiples of 4.
        outputs: size of the code, or twice that for a mean and a scale, or of a posterior's context.
        channels: of the two convolutions.
        dense: units of the dense layer.
        normalization: before every rectifier but the first, "batch", "layer" or None.
        spectral: spectral normalisation of every layer but the last, in place of `normalization`, and leaky
            rectifiers, as in the Two-Stage VAE (Dai and Wipf 2019).

    Raises:
        UsageError: images of another size, a size below 1, or an unknown normalisation.
    """

    def __init__(
        self,
        image_shape,
        outputs: int,
        channels: Sequence[int] = CHANNELS,
        dense: int = 1024,
        normalization: str | None = "batch",
        spectral: bool = False,
    ):
        check_sizes("InfoGANEncoder", outputs=outputs, dense=dense)
        _smallest_map("InfoGANEncoder", image_shape, channels)
        normalization = None if spectral else normalization
        check_choice("InfoGANEncoder.normalization", normalization, NORMALIZATIONS)
        convolution = SpectralConv2D if spectral else keras.layers.Conv2D
        linear = SpectralDense if spectral else keras.layers.Dense
        layers = [keras.Input(tuple(image_shape))]
        for level, width in enumerate(channels):
            norm = normalization if level else None
            layers += _hidden(convolution(width, 4, 2, "same", use_bias=norm is None), norm, spectral)
        layers += [keras.layers.Flatten()]
        layers += _hidden(linear(dense, use_bias=normalization is None), normalization, spectral)
        super().__init__([*layers, keras.layers.Dense(outputs), float32()])


@gin.register
class InfoGANDecoder(keras.Sequential):
    """Code [batch, latent_size] → image [batch, H, W, C]: two dense layers, two transposed 4×4 convolutions.

    Args:
        image_shape: (H, W, C), H and W multiples of 4, with any number of channels.
        latent_size: dimension of the code.
        activation: of the output: "tanh" for images in [-1, 1] (with it an output o is the sigmoid of 2 o on [0, 1]),
            None for the parameters of a distribution of pixels.
        channels: of the encoder's two convolutions, which are mirrored.
        dense: units of the first dense layer.
        normalization: before every rectifier, "batch", "layer" or None.
        spectral: spectral normalisation of every layer, in place of `normalization` (RAE-SN, Ghosh et al. 2020).

    Raises:
        UsageError: images of another size, a size below 1, an unknown activation or normalisation.
    """

    def __init__(
        self,
        image_shape,
        latent_size: int,
        activation: str | None = "tanh",
        channels: Sequence[int] = CHANNELS,
        dense: int = 1024,
        normalization: str | None = "batch",
        spectral: bool = False,
    ):
        check_sizes("InfoGANDecoder", latent_size=latent_size, dense=dense)
        check_activation("InfoGANDecoder.activation", activation)
        height, width = _smallest_map("InfoGANDecoder", image_shape, channels)
        normalization = None if spectral else normalization
        check_choice("InfoGANDecoder.normalization", normalization, NORMALIZATIONS)
        linear = SpectralDense if spectral else keras.layers.Dense
        convolution = SpectralConv2DTranspose if spectral else keras.layers.Conv2DTranspose
        first, second = channels
        settings = {"use_bias": normalization is None}
        super().__init__(
            [
                keras.Input((latent_size,)),
                *_hidden(linear(dense, **settings), normalization, False),
                *_hidden(linear(height * width * second, **settings), normalization, False),
                keras.layers.Reshape((height, width, second)),
                *_hidden(convolution(first, 4, 2, "same", **settings), normalization, False),
                convolution(image_shape[-1], 4, 2, "same"),
                float32(activation),
            ]
        )
