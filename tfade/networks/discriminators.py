"""Discriminators without normalisation across examples: the gradient at an example is a property of that example."""

from collections.abc import Sequence

import gin
import keras

from tfade.errors import UsageError, check_list, check_positive, check_sizes
from tfade.networks.layers import float32, leaky_relu


@gin.register
class ConvDiscriminator(keras.Sequential):
    """Image [batch, H, W, C] → value [batch, 1]: strided 5×5 convolutions, dense layers, leaky rectifiers.

    Flow-GAN's for MNIST is `channels = (1, 64), dense = (1024,)` (its first layer has one channel in the code),
    and that of CIFAR-10 `channels = (64, 128, 256, 512), dense = (), layer_norm = True`.

    Args:
        image_shape: (H, W, C).
        channels: of the convolutions, each of stride 2.
        dense: units of the hidden dense layers.
        kernel_size: of the convolutions.
        layer_norm: layer normalisation over (H, W, C) after the rectifier of every convolution.
        initial_scale: deviation of the truncated normal initial weights; None for Glorot's.

    Raises:
        UsageError: no convolution, or more of them than the image can be halved.

    Reference: Grover et al. 2018, their code; Radford et al. 2016.
    """

    def __init__(
        self,
        image_shape,
        channels: Sequence[int] = (64, 128),
        dense: Sequence[int] = (1024,),
        kernel_size: int = 5,
        layer_norm: bool = False,
        initial_scale: float | None = None,
    ):
        if len(image_shape) != 3:
            raise UsageError(
                f"ConvDiscriminator was given data of shape {tuple(image_shape)}; for vectors use MLPDiscriminator"
            )
        check_list("ConvDiscriminator.channels", channels)
        check_list("ConvDiscriminator.dense", dense)
        check_sizes("ConvDiscriminator", kernel_size=kernel_size)
        if initial_scale is not None:
            check_positive("ConvDiscriminator.initial_scale", initial_scale)
        if not channels or 2 ** len(channels) > min(image_shape[:2]):
            raise UsageError(
                f"ConvDiscriminator.channels={tuple(channels)!r} halves {image_shape[0]}×{image_shape[1]} pixels "
                f"{len(channels)} times; give one convolution or more, and no more than the image can be halved"
            )
        start = "glorot_uniform" if initial_scale is None else keras.initializers.TruncatedNormal(stddev=initial_scale)
        layers = [keras.Input(tuple(image_shape))]
        for width in channels:
            layers.append(keras.layers.Conv2D(width, kernel_size, 2, "same", kernel_initializer=start))
            layers.append(leaky_relu())
            if layer_norm:
                layers.append(keras.layers.LayerNormalization(axis=(1, 2, 3)))
        layers.append(keras.layers.Flatten())
        for units in dense:
            layers += [keras.layers.Dense(units, kernel_initializer=start), leaky_relu()]
        super().__init__([*layers, keras.layers.Dense(1, kernel_initializer=start), float32()])


@gin.register
class MLPDiscriminator(keras.Sequential):
    """Vector or image, flattened → value [batch, 1]: dense layers with leaky rectifiers of slope 0.2.

    Args:
        event_shape: shape of one example.
        width, depth: units of a hidden layer, and how many there are.

    Raises:
        UsageError: a size below 1.
    """

    def __init__(self, event_shape, width: int = 512, depth: int = 3):
        check_sizes(type(self).__name__, width=width, depth=depth)
        layers = [keras.Input(tuple(event_shape))]
        if len(event_shape) > 1:
            layers.append(keras.layers.Flatten())
        for _ in range(depth):
            layers += [keras.layers.Dense(width), leaky_relu()]
        super().__init__([*layers, keras.layers.Dense(1), float32()])


@gin.register
class CodeDiscriminator(MLPDiscriminator):
    """Code [batch, latent_size] → logit [batch, 1] that it came from the prior.

    No batch normalisation: the authors' successors found that it harms this network (alpha-GAN).

    Args:
        latent_size: dimension of the code.
        width, depth: see `MLPDiscriminator`.

    Reference: Rosca et al. 2018, appendix C: three layers of 1,000 units, leaky rectifier of slope 0.2.
    """

    def __init__(self, latent_size: int, width: int = 1000, depth: int = 3):
        super().__init__((latent_size,), width, depth)
