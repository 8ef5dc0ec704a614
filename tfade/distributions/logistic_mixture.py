"""Mixtures of discretised logistics over the channels of a pixel: the observation model of PixelCNN++."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.distributions.levels import LevelsDistribution
from tfade.distributions.logistic_levels import LogisticLevels, clipped_logistic_mean
from tfade.distributions.pixels import PixelDistribution
from tfade.distributions.scales import bounded_log_scale, checked_range
from tfade.errors import LARGEST, check_whole

tfd = tfp.distributions

TOP = numerics.LEVELS - 1
SCALES = (5e-4, 10.0)  # in units of the image's range: the lower end is PixelCNN++'s e^-7 of a range of 2


@gin.register
class LogisticMixture(PixelDistribution):
    """P(x) = Σ_k π_k Π_c P(x_c | m_ck + Σ_{b<c} a_bck x_b, s_ck), a discretised logistic each, on the 256 levels.

    One choice of a component is shared by the channels of a pixel, and the location of a channel is a linear function
    of the channels before it (R → G → B): 10 numbers for each component of an RGB image, 3 of a grey one. Locations are
    in units in which the image lies in [-1, 1], with coefficients a = tanh of the output. The components start at
    locations that are spread evenly over the image's range. The first and the last level take the tails.

    Draws at temperature T have T s in place of s, which is an approximation of P^(1/T²): weights stay as they are. The
    mean is computed as if a channel's location were the one that the means of those before it give.

    Args:
        components: K.
        scale_range: smallest and largest s, in units of the image's range [0, 1].

    Raises:
        UsageError: K below 1, or an invalid range.

    Reference: Salimans et al. 2017, equations 2 and 3. Differences of cdfs are exact here, without their mid-point
        density where both are close.
    """

    pixel_levels = numerics.LEVELS
    couples_channels = True

    def __init__(self, components: int = 10, scale_range: tuple[float, float] = SCALES, **kwargs):
        super().__init__(**kwargs)
        check_whole("components", components, most=LARGEST)
        self.components, self.scale_range = components, checked_range(scale_range)

    def build(self, shape, in_image_space=True):
        super().build(shape, in_image_space)
        channels = self.event_shape[-1]
        self._sizes = [1, channels, channels, channels * (channels - 1) // 2]
        self.outputs = self.components * sum(self._sizes)

    @property
    def noise_size(self):
        return 1 + self.event_shape[-1]

    def parts(self, parameters) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Logits of the components [..., K], then locations in [-1, 1], scales and coefficients, [..., ·, K] each."""
        parameters = tf.cast(parameters, tf.float32)
        shape = tf.concat([tf.shape(parameters)[:-1], [sum(self._sizes), self.components]], 0)
        parameters = tf.ensure_shape(
            tf.reshape(parameters, shape), (*parameters.shape[:-1], sum(self._sizes), self.components)
        )
        logits, locations, log_scales, coefficients = tf.split(parameters, self._sizes, -2)
        spread = (2.0 * tf.range(self.components, dtype=tf.float32) + 1.0) / self.components - 1.0
        start = -tf.math.log(2.0 * self.components)  # so that neighbours overlap
        scales = tf.exp(bounded_log_scale(start + log_scales, self.scale_range))
        return logits[..., 0, :], spread + locations, scales, tf.tanh(coefficients)

    def _distribution(self, parameters):
        return LogisticMixtureLevels(self, parameters)

    def _mean(self, parameters):
        logits, locations, scales, coefficients = self.parts(parameters)
        means = []
        for channel in range(self.event_shape[-1]):
            location = shifted_location(locations, coefficients, [numerics.to_signed(mean) for mean in means], channel)
            means.append(clipped_logistic_mean(numerics.unsigned(location), tf.stop_gradient(scales[..., channel, :])))
        return tf.reduce_sum(tf.stack(means, -2) * tf.nn.softmax(logits)[..., None, :], -1)

    def from_uniform(self, parameters, noise, temperature=1.0):
        logits, *rest = self.parts(parameters)
        below = tf.cumsum(tf.nn.softmax(logits), -1)[..., :-1]
        chosen = tf.reduce_sum(tf.cast(noise[..., :1] >= below, tf.int32), -1)
        locations, scales, coefficients = (
            tf.reduce_sum(part * tf.one_hot(chosen, self.components)[..., None, :], -1, keepdims=True) for part in rest
        )
        levels = []
        for channel in range(self.event_shape[-1]):
            before = [signed(level) for level in levels]
            location = numerics.unsigned(shifted_location(locations, coefficients, before, channel))
            u = tf.maximum(noise[..., 1 + channel, None], 2.0**-24)  # at 0 a cold draw would be 0 · ∞
            drawn = location + temperature * scales[..., channel, :] * (tf.math.log(u) - tf.math.log1p(-u))
            levels.append(tf.clip_by_value(tf.round(TOP * drawn), 0.0, TOP))
        return tf.concat(levels, -1)


class LogisticMixtureLevels(LevelsDistribution):
    """The mixture as a distribution over the channels of a pixel, with a batch of pixels."""

    def __init__(self, layer: LogisticMixture, pixels):
        parameters = dict(locals())
        self._layer, self._pixels = layer, pixels
        super().__init__(parameters, pixels, 1, layer.event_shape[-1:])

    def _log_prob(self, levels):
        logits, locations, scales, coefficients = self._layer.parts(self._pixels)
        total = tf.nn.log_softmax(logits)
        for channel in range(levels.shape[-1]):
            before = [signed(levels[..., other, None]) for other in range(channel)]
            location = TOP * numerics.unsigned(shifted_location(locations, coefficients, before, channel))
            pmf = LogisticLevels(location, TOP * scales[..., channel, :])
            total += pmf.log_prob(levels[..., channel, None])
        return tf.reduce_logsumexp(total, -1)

    def _sample_n(self, n, seed=None):
        batch = tf.concat([[n], tf.shape(self._pixels)[:-1]], 0)
        shape = tf.concat([batch, [self._layer.noise_size]], 0)
        noise = tf.random.stateless_uniform(shape, tfp.random.sanitize_seed(seed))
        pixels = tf.broadcast_to(self._pixels, tf.concat([batch, tf.shape(self._pixels)[-1:]], 0))
        return self._layer.from_uniform(pixels, noise)


def signed(levels: tf.Tensor) -> tf.Tensor:
    """Levels as numbers in [-1, 1]."""
    return levels * (2.0 / TOP) - 1.0


def shifted_location(locations, coefficients, before: list[tf.Tensor], channel: int) -> tf.Tensor:
    """The locations of a channel's components [..., K], in [-1, 1], given the channels before it.

    Args:
        locations: [..., C, K].
        coefficients: [..., C (C - 1) / 2, K], those of the second channel, of the third, …
        before: of each channel before it, its value, broadcast against [..., K].
        channel: which one.
    """
    first = channel * (channel - 1) // 2
    location = locations[..., channel, :]
    for place, value in enumerate(before, first):
        location += coefficients[..., place, :] * value
    return location
