"""Distributions of pixels given the decoder's output: p(x | z), here with every dimension independent of the others.

Each is a Keras layer that is asked for `distribution(parameters)`. It states how many outputs of the decoder it needs
(`outputs`), and what it is a distribution of: `pixel_levels = None` for a density of dequantised images
y = (255 x + u) / 256 on [0, 1], or of features of them; 256 for a pmf of the levels 0 … 255; 2 for one of binarised
pixels.
"""

import math

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.distributions.logistic_levels import LogisticLevels, clipped_logistic_mean
from tfade.distributions.scales import bounded_log_scale, checked_range, tempering, unbounded_log_scale
from tfade.errors import UsageError, check_positive

tfd = tfp.distributions

PIXEL_SCALES = (1e-3, 10.0)  # of standard deviations; a level is 1/256 wide
GLOBAL_GAIN = 10.0  # Adam moves a lone log-scale as slowly as any weight; this factor lets it cross its range in a run


class PixelDistribution(keras.layers.Layer):
    """See the module. Parameters have shape [batch, H, W, outputs], and run in float32 under mixed precision.

    Attributes:
        outputs: outputs of the decoder for each place of an image, or all of them for vectors.
        is_drawn: whether an image of p(· | z) is a draw from it, for want of a mean in closed form.
        couples_channels: whether the channels of a place depend on one another.
    """

    size = 1
    pixel_levels: int | None = None
    is_drawn = False
    couples_channels = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)  # in gin Keras' own arguments are not arguments of a part of a model

    def build(self, shape, in_image_space: bool = True) -> None:
        """Makes the variables.

        Args:
            shape: (H, W, C) of what is described, or (D,).
            in_image_space: whether that is the image, and not features of it, which have no bounds.

        Raises:
            UsageError: a pmf of levels for features.
        """
        self.event_shape = tuple(int(size) for size in shape)
        self.in_image_space = in_image_space
        self.outputs = self.event_shape[-1] * self.size
        if self.pixel_levels and not in_image_space:
            raise UsageError(
                f"pixels={type(self).__name__} is a pmf of {self.pixel_levels} levels, but what is observed is "
                "continuous: vectors, or features that a flow makes of images; use IsotropicNormal or QuantizedNormal"
            )

    def target(self, unit: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """What the distribution is of, from images in [0, 1] and noise in [0, 1) of the same shape."""
        if self.pixel_levels == numerics.LEVELS:
            return tf.round((numerics.LEVELS - 1) * unit)
        if self.pixel_levels == 2:
            return tf.cast(noise < unit, tf.float32)
        return numerics.dequantised(unit, noise)

    def as_image(self, target: tf.Tensor) -> tf.Tensor:
        """A target, in image space, scaled to [0, 1]."""
        return target if self.pixel_levels is None else target / (self.pixel_levels - 1)

    def distribution(self, parameters) -> tfd.Distribution:
        """p(· | z) as a TFP distribution over events of shape (H, W, C) or (D,)."""
        made = self._distribution(tf.cast(parameters, tf.float32))
        return tfd.Independent(made, len(self.event_shape) - made.event_shape.rank)

    def mean(self, parameters) -> tf.Tensor:
        """E[x | z]: images, in [0, 1] up to rounding, or features; [batch, H, W, C]."""
        return self._mean(tf.cast(parameters, tf.float32))

    @property
    def activations(self) -> int:
        """How many numbers the parameters of one example are."""
        return math.prod(self.event_shape[:-1]) * self.outputs

    @property
    def noise_size(self) -> int:
        """How many uniform numbers `from_uniform` needs for a pixel."""
        return self.event_shape[-1]

    def from_uniform(self, parameters, noise, temperature=1.0) -> tf.Tensor:
        """Levels [..., C] as a function of uniform noise, for the pmfs that a PixelCNN may have at a place.

        Args:
            parameters: [..., outputs].
            noise: in [0, 1), [..., noise_size].
            temperature: T ≥ 0, a scalar or [..., 1]; each class states what it does.

        Raises:
            UsageError: a distribution that has no such draws.
        """
        raise UsageError(
            f"conditionals={type(self).__name__} cannot be those of a PixelCNN; use Categorical, LogisticMixture or "
            "Bernoulli"
        )

    def _distribution(self, parameters):
        raise NotImplementedError

    def _mean(self, parameters):
        raise NotImplementedError


class ScaledPixels(PixelDistribution):
    """Pixels with a scale: one for everything (`isotropic`), or one of every dimension, from the decoder.

    Args:
        isotropic: whether the scale is one number.
        initial_scale: the scale at the start, in units of the image's range [0, 1].
        scale_range: smallest and largest scale; the smallest guards against the density of constant pixels, which is
            bounded by the dequantisation noise only (a level is 1/256 wide).
        learned: of an isotropic scale, whether it is trained or stays as it is.

    Raises:
        UsageError: an invalid range, or an initial scale outside it.
    """

    def __init__(
        self,
        isotropic: bool,
        initial_scale: float,
        scale_range: tuple[float, float],
        learned: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.learned = learned
        self.isotropic, self.size = isotropic, 1 if isotropic else 2
        self.scale_range = checked_range(scale_range)
        check_positive("initial_scale", initial_scale)
        if not self.scale_range[0] < initial_scale < self.scale_range[1]:
            raise UsageError(f"initial_scale={initial_scale!r} is not within scale_range={tuple(scale_range)!r}")
        self._start = float(unbounded_log_scale(initial_scale, self.scale_range))

    def build(self, shape, in_image_space=True):
        super().build(shape, in_image_space)
        if self.isotropic:
            self.log_scale = self.add_weight(
                name="log_scale", shape=(), initializer="zeros", autocast=False, trainable=self.learned
            )

    def scale(self, log_scale=None) -> tf.Tensor:
        """The scale as it is now; without an argument the one of everything, where there is one."""
        log_scale = GLOBAL_GAIN * self.log_scale if log_scale is None else log_scale
        return tf.exp(bounded_log_scale(self._start + log_scale, self.scale_range))

    def _location_and_scale(self, parameters) -> tuple[tf.Tensor, tf.Tensor]:
        location, log_scale = (parameters, None) if self.isotropic else tf.split(parameters, 2, axis=-1)
        return numerics.sigmoid(location) if self.in_image_space else location, self.scale(log_scale)

    def _mean(self, parameters):
        return self._location_and_scale(parameters)[0]


@gin.register
class Bernoulli(PixelDistribution):
    """p(b = 1 | z) = sigmoid(θ) for binarised pixels b, drawn afresh with p(b = 1) = x at every use of an image.

    The bound is one of the pmf of binary images, in nats: it cannot be compared with bits per dimension of 256 levels.
    On grey levels taken as targets themselves the same formula would not be a likelihood, so this is not offered.
    Draws at temperature T are of the pmf to the power 1/T², normalised.

    Reference: Burda et al. 2016, section 5 (binarisation).
    """

    pixel_levels = 2

    def _distribution(self, parameters):
        return tfd.Bernoulli(logits=parameters, dtype=tf.float32)

    def _mean(self, parameters):
        return tf.sigmoid(parameters)

    def from_uniform(self, parameters, noise, temperature=1.0):
        return tf.cast(noise < tf.sigmoid(tf.cast(parameters, tf.float32) / tempering(temperature)), tf.float32)


@gin.register
class IsotropicNormal(ScaledPixels):
    """N(y; μ(z), σ² I) with one σ for all dimensions of all images, learned or fixed.

    In image space μ is the sigmoid of the decoder's output, on features the output itself. Fixed, 1/σ² is the β that
    weighs a squared error against the rest of a bound (Xiao et al. 2019, equation 3).

    Args:
        initial_scale, scale_range, learned: see `ScaledPixels`.

    Reference: Lucas et al. 2019, section 4.
    """

    def __init__(
        self,
        initial_scale: float = 0.1,
        scale_range: tuple[float, float] = PIXEL_SCALES,
        learned: bool = True,
        **kwargs,
    ):
        super().__init__(True, initial_scale, scale_range, learned, **kwargs)

    def _distribution(self, parameters):
        return tfd.Normal(*self._location_and_scale(parameters))


@gin.register
class QuantizedNormal(ScaledPixels):
    """N(y; μ(z), diag σ²(z)) of dequantised pixels, μ and log σ of every dimension from the decoder.

    Args:
        initial_scale: σ where the decoder returns 0.
        scale_range: see `ScaledPixels`.

    Reference: Rosca et al. 2018, section 6, where the name is from. They do not print their σ: one for every dimension
    is this class's reading, `IsotropicNormal` the other.
    """

    def __init__(self, initial_scale: float = 0.1, scale_range: tuple[float, float] = PIXEL_SCALES, **kwargs):
        super().__init__(False, initial_scale, scale_range, **kwargs)

    def _distribution(self, parameters):
        return tfd.Normal(*self._location_and_scale(parameters))


@gin.register
class DiscretizedLogistic(ScaledPixels):
    """P(x = k | z) = F((k + ½ - 255 μ) / 255 s) - F((k - ½ - 255 μ) / 255 s), F the logistic cdf, on the 256 levels.

    The first and the last level take the tails, so that the pmf sums to 1.

    Args:
        isotropic: one trainable s for everything (the IAF paper); otherwise one of every dimension, from the decoder.
        initial_scale, scale_range: of s, see `ScaledPixels`.

    Reference: Kingma et al. 2016, appendix; Salimans et al. 2017, equation 2 (tails).
    """

    pixel_levels = numerics.LEVELS

    def __init__(
        self,
        isotropic: bool = True,
        initial_scale: float = 0.1,
        scale_range: tuple[float, float] = PIXEL_SCALES,
        **kwargs,
    ):
        super().__init__(isotropic, initial_scale, scale_range, **kwargs)

    def _distribution(self, parameters):
        location, scale = self._location_and_scale(parameters)
        return LogisticLevels((numerics.LEVELS - 1) * location, (numerics.LEVELS - 1) * scale)

    def _mean(self, parameters):
        """The mean of the logistic with its tails at 0 and 1, before it is rounded: half a level off at the most."""
        location, scale = self._location_and_scale(parameters)
        return clipped_logistic_mean(location, tf.stop_gradient(scale))  # no loss of means is to move the likelihood's


@gin.register
class Categorical(PixelDistribution):
    """P(x = k | z) = softmax(θ)_k on the 256 levels: any pmf, at 256 outputs for each dimension.

    Draws at temperature T are of the pmf to the power 1/T², normalised.

    Reference: van den Oord et al. 2016.
    """

    size = pixel_levels = numerics.LEVELS

    def _distribution(self, parameters):
        return tfd.Categorical(logits=self._logits(parameters), dtype=tf.float32)

    def _mean(self, parameters):
        return tf.reduce_sum(tf.nn.softmax(self._logits(parameters)) * tf.linspace(0.0, 1.0, self.pixel_levels), -1)

    def from_uniform(self, parameters, noise, temperature=1.0):
        logits = self._logits(tf.cast(parameters, tf.float32) / tempering(temperature))
        below = tf.cumsum(tf.nn.softmax(logits), -1)[..., :-1]  # the last sum is 1 up to rounding
        return tf.reduce_sum(tf.cast(noise[..., None] >= below, tf.float32), -1)

    def _logits(self, parameters):
        shape = tf.concat([tf.shape(parameters)[:-1], [self.event_shape[-1], self.pixel_levels]], 0)
        return tf.ensure_shape(
            tf.reshape(parameters, shape), (*parameters.shape[:-1], self.event_shape[-1], self.pixel_levels)
        )
