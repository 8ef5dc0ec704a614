"""The networks of SNGAN, without residuals and with, for square images of any size b·2^k with b in 4…7.

Each class is a `keras.Sequential` with its input known, so its variables exist once it is constructed. Initial weights
are Glorot's uniform, which suits narrow networks as well.

Reference: Miyato et al. 2018, appendix B, tables 3 and 4; Gulrajani et al. 2017, appendix F.
"""

import gin
import keras
import tensorflow as tf

from tfade.errors import check_sizes
from tfade.networks.dcgan import halvings
from tfade.networks.layers import check_activation, float32, leaky_relu, norm_layers
from tfade.networks.spectral import SpectralConv2D, SpectralDense

SLOPE = 0.1  # of the leaky rectifiers


@gin.register
class SNGANGenerator(keras.Sequential):
    """Latents [batch, latent_size] → image [batch, H, W, C]: a dense layer, transposed convolutions, a 3×3 convolution.

    At 32×32 and width 64 the feature maps are 4×4×512, 8×8×256, 16×16×128, 32×32×64, and the image.

    Args:
        image_shape: (H, W, C), with any number of channels.
        latent_size: dimension of the latents.
        width: channels at the image's size; they double at every halving of the side.
        activation: of the output; "tanh" for images in [-1, 1], None for the linear output that a decoder needs.
        normalization: before every rectifier, "batch", "layer" or None; see `tfade.networks.layers.norm_layers`.
    """

    def __init__(
        self,
        image_shape,
        latent_size: int,
        width: int = 64,
        activation: str | None = "tanh",
        normalization: str | None = "batch",
    ):
        check_sizes("SNGANGenerator", latent_size=latent_size, width=width)
        check_activation("SNGANGenerator.activation", activation)
        use_bias = normalization is None
        count = halvings(image_shape)
        side, channels = image_shape[0] // 2**count, width * 2**count
        layers = [
            keras.Input((latent_size,)),
            keras.layers.Dense(side * side * channels, use_bias=use_bias),
            keras.layers.Reshape((side, side, channels)),
            *norm_layers(normalization),
            keras.layers.ReLU(),
        ]
        for level in reversed(range(count)):
            up = keras.layers.Conv2DTranspose(width * 2**level, 4, strides=2, padding="same", use_bias=use_bias)
            layers += [up, *norm_layers(normalization), keras.layers.ReLU()]
        super().__init__([*layers, keras.layers.Conv2D(image_shape[-1], 3, padding="same"), float32(activation)])


@gin.register
class SNGANDiscriminator(keras.Sequential):
    """Image in [-1, 1] → value [batch, 1]: 3×3 convolutions between 4×4 convolutions of stride 2, no normalisation.

    At 32×32 and width 64 the channels are 64, 128, 128, 256, 256, 512, 512. Without spectral normalisation it is the
    discriminator of the AV-ADE paper.

    Args:
        image_shape: (H, W, C).
        width: channels of the first layer; they double at every halving of the side.
        spectral: spectral normalisation of every layer.
    """

    def __init__(self, image_shape, width: int = 64, spectral: bool = False):
        check_sizes("SNGANDiscriminator", width=width)
        conv, dense = _linear_layers(spectral)
        layers = [keras.Input(tuple(image_shape)), conv(width, 3, padding="same"), leaky_relu(SLOPE)]
        for level in range(1, halvings(image_shape) + 1):
            for kernel_size, strides in ((4, 2), (3, 1)):
                layers += [conv(width * 2**level, kernel_size, strides, "same"), leaky_relu(SLOPE)]
        super().__init__([*layers, keras.layers.Flatten(), dense(1), float32()])


@gin.register
class ResidualDiscriminator(keras.Sequential):
    """Image in [-1, 1] → value [batch, 1]: residual blocks, a sum over places, a dense layer without bias.

    At 32×32 two blocks halve the side and two do not, as in WGAN-GP and SNGAN; at 64×64 three and two. This is the `rd`
    of the AV-ADE paper. No normalisation but the spectral one.

    Args:
        image_shape: (H, W, C).
        width: channels of every block.
        spectral: spectral normalisation of every layer, those on the shortcuts too.
    """

    def __init__(self, image_shape, width: int = 128, spectral: bool = False):
        check_sizes("ResidualDiscriminator", width=width)
        halved = max(halvings(image_shape) - 1, 1)
        layers = [keras.Input(tuple(image_shape))]
        for level in range(halved + 2):
            layers.append(ResidualBlock(width, down=level < halved, first=level == 0, spectral=spectral))
        last = _linear_layers(spectral)[1](1, use_bias=False)
        super().__init__([*layers, keras.layers.ReLU(), GlobalSumPooling(dtype="float32"), last, float32()])


class ResidualBlock(keras.layers.Layer):
    """x + branch(x) on feature maps, the branch being ReLU, 3×3, ReLU, 3×3; both halved by mean pooling where wanted.

    Args:
        width: channels of its output.
        down: halves the side.
        first: it sees an image: no ReLU before the first convolution, and the shortcut is pooled before its 1×1.
        spectral: spectral normalisation of its convolutions.

    Reference: Gulrajani et al. 2017, appendix F; Miyato et al. 2018, figure 8.
    """

    def __init__(self, width: int, down: bool, first: bool = False, spectral: bool = False, **kwargs):
        super().__init__(**kwargs)
        conv, _ = _linear_layers(spectral)
        self.first = first
        self.before = conv(width, 3, padding="same")
        self.after = conv(width, 3, padding="same")
        self.shortcut = conv(width, 1) if down or first else None
        self.pool = keras.layers.AveragePooling2D(2) if down else None

    def build(self, input_shape):
        self.before.build(input_shape)
        self.after.build((*input_shape[:-1], self.before.filters))
        if self.shortcut is not None:
            self.shortcut.build(input_shape)

    def call(self, inputs):
        branch = self.before(inputs if self.first else tf.nn.relu(inputs))
        branch = self._pooled(self.after(tf.nn.relu(branch)))
        if self.shortcut is None:
            return inputs + branch
        trunk = self.shortcut(self._pooled(inputs)) if self.first else self._pooled(self.shortcut(inputs))
        return trunk + branch

    def _pooled(self, features):
        return self.pool(features) if self.pool is not None else features


class GlobalSumPooling(keras.layers.Layer):
    """Feature maps [batch, H, W, C] → [batch, C], the sum over H and W."""

    def call(self, inputs):
        return tf.reduce_sum(inputs, (1, 2))


def _linear_layers(spectral: bool) -> tuple[type, type]:
    """The classes of convolution and dense layer."""
    return (SpectralConv2D, SpectralDense) if spectral else (keras.layers.Conv2D, keras.layers.Dense)
