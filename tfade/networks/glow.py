"""Glow's networks for couplings and for learned priors of what is factored out."""

import gin
import keras
import tensorflow as tf

from tfade.errors import check_sizes
from tfade.networks.residual import RECTIFIER_GAIN, WeightNormalizedConv2D, context_projection

SCALE_SPEED = 3.0  # Glow's code: exp(3 · logs) lets the output's scale learn faster than the kernel


@gin.register
class ZeroConv2D(keras.layers.Layer):
    """(w ∗ h + b + U context) · exp(3 l), with w, b, U and l all 0 at the start.

    It is the last layer of Glow's couplings, and, alone, its prior of the half that is factored out.

    Args:
        inputs_shape: (H, W, C) of h.
        outputs: output channels.
        context_size: dimension of the context; 0 for none.
        kernel_size: side of the kernel.

    Raises:
        UsageError: a size below 1.

    Reference: Kingma and Dhariwal 2018, section 3.3 (zero initialization) and code.
    """

    def __init__(self, inputs_shape, outputs: int, context_size: int = 0, kernel_size: int = 3):
        super().__init__()
        check_sizes("ZeroConv2D", outputs=outputs, kernel_size=kernel_size)
        shape = (kernel_size, kernel_size, inputs_shape[-1], outputs)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros", autocast=False)
        self.log_scale = self.add_weight(name="log_scale", shape=(outputs,), initializer="zeros", autocast=False)
        self.context = context_projection(context_size, outputs, "zeros")
        self.built = True

    def call(self, inputs, context=None):
        outputs = tf.cast(tf.nn.conv2d(inputs, self.kernel, 1, "SAME"), self.variable_dtype) + self.bias
        if context is not None:
            outputs += tf.cast(self.context(context), self.variable_dtype)
        return outputs * tf.exp(SCALE_SPEED * self.log_scale)


@gin.register
class GlowConditioner(keras.layers.Layer):
    """Glow's network: 3×3 to the width, 1×1, and 3×3 to the parameters, which are 0 at the start; rectifiers between.

    Glow normalises the hidden layers by activation normalisation: a scale and a shift for every channel, set from the
    first batch. Here the convolutions are weight-normalised, whose gain and bias are that scale and shift; at the start
    they come from the weights instead of data, so that networks need no first batch. Both are the same functions of one
    image once trained.

    Args:
        inputs_shape: (H, W, C) of what it sees.
        outputs: parameters for each pixel.
        context_size: dimension of the context, projected and added to the first feature map; 0 for none.
        width: channels of the hidden layers; 512 in the paper.

    Raises:
        UsageError: a width below 1.

    Reference: Kingma and Dhariwal 2018, sections 3.3 and 5.
    """

    def __init__(self, inputs_shape, outputs: int, context_size: int = 0, width: int = 512):
        super().__init__()
        check_sizes("GlowConditioner", outputs=outputs, width=width)
        hidden_shape = (*inputs_shape[:-1], width)
        self.first = WeightNormalizedConv2D(width, 3)
        self.first.build((None, *inputs_shape))
        self.context = context_projection(context_size, width)
        self.second = WeightNormalizedConv2D(width, 1, RECTIFIER_GAIN)
        self.second.build((None, *hidden_shape))
        self.last = ZeroConv2D(hidden_shape, outputs)
        self.built = True

    def call(self, inputs, context=None):
        features = self.first(inputs)
        if context is not None:
            features += self.context(context)
        return self.last(tf.nn.relu(self.second(tf.nn.relu(features))))
