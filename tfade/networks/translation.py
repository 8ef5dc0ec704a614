"""Networks of image-to-image translation: residual translators, and discriminators of patches.

A translator is a class called as `translator(image_shape, output_shape)`, whose instances map images [batch, H, W, C]
in [-1, 1] to images [batch, H, W, C'] in [-1, 1].

Reference: Zhu et al. 2017 (CycleGAN), section 7.2; Johnson et al. 2016; Isola et al. 2017 (PatchGAN).
"""

import gin
import keras
import tensorflow as tf

from tfade.errors import MOST_LAYERS, UsageError, check_sizes, check_whole
from tfade.networks.layers import float32, initializer, leaky_relu, norm_layers

BORDER = 3  # reflected pixels on each side, for the first and the last kernel, which are 7×7
WIDEST = 8  # a discriminator's channels double up to this multiple of its width


class ReflectionPadding(keras.layers.Layer):
    """The image mirrored at its borders, without repeating them, by `border` pixels: no edge of zeros to be seen."""

    def __init__(self, border: int, **kwargs):
        super().__init__(**kwargs)
        self.border = border

    def call(self, inputs):
        sides = (self.border, self.border)
        return tf.pad(inputs, ((0, 0), sides, sides, (0, 0)), "REFLECT")


class TranslationBlock(keras.layers.Layer):
    """h + n(conv(relu(n(conv(h))))), 3×3 convolutions behind reflections, n the normalisation.

    Args:
        width: channels of h.
        normalization, initial_scale: as `ResidualTranslator` has them.
    """

    def __init__(self, width: int, normalization: str | None, initial_scale: float | None, **kwargs):
        super().__init__(**kwargs)
        use_bias = normalization is None

        def convolution() -> list[keras.layers.Layer]:
            kernel = keras.layers.Conv2D(width, 3, use_bias=use_bias, kernel_initializer=initializer(initial_scale))
            return [ReflectionPadding(1), kernel, *norm_layers(normalization)]

        self.branch = keras.Sequential([*convolution(), keras.layers.ReLU(), *convolution()])

    def build(self, input_shape):
        self.branch.build(input_shape)

    def call(self, inputs, training=None):
        return inputs + self.branch(inputs, training=training)


@gin.register
class ResidualTranslator(keras.Sequential):
    """Image in [-1, 1] → image in [-1, 1]: 7×7, strided convolutions, residual blocks, transposed ones, 7×7 and tanh.

    Args:
        image_shape: (H, W, C); H and W are multiples of 2^halvings.
        output_shape: (H, W, C') of the other domain.
        width: channels at full resolution; they double at every halving.
        blocks: residual blocks at the smallest resolution; 6 for images of 128 pixels and 9 from 256 on in the paper.
        halvings: strided convolutions.
        normalization: before every rectifier, "instance", "batch", "layer" or None.
        initial_scale: deviation of the normal initial weights; None for Glorot's, which suits narrow networks.

    Raises:
        UsageError: a size out of range, domains of different height or width, or images that cannot be halved so often.

    Reference: Zhu et al. 2017, section 7.2.
    """

    def __init__(
        self,
        image_shape,
        output_shape,
        width: int = 64,
        blocks: int = 9,
        halvings: int = 2,
        normalization: str | None = "instance",
        initial_scale: float | None = 0.02,
    ):
        check_sizes("ResidualTranslator", width=width, blocks=blocks)
        check_whole("ResidualTranslator.halvings", halvings, 0, MOST_LAYERS)
        _check_shapes(tuple(image_shape), tuple(output_shape), halvings)

        def normalized(kind, channels: int, size: int, stride: int = 1, padding: str = "same"):
            start = initializer(initial_scale)
            kernel = kind(channels, size, stride, padding, use_bias=normalization is None, kernel_initializer=start)
            return [kernel, *norm_layers(normalization), keras.layers.ReLU()]

        down, up = keras.layers.Conv2D, keras.layers.Conv2DTranspose
        widths = [width * 2**level for level in range(halvings + 1)]
        layers = [keras.Input(tuple(image_shape)), ReflectionPadding(BORDER)]
        layers += normalized(down, width, 2 * BORDER + 1, padding="valid")
        for channels in widths[1:]:
            layers += normalized(down, channels, 3, 2)
        layers += [TranslationBlock(widths[-1], normalization, initial_scale) for _ in range(blocks)]
        for channels in widths[-2::-1]:
            layers += normalized(up, channels, 3, 2)
        last = keras.layers.Conv2D(output_shape[-1], 2 * BORDER + 1, kernel_initializer=initializer(initial_scale))
        super().__init__([*layers, ReflectionPadding(BORDER), last, float32("tanh")])


@gin.register
class PatchDiscriminator(keras.Sequential):
    """Image in [-1, 1] → values [batch, h, w, 1], each of a patch: strided 4×4 convolutions, and two without a stride.

    A value sees 16, 34 or 70 pixels squared with 1, 2 or 3 strided convolutions, so that it sees strokes and texture
    and not the arrangement of the whole. Losses are averaged over the patches of an image.

    Args:
        image_shape: (H, W, C).
        width: channels of the first convolution; they double up to eight times that.
        halvings: strided convolutions.
        normalization: after all convolutions but the first and the last: "instance", "batch", "layer" or None.
        initial_scale: deviation of the normal initial weights; None for Glorot's, which suits narrow networks.

    Raises:
        UsageError: a size out of range, no images, or images that are too small for so many halvings.

    Reference: Isola et al. 2017, section 3.2.2 and appendix 6.1.2; Zhu et al. 2017, section 7.2.
    """

    def __init__(
        self,
        image_shape,
        width: int = 64,
        halvings: int = 3,
        normalization: str | None = "instance",
        initial_scale: float | None = 0.02,
    ):
        check_sizes("PatchDiscriminator", width=width, halvings=halvings)
        least = 3 * 2**halvings  # the last two convolutions take a pixel each; two places are left to normalise over
        if len(image_shape) != 3 or min(image_shape[:2]) < least:
            raise UsageError(
                f"PatchDiscriminator.halvings={halvings} needs images of {least} pixels or more and was given "
                f"{tuple(image_shape)}; use fewer halvings, or a larger load.image_size"
            )
        layers = [keras.Input(tuple(image_shape))]
        for level in range(halvings + 1):
            norm = norm_layers(normalization) if level else []
            channels, stride = width * min(2**level, WIDEST), 2 if level < halvings else 1
            kernel = keras.layers.Conv2D(
                channels, 4, stride, use_bias=not norm, kernel_initializer=initializer(initial_scale)
            )
            layers += [keras.layers.ZeroPadding2D(1), kernel, *norm, leaky_relu()]
        last = keras.layers.Conv2D(1, 4, kernel_initializer=initializer(initial_scale))
        super().__init__([*layers, keras.layers.ZeroPadding2D(1), last, float32()])


def _check_shapes(image_shape: tuple, output_shape: tuple, halvings: int) -> None:
    if len(image_shape) != 3 or len(output_shape) != 3 or image_shape[:2] != output_shape[:2]:
        raise UsageError(
            f"ResidualTranslator was given domains of shapes {image_shape} and {output_shape}; it takes images of one "
            "height and width: set load.image_size"
        )
    smallest = min(image_shape[:2]) // 2**halvings
    if min(image_shape[:2]) <= BORDER or any(side % 2**halvings for side in image_shape[:2]) or smallest < 2:
        raise UsageError(
            f"ResidualTranslator.halvings={halvings} does not suit images of shape {image_shape}: sides have to be "
            f"multiples of {2**halvings}, above {BORDER}, and 2 or more after halving; set load.image_size"
        )
