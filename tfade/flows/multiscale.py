"""Multi-scale flows: half of the dimensions are factored out after every scale."""

from collections.abc import Callable, Sequence

import gin
import tensorflow as tf

from tfade.errors import UsageError
from tfade.flows.image_coupling import ChannelCoupling
from tfade.flows.layer import FlowLayer, size_of
from tfade.flows.squeeze import image_shape
from tfade.flows.stack import Stack
from tfade.flows.transformers import Affine
from tfade.networks.glow import ZeroConv2D

PRIOR_LOG_SCALE_BOUND = 3.0  # of a learned prior: one such layer a scale, so it may stretch more than a coupling's 0.5


@gin.register
class MultiScale(FlowLayer):
    """Flows f_1 … f_L over coarser and coarser images; after each but the last, half of the channels is factored out.

        (h_i, z_i) = f_i(h_{i-1}),  h_0 = x,  z_L = f_L(h_{L-1}):   z = (z_1, …, z_L)

    A scale is the list of its parts: couplings, a `Squeeze` where its image is to be halved, couplings of channels. h_i
    is the first half of the channels, z_i the second. RealNVP for CIFAR-10 and Glow with three levels:

        MultiScale.scales = (
            (@CheckerboardCoupling, @CheckerboardCoupling, @CheckerboardCoupling, @Squeeze,
             @ChannelCoupling, @ChannelCoupling, @ChannelCoupling),
            (@CheckerboardCoupling, @CheckerboardCoupling, @CheckerboardCoupling, @CheckerboardCoupling))

        MultiScale.scales = ((@Squeeze, @steps/Stack), (@Squeeze, @steps/Stack), (@Squeeze, @steps/Stack))
        MultiScale.learned_prior = True
        steps/Stack.parts = (@ActNorm, @Invertible1x1Convolution, @ChannelCoupling)
        steps/Stack.repeat = 32

    Args:
        scales: for each scale the sequence of its parts, as `Stack` takes them, or one flow or class of it.
        learned_prior: z_i ~ N(μ(h_i), diag σ²(h_i)), with μ and σ from one convolution that is 0 at the start (Glow's
            split prior). It is done as the map (z_i - μ) / σ, so that the density over all latents stays N(0, I).
        flatten: latents are one vector [D], the scales one after the other, z_1 first. Otherwise they are put back into
            an image of the shape of the data: channels joined, squeezes undone.

    Raises:
        UsageError: no scales, or at `build` a scale whose channels cannot be halved, or whose latents do not fit into
            an image.

    Reference: Dinh et al. 2017, section 3.6, equations 13 to 16; Kingma and Dhariwal 2018, figure 2b.
    """

    def __init__(
        self,
        scales: Sequence[Sequence | FlowLayer | Callable[[], FlowLayer]],
        learned_prior: bool = False,
        flatten: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(scales, (tuple, list)) or not scales:
            raise UsageError(f"MultiScale.scales={scales!r} is not a tuple with the parts of one scale or more")
        self.flatten = flatten
        self.flows = [Stack(scale if isinstance(scale, (tuple, list)) else (scale,)) for scale in scales]
        self.priors = [_split_prior() for _ in self.flows[1:]] if learned_prior else []

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        self._pieces = []  # shapes of z_1 … z_L
        shape = image_shape(self)
        outer = (f"multi-scale flow {self.ordinal}" if self.ordinal else "", self.scale_label)
        for number, flow in enumerate(self.flows):
            flow.scale_label = " of ".join(filter(None, (f"scale {number + 1}", *outer)))
        for number, flow in enumerate(self.flows[:-1]):
            flow.build(shape, context_size)
            shape = _half(flow, number + 1)
            self._pieces.append(shape)
            if self.priors:
                self.priors[number].build(flow.latent_shape, context_size)
        self.flows[-1].build(shape, context_size)
        self._pieces.append(self.flows[-1].latent_shape)
        if self.flatten:
            self.latent_shape = (size_of(self.event_shape),)
        else:
            self._squeezes = [_squeezes(flow, number + 1) for number, flow in enumerate(self.flows)]

    @property
    def is_exact(self):
        return all(flow.is_exact for flow in self.flows)

    def forward_and_log_det(self, z, context):
        return self._summed(self._data, z, lambda flow, number, value: flow.forward_and_log_det(value, context))

    def inverse_and_log_det(self, x, context):
        return self._summed(self._latents, x, lambda flow, number, value: flow.inverse_and_log_det(value, context))

    def forward_and_estimate(self, z, context, noise):
        if self.is_exact:
            return self.forward_and_log_det(z, context)
        return self._summed(
            self._data,
            z,
            lambda flow, number, value: flow.forward_and_estimate(value, context, noise.part(number)),
        )

    def inverse_and_estimate(self, x, context, noise):
        if self.is_exact:
            return self.inverse_and_log_det(x, context)
        return self._summed(
            self._latents,
            x,
            lambda flow, number, value: flow.inverse_and_estimate(value, context, noise.part(number)),
        )

    def forward_value(self, z, context):
        return self._data(z, lambda flow, number, value: flow.forward_value(value, context))

    def inverse_value(self, x, context):
        return self._latents(x, lambda flow, number, value: flow.inverse_value(value, context))

    @staticmethod
    def _summed(pass_through: Callable, value, run: Callable) -> tuple[tf.Tensor, tf.Tensor]:
        """What `_data` or `_latents` makes of a value, and the sum of the log-determinants that `run` returns, too."""
        log_dets = []

        def noted(flow, number, value):
            value, log_det = run(flow, number, value)
            log_dets.append(log_det)
            return value

        return pass_through(value, noted), tf.add_n(log_dets)

    def _data(self, z, run: Callable[[FlowLayer, int, tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """Data from latents, by `run(flow, number of the scale, value)` for every part."""
        *pieces, value = self._split(z)
        value = run(self.flows[-1], len(pieces), value)
        for number in reversed(range(len(pieces))):
            value = tf.concat([value, pieces[number]], -1)
            if self.priors:
                value = run(self.priors[number], number, value)
            value = run(self.flows[number], number, value)
        return value

    def initialise(self, x, context=None):
        return self._latents(x, lambda flow, number, value: flow.initialise(value, context))

    def _latents(self, value, run: Callable[[FlowLayer, int, tf.Tensor], tf.Tensor]) -> tf.Tensor:
        """Latents of data, by `run(flow, number of the scale, value)` for every part."""
        pieces = []
        for number, flow in enumerate(self.flows[:-1]):
            value = run(flow, number, value)
            if self.priors:
                value = run(self.priors[number], number, value)
            value, piece = tf.split(value, 2, -1)
            pieces.append(piece)
        return self._merge([*pieces, run(self.flows[-1], len(self.flows) - 1, value)])

    def _merge(self, pieces: list[tf.Tensor]) -> tf.Tensor:
        """Latents from z_1 … z_L."""
        if self.flatten:
            return tf.concat([tf.reshape(piece, (-1, size_of(piece.shape[1:]))) for piece in pieces], -1)
        *pieces, value = pieces
        value = _unsqueezed(value, self._squeezes[-1])
        for piece, squeezes in zip(pieces[::-1], self._squeezes[-2::-1]):
            value = _unsqueezed(tf.concat([value, piece], -1), squeezes)
        return value

    def _split(self, z: tf.Tensor) -> list[tf.Tensor]:
        """z_1 … z_L from latents."""
        if self.flatten:
            parts = tf.split(z, [size_of(shape) for shape in self._pieces], -1)
            return [tf.reshape(part, (-1, *shape)) for part, shape in zip(parts, self._pieces)]
        pieces, value = [], z
        for squeezes in self._squeezes[:-1]:
            value, piece = tf.split(_squeezed(value, squeezes), 2, -1)
            pieces.append(piece)
        return [*pieces, _squeezed(value, self._squeezes[-1])]


def _split_prior() -> ChannelCoupling:
    """(z - μ(h)) / σ(h) for the second half of the channels given the first, by one convolution."""
    transformer = Affine(log_scale_bound=PRIOR_LOG_SCALE_BOUND, gain=1.0)
    return ChannelCoupling(transformer, parity=0, conditioner=ZeroConv2D)


def _half(flow: Stack, number: int) -> tuple[int, int, int]:
    """Shape of what is left when half of the channels of a scale's latents has been factored out."""
    shape = flow.latent_shape
    if len(shape) != 3 or shape[-1] % 2:
        raise UsageError(
            f"MultiScale.scales: scale {number} ends in shape {shape}, of which half of the channels is to be factored "
            "out; it needs an image with an even number of them: give the scale a Squeeze, or make it the last"
        )
    return (*shape[:-1], shape[-1] // 2)


def _squeezes(flow: Stack, number: int) -> int:
    """How often a scale squeezes its image."""
    height, width, channels = flow.event_shape
    count = 0
    while (height, width, channels) != flow.latent_shape:
        if height % 2 or width % 2:
            raise UsageError(
                f"flatten=False puts latents back into an image, but MultiScale.scales has a scale {number} that turns "
                f"{flow.event_shape} into {flow.latent_shape}, which is not by squeezes; leave flatten at True"
            )
        height, width, channels, count = height // 2, width // 2, 4 * channels, count + 1
    return count


def _squeezed(value: tf.Tensor, times: int) -> tf.Tensor:
    for _ in range(times):
        value = tf.nn.space_to_depth(value, 2)
    return value


def _unsqueezed(value: tf.Tensor, times: int) -> tf.Tensor:
    for _ in range(times):
        value = tf.nn.depth_to_space(value, 2)
    return value
