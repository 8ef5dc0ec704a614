"""Convolutional networks that give an image flow its parameters: RealNVP's residual network, weight-normalised.

A conditioner of images is a class called as `conditioner(inputs_shape, outputs, context_size)`, whose instances map
images [batch, H, W, C] and a context [batch, context_size] or None to parameters [batch, H, W, outputs].

There is no batch normalisation: with it the likelihood of an image would depend on the rest of its batch, and the
sampling pass would not be the inverse of the density pass. Weight normalisation depends on nothing but the weights.
"""

import gin
import keras
import tensorflow as tf

from tfade.errors import check_sizes
from tfade.networks.layers import check_activation

EPSILON = 1e-8  # in the squared norm of a kernel that is about 1: a kernel of zeros has finite gradients, too
RECTIFIER_GAIN = 2**0.5  # after a rectifier half of the second moment is left


def weight_normalized(direction: tf.Tensor, gain: tf.Tensor) -> tf.Tensor:
    """w = g · v / ‖v‖, the norm over all that goes into one output channel.

    Args:
        direction: v, kernels [..., height, width, inputs, outputs].
        gain: g, broadcast against it: [outputs] or [..., 1, 1, 1, outputs].

    Reference: Salimans and Kingma 2016, equation 2.
    """
    squared = tf.reduce_sum(tf.square(direction), [-4, -3, -2], keepdims=True)
    return direction * (gain * tf.math.rsqrt(squared + EPSILON))


class WeightNormalizedConv2D(keras.layers.Layer):
    """Convolution with w = g · v / ‖v‖ for every output channel, and a bias; the maths of w is in float32.

    The gain starts at a constant and not, as in the paper, from the first batch: a kernel of norm 1 keeps the second
    moment of independent inputs, so that nothing has to be seen before training.

    Args:
        filters: output channels.
        kernel_size: side of the kernel.
        gain: g at the start.

    Reference: Salimans and Kingma 2016.
    """

    def __init__(self, filters: int, kernel_size: int, gain: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self._first_gain = filters, kernel_size, gain

    def build(self, input_shape):
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.direction = self.add_weight(name="direction", shape=shape, initializer="he_normal", autocast=False)
        constant = keras.initializers.Constant(self._first_gain)
        self.gain = self.add_weight(name="gain", shape=(self.filters,), initializer=constant, autocast=False)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs):
        kernel = tf.cast(weight_normalized(self.direction, self.gain), self.compute_dtype)
        return tf.nn.bias_add(tf.nn.conv2d(inputs, kernel, 1, "SAME"), self.bias)


class ResidualBlocks(keras.layers.Layer):
    """h ← h + conv(a(conv(a(h)))), again and again, with weight-normalised 3×3 convolutions.

    All kernels are one variable, and so are all gains and all biases: a flow of ten couplings has 160 such layers, and
    updating many small variables one by one, and tracing their updates, would take longer than the convolutions.

    Args:
        blocks: number of blocks.
        activation: a.

    Reference: He et al. 2016 (identity mappings); Dinh et al. 2017, section 4.1.
    """

    def __init__(self, blocks: int, activation, **kwargs):
        super().__init__(**kwargs)
        self.blocks, self.activation = blocks, activation

    def build(self, input_shape):
        layers, width = 2 * self.blocks, input_shape[-1]
        # The branches of all blocks together add once to the second moment what comes in on the trunk.
        first, second = RECTIFIER_GAIN, (2 / self.blocks) ** 0.5

        def gains(shape, dtype):
            return tf.tile(
                tf.reshape(tf.constant([first, second], dtype), (2, 1, 1, 1, 1)), (self.blocks, 1, 1, 1, width)
            )

        shape = (layers, 3, 3, width, width)
        normal = keras.initializers.RandomNormal(stddev=(9 * width) ** -0.5)
        self.direction = self.add_weight(name="directions", shape=shape, initializer=normal, autocast=False)
        self.gain = self.add_weight(name="gains", shape=(layers, 1, 1, 1, width), initializer=gains, autocast=False)
        self.bias = self.add_weight(name="biases", shape=(layers, width), initializer="zeros", autocast=False)

    def call(self, inputs):
        kernels = tf.unstack(tf.cast(weight_normalized(self.direction, self.gain), self.compute_dtype))
        biases = tf.unstack(tf.cast(self.bias, self.compute_dtype))
        trunk = inputs
        for block in range(self.blocks):
            branch = trunk
            for kernel, bias in zip(kernels[2 * block : 2 * block + 2], biases[2 * block : 2 * block + 2]):
                branch = tf.nn.bias_add(tf.nn.conv2d(self.activation(branch), kernel, 1, "SAME"), bias)
            trunk += branch
        return trunk


@gin.register
class ResidualConditioner(keras.layers.Layer):
    """RealNVP's network: 1×1 to the width, residual blocks of 3×3, 1×1 to the parameters, which are 0 at the start.

    A context is projected and added to the first feature map. With b blocks a pixel's parameters depend on those up to
    2 b away.

    Args:
        inputs_shape: (H, W, C) of what it sees.
        outputs: parameters for each pixel.
        context_size: dimension of the context; 0 for none.
        width: channels of the feature maps; 64 for CIFAR-10 in Flow-GAN's code.
        blocks: number of residual blocks; 8 there.
        activation: "relu" as published, "elu" is smooth.

    Raises:
        UsageError: a size below 1, or an unknown activation.

    Reference: Dinh et al. 2017, section 4.1; Flow-GAN's code.
    """

    def __init__(
        self,
        inputs_shape,
        outputs: int,
        context_size: int = 0,
        width: int = 64,
        blocks: int = 8,
        activation: str = "relu",
    ):
        super().__init__()
        check_sizes("ResidualConditioner", outputs=outputs, width=width, blocks=blocks)
        check_activation("ResidualConditioner.activation", activation)
        self.activation = keras.activations.get(activation)
        self.first = WeightNormalizedConv2D(width, 1)
        self.first.build((None, *inputs_shape))
        self.context = context_projection(context_size, width)
        self.residual = ResidualBlocks(blocks, self.activation)
        self.residual.build((None, *inputs_shape[:-1], width))
        self.last = keras.layers.Conv2D(outputs, 1, kernel_initializer="zeros")
        self.last.build((None, *inputs_shape[:-1], width))
        self.built = True

    def call(self, inputs, context=None):
        features = self.first(inputs)
        if context is not None:
            features += self.context(context)
        return self.last(self.activation(self.residual(features)))


def context_projection(context_size: int, channels: int, initializer="glorot_uniform") -> keras.Sequential | None:
    """Context [batch, context_size] → [batch, 1, 1, channels], to be added to a feature map; None without a context."""
    if not context_size:
        return None
    dense = keras.layers.Dense(channels, use_bias=False, kernel_initializer=initializer)
    return keras.Sequential([keras.Input((context_size,)), dense, keras.layers.Reshape((1, 1, channels))])
