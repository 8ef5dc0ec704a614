"""Gated PixelCNN: parameters of every place of an image, from the places before it, in one pass."""

from collections.abc import Callable
from typing import NamedTuple

import gin
import keras
import numpy as np
import tensorflow as tf

from tfade.errors import LARGEST, UsageError, check_sizes, check_whole
from tfade.networks.pixel_cnn_layers import Gate, columns_to_the_left, pointwise, windows_above
from tfade.networks.pixel_cnn_sampling import ancestral


@gin.register
class GatedPixelCNN(keras.layers.Layer):
    """x [batch, H, W, C] → parameters [batch, H, W, outputs], those of a place a function of the places before it only.

    Places are in raster order: row by row, from the left. Two stacks run side by side. The vertical one sees the rows
    above, the horizontal one the row to the left of the place, and what the vertical one sees:

        y = tanh(W_f * x + V_f h) ⊙ σ(W_g * x + V_g h),    horizontal ← horizontal + 1×1 of y

    with a map h of the context. The first convolutions are wide, leave out the place itself, and are not residual.
    Every later layer sees its place. All parameters are 0 at the start.

    With `ordered_channels` those of a channel see the channels before it at the place, too: features are divided into
    as many groups as there are channels, and the kernels' centres are masked so that group c sees groups up to c. The
    parameters then lie channel by channel.

    Runs in the precision of its variables, whatever the policy: a pass and the sampler have to compute the same.

    Args:
        shape: (H, W, C).
        outputs: parameters for each place; with `ordered_channels` a multiple of C.
        context_size: channels of the map that conditions it; 0 for none.
        ordered_channels: whether channels see those before them; otherwise all channels of a place are alike.
        width: features of each stack.
        depth: number of layers of each stack, the first one included.
        kernel_size: odd side of the square that the first masked convolution is cut from.
        inner_kernel_size: the same of every later one.

    Raises:
        UsageError: a size below 1, an even kernel, outputs that are no multiple of the channels, or fewer features than
            ordered channels.

    Reference: van den Oord et al. 2016, "Conditional image generation with PixelCNN decoders", equation 5, figure 2.
    """

    def __init__(
        self,
        shape,
        outputs: int,
        context_size: int = 0,
        ordered_channels: bool = True,
        width: int = 32,
        depth: int = 4,
        kernel_size: int = 7,
        inner_kernel_size: int = 3,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        check_sizes("GatedPixelCNN", outputs=outputs, width=width, depth=depth)
        check_whole("GatedPixelCNN.context_size", context_size, 0, LARGEST)
        self.reach = _reach("kernel_size", kernel_size, 3)  # rows above, and columns on either side
        self.inner_reach = _reach("inner_kernel_size", inner_kernel_size, 1)
        self.shape, self.outputs, self.context_size = tuple(shape), outputs, context_size
        if len(self.shape) != 3:
            raise UsageError(f"GatedPixelCNN.shape={shape!r} is not (H, W, C); a masked convolution needs images")
        channels = self.shape[-1]
        self.groups = channels if ordered_channels else 1
        if outputs % self.groups or width < self.groups:
            raise UsageError(
                f"GatedPixelCNN.outputs={outputs} and width={width} do not suit {channels} channels in order: give a "
                f"multiple of {channels} outputs, and a width of {channels} or more; or ordered_channels = False"
            )
        self.width, self.depth = width, depth

        of_features = np.arange(width) * self.groups // width  # the group of every feature
        of_inputs = np.arange(channels) if self.groups > 1 else np.zeros(channels, np.int64)
        seen = of_features[:, None] <= of_features
        self.vertical, self.horizontal, self.links, self.residuals = [], [], [], []
        for layer in range(depth):
            reach = self.inner_reach if layer else self.reach
            inputs, rows = (width, reach + 1) if layer else (channels, reach)
            centre = seen if layer else of_inputs[:, None] < of_features
            left = np.ones((reach, *centre.shape), bool)
            self.vertical.append(Gate(f"vertical_{layer}", (rows, 2 * reach + 1, inputs), width, context_size))
            mask = np.concatenate([left, centre[None]])
            self.horizontal.append(Gate(f"horizontal_{layer}", mask.shape[:-1], width, context_size, mask))
            self.links.append(self._kernel(f"link_{layer}", (2 * width, 2 * width)))
            self.residuals.append(self._kernel(f"residual_{layer}", (width, width)))
        self.head = [self._kernel("head", (width, width)), self._bias("head", width)]
        self.last = [self._kernel("last", (width, outputs), "zeros"), self._bias("last", outputs)]
        self._seen = seen.astype(self.variable_dtype)
        of_outputs = np.arange(outputs) * self.groups // outputs
        self._seen_last = (of_features[:, None] <= of_outputs).astype(self.variable_dtype)
        self._compiled = tf.function(self._ancestral, autograph=False)
        self.built = True

    def _kernel(self, name, shape, initializer="glorot_uniform"):
        return self.add_weight(name=f"{name}_kernel", shape=shape, initializer=initializer, autocast=False)

    def _bias(self, name, size):
        return self.add_weight(name=f"{name}_bias", shape=(size,), initializer="zeros", autocast=False)

    def call(self, inputs, context=None):
        above = left = tf.cast(inputs, self.variable_dtype)
        context = None if context is None else tf.cast(context, self.variable_dtype)
        kernels = self.pointwise_kernels()
        for layer in range(self.depth):
            reach = self.inner_reach if layer else self.reach
            vertical, horizontal = self.vertical[layer], self.horizontal[layer]
            sums = vertical.sums(windows_above(above, reach, shifted=layer == 0), context)
            link = pointwise(sums, self.links[layer])
            across = horizontal.sums(columns_to_the_left(left, reach), context) + link
            passed = pointwise(horizontal.gated(across), kernels.residuals[layer])
            above, left = vertical.gated(sums), passed + left if layer else passed
        return kernels.parameters(left)

    def pointwise_kernels(self) -> "PointwiseKernels":
        """The kernels of the 1×1 convolutions of the horizontal stack, masked, and their biases."""
        residuals = [kernel * self._seen for kernel in self.residuals]
        (head, head_bias), (last, last_bias) = self.head, self.last
        return PointwiseKernels(
            residuals,
            (head * self._seen, tf.convert_to_tensor(head_bias)),
            (last * self._seen_last, tf.convert_to_tensor(last_bias)),
        )

    @property
    def activations(self) -> int:
        """How many numbers an image takes in a pass, without those inside the gates."""
        height, width, _ = self.shape
        return height * width * (self.outputs + 2 * self.width * self.depth)

    def ancestral(self, draw: Callable, given: tf.Tensor, context=None, report: str = "") -> tf.Tensor:
        """Solves x_ij = draw(given_ij, θ_ij(x before ij)) for x, place by place, in one compiled loop.

        Features of places that are done are kept, so that all steps together do about the work of one pass, where
        calling the network anew at every place would do that of H·W·C of them. Rows above are met by one convolution
        for each new row.

        Args:
            draw: (given_ij [batch, …], parameters [batch, outputs]) → x_ij [batch, C]. With ordered channels it is
                asked C times at a place, and its c-th answer counts for channel c. A loop is compiled for every
                `draw`: give the same function again.
            given: [batch, H, W, …], what x is computed from: noise, and what goes with it.
            context: [batch, H, W, context_size], or None.
            report: what lines of progress say is being drawn, every few seconds; "" for none.

        Returns:
            x [batch, H, W, C].
        """
        return self._compiled(draw, tf.cast(given, self.variable_dtype), context, report)

    def _ancestral(self, draw, given, context, report):
        context = None if context is None else tf.cast(context, self.variable_dtype)
        return ancestral(self, draw, given, context, report)


class PointwiseKernels(NamedTuple):
    """What the horizontal stack does at a place, as tensors: a sampler reads and masks them once.

    Attributes:
        residuals: of the 1×1 convolution behind every gate.
        head, last: kernel and bias of the last two layers.
    """

    residuals: list[tf.Tensor]
    head: tuple[tf.Tensor, tf.Tensor]
    last: tuple[tf.Tensor, tf.Tensor]

    def parameters(self, features: tf.Tensor) -> tf.Tensor:
        """What becomes of the last features of the horizontal stack: [..., outputs] from [..., width]."""
        for kernel, bias in (self.head, self.last):
            features = pointwise(tf.nn.relu(features), kernel) + bias
        return features


def _reach(name: str, kernel_size, least: int) -> int:
    check_whole(f"GatedPixelCNN.{name}", kernel_size, least, LARGEST)
    if kernel_size % 2 == 0:
        raise UsageError(f"GatedPixelCNN.{name}={kernel_size} is even; a mask needs a centre: give an odd number")
    return kernel_size // 2
