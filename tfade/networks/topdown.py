"""Feature maps inside convolutional networks, for models whose latents lie at several resolutions."""

import gin
import keras
import tensorflow as tf

from tfade.errors import UsageError, check_class
from tfade.networks.dcgan import DCGANEncoder

RECTIFIERS = (keras.layers.ReLU, keras.layers.LeakyReLU)


def feature_maps(network: keras.Sequential) -> dict[int, tuple[int, int, int]]:
    """Where a network's feature maps are: what its last rectifier at every side returns.

    Args:
        network: layers in a row, its input known.

    Returns:
        The position of the rectifier in `network.layers` → (H, W, C) of the map, in the order of the layers.

    Raises:
        UsageError: the network is not a sequence of layers.
    """
    if not isinstance(network, keras.Sequential):
        raise UsageError(f"network={network!r} is not a keras.Sequential: its feature maps cannot be found")
    last = {}
    for position, layer in enumerate(network.layers):
        shape = tuple(layer.output.shape[1:])
        if isinstance(layer, RECTIFIERS) and len(shape) == 3:
            last[shape[:2]] = position, shape
    return dict(last.values())


@gin.register
class BottomUpEncoder(keras.layers.Layer):
    """Image in [-1, 1] → context [batch, outputs] and the feature maps on the way, the smallest first.

    Args:
        image_shape: (H, W, C).
        outputs: size of the context.
        network: class of the network, a `keras.Sequential` called as `network(image_shape, outputs)`.

    Attributes:
        map_shapes: (H, W, C) of every map.

    Raises:
        UsageError: an object where the network's class is wanted, or a network without feature maps.
    """

    def __init__(self, image_shape, outputs: int, network=DCGANEncoder):
        super().__init__(autocast=False)  # its layers see to the precision themselves
        check_class("network", network)
        self.network = network(image_shape, outputs)
        self._places = feature_maps(self.network)
        self.map_shapes = tuple(reversed(self._places.values()))
        if not self.map_shapes:
            raise UsageError(f"network={network!r} makes no feature maps behind rectifiers; DCGANEncoder does")
        self.built = True

    def call(self, images, training=None):
        maps, value = [], images
        for position, layer in enumerate(self.network.layers):
            value = layer(value, training=training)
            if position in self._places:
                maps.insert(0, value)
        return value, maps


class TopDownBlock(keras.layers.Layer):
    """The convolutions of one level of latents z [h, w, c] within a decoder's features h.

    - `prior`: h → the parameters of p(z | h);
    - `bottom_up` and, if the posterior sees h, `top_down`: the encoder's map of the same side, and h, → the parameters
      of q(z | h, x);
    - `branch`: a residual branch of two 3×3 convolutions, h ← h + branch(h, z).

    All parameters are 0 at the start.

    Args:
        shape: (H, W, C) of h.
        channels: c.

    Attributes:
        latent_shape: (h, w, c) of z.
        size: its dimensions.
    """

    def __init__(self, shape, channels: int):
        super().__init__(autocast=False)
        self.shape, self.latent_shape = tuple(shape), (*shape[:2], channels)
        self.size = shape[0] * shape[1] * channels
        width = shape[-1]
        self.prior = _convolution(self.shape, 2 * channels)
        self.branch = keras.Sequential(
            [
                keras.Input((*shape[:2], width + channels)),
                keras.layers.Conv2D(width, 3, padding="same", activation="relu"),
                keras.layers.Conv2D(width, 3, padding="same"),
            ]
        )
        self.bottom_up = self.top_down = None
        self.built = True

    def add_posterior(self, map_shape, parts: int, sees_features: bool) -> None:
        """Makes the posterior's convolutions: `parts` parameters for each latent, from an encoder's map and maybe h."""
        outputs = self.latent_shape[-1] * parts
        self.bottom_up = _convolution(map_shape, outputs)
        if sees_features:
            self.top_down = _convolution(self.shape, outputs)

    def parameters(self, convolution: keras.Layer, value: tf.Tensor) -> list[tf.Tensor]:
        """What a convolution of the block makes of a map: [batch, size] for each parameter, in float32."""
        maps = tf.cast(convolution(value), tf.float32)
        count = maps.shape[-1] // self.latent_shape[-1]
        return [tf.reshape(part, (-1, self.size)) for part in tf.split(maps, count, -1)]

    def with_latents(self, features: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
        """h + branch(h, z), for latents [batch, size]."""
        latent_map = tf.cast(tf.reshape(latents, (-1, *self.latent_shape)), features.dtype)
        return features + self.branch(tf.concat([features, latent_map], -1))


def _convolution(shape, outputs: int) -> keras.Sequential:
    """A 3×3 convolution that is 0 at the start."""
    convolution = keras.layers.Conv2D(outputs, 3, padding="same", kernel_initializer="zeros")
    return keras.Sequential([keras.Input(tuple(shape)), convolution])
