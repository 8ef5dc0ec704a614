"""The convolutional networks of DCGAN, for square images of any size b·2^k with b in 4…7.

Each class is a `keras.Sequential` with its input known, so its variables exist once it is constructed.

Reference: Radford et al. 2016; widths and kernels of the WassersteinGAN code, which Rosca et al. 2018 use (appendix C).
"""

import gin
import keras

from tfade.errors import UsageError, check_sizes
from tfade.networks.layers import check_activation, float32, initializer, leaky_relu, norm_layers

SMALLEST, LARGEST = 4, 7  # sides of the feature map that meets the latents


def halvings(image_shape: tuple[int, int, int]) -> int:
    """How often an image is halved until its side is between 4 and 7.

    Raises:
        UsageError: the image is not square, or its side is not b·2^k with b in 4…7 and k ≥ 1.
    """
    height, width = image_shape[:2] if len(image_shape) == 3 else (0, 0)  # vectors get the error below, too
    side, count = height, 0
    while side > LARGEST and side % 2 == 0:
        side, count = side // 2, count + 1
    if height != width or count == 0 or not SMALLEST <= side <= LARGEST:
        raise UsageError(
            f"image_shape={tuple(image_shape)} does not suit the DCGAN networks: they take square images of side b·2^k "
            f"with b from {SMALLEST} to {LARGEST} (16, 28, 32, 48, 64, …); set load.image_size to such a side"
        )
    return count


def _sides(image_shape, width: int) -> tuple[int, list[int]]:
    """Side of the smallest feature map, and the widths from it up to the image: width·2^(k-1), …, width."""
    count = halvings(image_shape)
    return image_shape[0] // 2**count, [width * 2**level for level in reversed(range(count))]


@gin.register
class DCGANGenerator(keras.Sequential):
    """Latents [batch, latent_size] → image [batch, H, W, C].

    Args:
        image_shape: (H, W, C), with any number of channels.
        latent_size: dimension of the latents.
        width: channels of the last hidden layer; they double at every halving of the side.
        kernel_size: side of the transposed convolutions.
        initial_scale: standard deviation of the initial weights; None for Glorot's, which suits narrow networks.
        activation: of the output; "tanh" for images in [-1, 1], None for the linear output that a decoder needs.
        normalization: before every rectifier, "batch", "layer" or None; see `tfade.networks.layers.norm_layers`.
    """

    def __init__(
        self,
        image_shape,
        latent_size: int,
        width: int = 64,
        kernel_size: int = 4,
        initial_scale: float | None = 0.02,
        activation: str | None = "tanh",
        normalization: str | None = "batch",
    ):
        check_sizes("DCGANGenerator", latent_size=latent_size, width=width, kernel_size=kernel_size)
        check_activation("DCGANGenerator.activation", activation)
        side, widths = _sides(image_shape, width)
        use_bias = normalization is None

        def up(channels: int, use_bias: bool = use_bias) -> keras.layers.Layer:
            return keras.layers.Conv2DTranspose(
                channels,
                kernel_size,
                strides=2,
                padding="same",
                use_bias=use_bias,
                kernel_initializer=initializer(initial_scale),
            )

        layers = [
            keras.Input((latent_size,)),
            keras.layers.Dense(
                side * side * widths[0], use_bias=use_bias, kernel_initializer=initializer(initial_scale)
            ),
            keras.layers.Reshape((side, side, widths[0])),
            *norm_layers(normalization),
            keras.layers.ReLU(),
        ]
        for channels in widths[1:]:
            layers += [up(channels), *norm_layers(normalization), keras.layers.ReLU()]
        super().__init__([*layers, up(image_shape[-1], use_bias=True), float32(activation)])


def _downward(
    owner: str,
    image_shape,
    outputs: int,
    activation,
    width: int,
    kernel_size: int,
    initial_scale: float | None,
    normalization: str | None,
) -> list[keras.layers.Layer]:
    """Strided convolutions, normalised from the second on, and a linear layer: image → [batch, outputs]."""
    check_sizes(owner, outputs=outputs, width=width, kernel_size=kernel_size)
    layers = [keras.Input(tuple(image_shape))]
    for level, channels in enumerate(reversed(_sides(image_shape, width)[1])):
        layers.append(
            keras.layers.Conv2D(
                channels,
                kernel_size,
                strides=2,
                padding="same",
                use_bias=level == 0 or normalization is None,
                kernel_initializer=initializer(initial_scale),
            )
        )
        layers += [*(norm_layers(normalization) if level else ()), activation()]
    head = keras.layers.Dense(outputs, kernel_initializer=initializer(initial_scale))
    return [*layers, keras.layers.Flatten(), head, float32()]


@gin.register
class DCGANEncoder(keras.Sequential):
    """Image in [-1, 1] → code [batch, outputs]: the transposed generator, without an activation at the output.

    Args:
        image_shape: (H, W, C).
        outputs: size of the code, or twice that for a mean and a scale.
        width: channels of the first layer; they double at every halving of the side.
        kernel_size: side of the convolutions.
        initial_scale: standard deviation of the initial weights; None for Glorot's, which suits narrow networks.
        normalization: before every rectifier but the first, "batch", "layer" or None.
    """

    def __init__(
        self,
        image_shape,
        outputs: int,
        width: int = 64,
        kernel_size: int = 4,
        initial_scale: float | None = 0.02,
        normalization: str | None = "batch",
    ):
        settings = width, kernel_size, initial_scale, normalization
        super().__init__(_downward("DCGANEncoder", image_shape, outputs, keras.layers.ReLU, *settings))


@gin.register
class DCGANDiscriminator(keras.Sequential):
    """Image in [-1, 1] → logit [batch, 1] that it is real.

    Args:
        image_shape: (H, W, C).
        width: channels of the first layer; they double at every halving of the side.
        kernel_size: side of the convolutions.
        initial_scale: standard deviation of the initial weights; None for Glorot's, which suits narrow networks.
        normalization: before every rectifier but the first, "batch", "layer" or None.
    """

    def __init__(
        self,
        image_shape,
        width: int = 64,
        kernel_size: int = 4,
        initial_scale: float | None = 0.02,
        normalization: str | None = "batch",
    ):
        settings = width, kernel_size, initial_scale, normalization
        super().__init__(_downward("DCGANDiscriminator", image_shape, 1, leaky_relu, *settings))
