"""A PixelCNN as a distribution of images, by itself or given the feature map that a decoder returns."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.distributions.levels import LevelsDistribution
from tfade.distributions.pixels import Categorical, PixelDistribution
from tfade.errors import LARGEST, UsageError, check_class, check_whole
from tfade.networks.pixel_cnn import GatedPixelCNN

tfd = tfp.distributions


class PixelByPixel(PixelDistribution):
    """P(x | h) = Π_ij P(x_ij | x before ij, h), given a map h of the size of the image, or without one.

    The conditionals come from one masked network over the image, in raster order and channel by channel: the likelihood
    takes one pass, an image as many steps as it has pixels. There is no mean in closed form, so whatever decodes draws.

    Draws at temperature T ≥ 0 are those of the conditionals at T, see their class. Even where each of these is its pmf
    to the power 1/T², their product is an approximation of P^(1/T²).

    Args:
        conditionals: class of the distribution of a pixel: `Categorical`, `LogisticMixture` or `Bernoulli`.
        network: class of the masked network, called as
            `network((H, W, C), outputs, context_size, ordered_channels=…)`.
        features: channels of h; 0 for none.

    Raises:
        UsageError: vectors, conditionals that are not one of these, or objects where classes are wanted.

    Reference: van den Oord et al. 2016 (conditional PixelCNN).
    """

    is_drawn = couples_channels = True

    def __init__(self, conditionals=Categorical, network=GatedPixelCNN, features: int = 0, **kwargs):
        super().__init__(**kwargs)
        check_class("conditionals", conditionals, base=PixelDistribution)
        check_class("network", network)
        self.conditionals, self._make_network, self.features = conditionals(), network, features
        if not isinstance(self.conditionals, PixelDistribution):
            raise UsageError(f"conditionals={conditionals!r} does not make a PixelDistribution; Categorical does")
        self.pixel_levels = self.conditionals.pixel_levels

    def build(self, shape, in_image_space=True):
        if len(shape) != 3:
            raise UsageError(
                f"pixels={type(self).__name__} was given data of shape {tuple(shape)}; it is defined on images"
            )
        super().build(shape, in_image_space)
        self.conditionals.build(shape, in_image_space)
        ordered = not self.conditionals.couples_channels
        self.network = self._make_network(
            self.event_shape, self.conditionals.outputs, self.features, ordered_channels=ordered
        )
        self.outputs = self.features
        self.conditionals.from_uniform(*(tf.zeros((1, n)) for n in (self.conditionals.outputs, self.noise_size)))
        self._pixel = self._signed_pixel  # one object: the network compiles a loop for each

    @property
    def activations(self):
        return self.network.activations

    @property
    def noise_size(self):
        return self.conditionals.noise_size

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """Shape (H, W, noise_size) of the uniform noise that an image is made of."""
        return (*self.event_shape[:2], self.noise_size)

    def given_image(self, target, features=None) -> tfd.Distribution:
        """The conditionals of all pixels given those before each, which `target` holds.

        Args:
            target: levels [batch, H, W, C].
            features: h, [batch, H, W, features], or None.
        """
        parameters = self.network(numerics.to_signed(self.as_image(target)), features)
        return self.conditionals.distribution(parameters)

    def image_from_uniform(self, noise, features=None, temperature=1.0, report: str = "") -> tf.Tensor:
        """An image, levels [batch, H, W, C], pixel by pixel as a function of uniform noise.

        Args:
            noise: in [0, 1), [batch, H, W, noise_size].
            features: h, [batch, H, W, features], or None.
            temperature: T.
            report: see `GatedPixelCNN.ancestral`.
        """
        temperature = tf.fill(tf.concat([tf.shape(noise)[:-1], [1]], 0), tf.cast(temperature, noise.dtype))
        signed = self.network.ancestral(self._pixel, tf.concat([noise, temperature], -1), features, report)
        return tf.round(numerics.unsigned(signed) * (self.pixel_levels - 1))

    def _signed_pixel(self, given, parameters):
        """A pixel in [-1, 1], as the network sees it, from its noise and temperature."""
        levels = self.conditionals.from_uniform(parameters, given[..., :-1], temperature=given[..., -1:])
        return numerics.to_signed(self.as_image(levels))

    def distribution(self, parameters) -> tfd.Distribution:
        return AutoregressiveImages(self, tf.cast(parameters, tf.float32))

    def mean(self, parameters):
        raise UsageError(f"{type(self).__name__} has no mean in closed form; draw images")


@gin.register
class AutoregressivePixels(PixelByPixel):
    """The PixelCNN behind a decoder: h is its feature map. Makes a `VAE` a PixelVAE.

    Args:
        conditionals, network: see `PixelByPixel`.
        features: channels of the decoder's feature map, 1 or more.

    Raises:
        UsageError: features below 1, and what `PixelByPixel` rejects.

    Reference: Gulrajani et al. 2017, section 3.
    """

    def __init__(self, conditionals=Categorical, network=GatedPixelCNN, features: int = 16, **kwargs):
        check_whole("features", features, most=LARGEST)
        super().__init__(conditionals, network, features, **kwargs)


class AutoregressiveImages(LevelsDistribution):
    """Images given a decoder's feature map [batch, H, W, features]."""

    def __init__(self, layer: PixelByPixel, features):
        parameters = dict(locals())
        self._layer, self._features = layer, features
        super().__init__(parameters, features, 3, layer.event_shape)

    def _log_prob(self, images):
        shape = self._layer.event_shape
        batch = tf.broadcast_dynamic_shape(tf.shape(images)[:-3], self.batch_shape_tensor())
        images = tf.broadcast_to(images, tf.concat([batch, shape], 0))
        log_prob = self._layer.given_image(tf.reshape(images, (-1, *shape)), self._flat(batch)).log_prob(
            tf.reshape(images, (-1, *shape))
        )
        return tf.reshape(log_prob, batch)

    def _sample_n(self, n, seed=None):
        batch, layer = tf.concat([[n], self.batch_shape_tensor()], 0), self._layer
        shape = (tf.reduce_prod(batch), *layer.noise_shape)
        noise = tf.random.stateless_uniform(shape, tfp.random.sanitize_seed(seed))
        images = layer.image_from_uniform(noise, self._flat(batch))
        return tf.reshape(images, tf.concat([batch, layer.event_shape], 0))

    def _flat(self, batch):
        """Feature maps broadcast to a batch shape, and that flattened."""
        features = tf.broadcast_to(self._features, tf.concat([batch, tf.shape(self._features)[-3:]], 0))
        return tf.reshape(features, (-1, *self._features.shape[-3:]))
