"""Coupling layers over images: half of the pixels, or of the channels, is transformed given the other half."""

from collections.abc import Callable

import gin
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError
from tfade.flows.coupling import CouplingLayer
from tfade.flows.squeeze import image_shape
from tfade.flows.transformers import Affine, Transformer
from tfade.networks.residual import ResidualConditioner


class ImageCoupling(CouplingLayer):
    """One half of an image, x_b, is transformed with parameters that a convolutional network computes from the other.

        x_a = z_a,   x_b = T(z_b; θ(x_a, context))

    Args:
        transformer: T, or a class (function without arguments) that makes it, see `tfade.flows.transformers`.
        learned_scale: the log-scale of `Affine` becomes α tanh(s) + β with a learned α and β for every channel, as in
            the code of RealNVP and Flow-GAN (with `Affine.gain = 1`); it still stays within `Affine.log_scale_bound`.
            α and β start at 1 and 0. In their checkerboard layers α starts at 0, so that there is no scale at first;
            here there is none because θ is 0, and with both at 0 neither would ever get a gradient.
        parity: which half is transformed: 0 the second, 1 the first. None: in turn along a stack.
        conditioner: class of θ, called as `conditioner(inputs_shape, outputs, context_size)`; its instances are called
            with images and, if there is one, the context, and return 0 at the start.

    Raises:
        UsageError: as `CouplingLayer`; a learned scale with another transformer than `Affine`; or at `build` events
            that are not images with two halves.
    """

    def __init__(
        self,
        transformer: Transformer | Callable[[], Transformer] = Affine,
        learned_scale: bool = False,
        parity: int | None = None,
        conditioner=ResidualConditioner,
        **kwargs,
    ):
        super().__init__(transformer, parity, conditioner, **kwargs)
        if learned_scale and not isinstance(self.transformer, Affine):
            raise UsageError(
                f"learned_scale={learned_scale!r} needs transformer=Affine; {type(self.transformer).__name__} has no "
                "log-scale"
            )
        self.learned_scale = learned_scale

    def _build(self, inputs_shape: tuple[int, int, int], channels: int) -> None:
        """Makes θ for what it sees and the channels that are transformed, and the learned scale."""
        self.conditioner = self._make_conditioner(inputs_shape, channels * self.transformer.size, self.context_size)
        if self.learned_scale:
            self.scale = self.add_weight(name="scale", shape=(channels,), initializer="ones", autocast=False)
            self.shift = self.add_weight(name="shift", shape=(channels,), initializer="zeros", autocast=False)

    def _parameters(self, inputs, context):
        """θ, in the precision of the variables."""
        given = () if context is None else (context,)
        parameters = tf.cast(self.conditioner(inputs, *given), self.variable_dtype)
        if self.learned_scale:
            shift, log_scale = tf.split(parameters, 2, -1)
            parameters = tf.concat([shift, self.scale * tf.tanh(log_scale) + self.shift], -1)
        return parameters


@gin.register
class CheckerboardCoupling(ImageCoupling):
    """RealNVP's coupling of the black and the white pixels of a checkerboard.

    The network sees the image with one colour set to 0 and gives parameters to every pixel; those of that colour are
    used. The pixels of the other colour pass as they are, to the bit.

    Args:
        transformer, learned_scale, conditioner: see `ImageCoupling`.
        parity: 0 transforms the pixels whose row and column add up to an odd number, 1 the others; None: in turn.
        show_mask: gives the network the mask as one more channel, to distinguish pixels that are 0 from masked ones.

    Reference: Dinh et al. 2017, section 3.4, equations 7 to 9 and figure 3.
    """

    def __init__(
        self,
        transformer: Transformer | Callable[[], Transformer] = Affine,
        learned_scale: bool = False,
        parity: int | None = None,
        conditioner=ResidualConditioner,
        show_mask: bool = True,
        **kwargs,
    ):
        super().__init__(transformer, learned_scale, parity, conditioner, **kwargs)
        self.show_mask = show_mask

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        height, width, channels = image_shape(self)
        if height * width < 2:
            raise UsageError(
                f"CheckerboardCoupling was given images of {height}×{width}, which is one pixel; it needs two or more"
            )
        rows, columns = np.indices((height, width, 1))[:2]
        self._kept = (rows + columns) % 2 == int(self._swapped)
        self._build((height, width, channels + int(self.show_mask)), channels)

    def _transformed(self, value, context, transform):
        inputs = tf.where(self._kept, value, tf.zeros_like(value))
        if self.show_mask:
            mask = tf.cast(tf.broadcast_to(self._kept, tf.shape(value[..., :1])), value.dtype)
            inputs = tf.concat([inputs, mask], -1)
        changed, log_derivative = transform(value, self._parameters(inputs, context))
        log_derivative = tf.where(self._kept, tf.zeros_like(value), log_derivative)
        return tf.where(self._kept, value, changed), tf.reduce_sum(log_derivative, [1, 2, 3])


@gin.register
class ChannelCoupling(ImageCoupling):
    """RealNVP's and Glow's coupling of the first and the second half of the channels, usually after a `Squeeze`.

    Args:
        transformer, learned_scale, parity, conditioner: see `ImageCoupling`.

    Reference: Dinh et al. 2017, section 3.4 and figure 3; Kingma and Dhariwal 2018, section 3.3.
    """

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        height, width, channels = image_shape(self)
        if channels < 2:
            raise UsageError(
                f"ChannelCoupling was given images with {channels} channel, not two or more; put it after a Squeeze"
            )
        self._sizes = [channels // 2, channels - channels // 2]
        kept, changed = self._sizes[::-1] if self._swapped else self._sizes
        self._build((height, width, kept), changed)

    def _transformed(self, value, context, transform):
        first, second = tf.split(value, self._sizes, -1)
        kept, changed = (second, first) if self._swapped else (first, second)
        changed, log_derivative = transform(changed, self._parameters(kept, context))
        halves = [changed, kept] if self._swapped else [kept, changed]
        return tf.concat(halves, -1), tf.reduce_sum(log_derivative, [1, 2, 3])
