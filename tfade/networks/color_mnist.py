"""The networks of the ColorMNIST experiments, for 28×28 images (or any side that 4 divides).

Reference: Rosca et al. 2018, tables 4 and 5. UNVERIFIED: kernels, strides and widths are from memory; the number of
layers agrees with the paper's text. The tables' class output of the discriminator is not used by VGH and VGH++.
"""

import gin
import keras

from tfade.errors import UsageError, check_sizes
from tfade.networks.layers import BatchNorm, float32, leaky_relu

KERNEL = 5
DOWNWARD = ((8, 2), (16, 1), (32, 2), (64, 1), (64, 2))  # (channels, stride) of table 4
UPWARD = ((64, 2), (32, 1))  # of table 5; the image layer follows, with stride 2
STEM = 64  # channels of the map that the generator's linear layer makes: 7·7·64 = 3,136 for 28×28


def _check(image_shape) -> None:
    if len(image_shape) != 3 or image_shape[0] != image_shape[1] or image_shape[0] % 4:
        raise UsageError(
            f"image_shape={tuple(image_shape)} does not suit the ColorMNIST networks: they take square images whose "
            "side 4 divides (28, 32); set load.image_size to such a side"
        )


@gin.register
class ColorMNISTGenerator(keras.Sequential):
    """Latents [batch, latent_size] → image in [-1, 1], [batch, H, W, C].

    Args:
        image_shape: (H, W, C) with H = W divisible by 4.
        latent_size: dimension of the latents.
    """

    def __init__(self, image_shape, latent_size: int):
        _check(image_shape)
        check_sizes("ColorMNISTGenerator", latent_size=latent_size)
        side = image_shape[0] // 4
        layers = [
            keras.Input((latent_size,)),
            keras.layers.Dense(side * side * STEM, use_bias=False),
            keras.layers.Reshape((side, side, STEM)),
            BatchNorm(),
            keras.layers.ReLU(),
        ]
        for channels, stride in UPWARD:
            layers.append(keras.layers.Conv2DTranspose(channels, KERNEL, stride, padding="same", use_bias=False))
            layers += [BatchNorm(), keras.layers.ReLU()]
        layers.append(keras.layers.Conv2DTranspose(image_shape[-1], KERNEL, 2, padding="same"))
        super().__init__([*layers, keras.layers.Activation("tanh", dtype="float32")])


def _downward(image_shape, outputs: int, activation) -> list[keras.layers.Layer]:
    _check(image_shape)
    layers = [keras.Input(tuple(image_shape))]
    for level, (channels, stride) in enumerate(DOWNWARD):
        layers.append(keras.layers.Conv2D(channels, KERNEL, stride, padding="same", use_bias=level == 0))
        layers += ([BatchNorm()] if level else []) + [activation()]
    return [*layers, keras.layers.Flatten(), keras.layers.Dense(outputs), float32()]


@gin.register
class ColorMNISTEncoder(keras.Sequential):
    """Image in [-1, 1] → code [batch, outputs]: the discriminator's convolutions with rectifiers, linear at the end.

    The paper's encoder is "the transposed generator"; the two share depth and strides here with table 4's widths.

    Args:
        image_shape: (H, W, C) with H = W divisible by 4.
        outputs: size of the code, or twice that for a mean and a scale.
    """

    def __init__(self, image_shape, outputs: int):
        check_sizes("ColorMNISTEncoder", outputs=outputs)
        super().__init__(_downward(image_shape, outputs, keras.layers.ReLU))


@gin.register
class ColorMNISTDiscriminator(keras.Sequential):
    """Image in [-1, 1] → logit [batch, 1] that it is real.

    Args:
        image_shape: (H, W, C) with H = W divisible by 4.
    """

    def __init__(self, image_shape):
        super().__init__(_downward(image_shape, 1, leaky_relu))
