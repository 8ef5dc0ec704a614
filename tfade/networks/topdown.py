"""Feature maps inside convolutional networks, for models whose latents lie at several resolutions."""

import gin
import keras

from tfade.errors import UsageError
from tfade.networks.dcgan import DCGANEncoder

RECTIFIERS = (keras.layers.ReLU, keras.layers.LeakyReLU)


def feature_maps(network: keras.Sequential) -> dict[int, tuple[int, int, int]]:
    """Where a network's feature maps are: what its last rectifier at every side returns.

    Args:
        network: layers in a row, its input known.

    Returns:
        The position of the rectifier in `network.layers` → (H, W, C) of the map, in the order of the layers.

    Raises:
        UsageError: no sequence of layers.
    """
    if not isinstance(network, keras.Sequential):
        raise UsageError(f"network={network!r} is no keras.Sequential, whose feature maps can be found by their sides")
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
        UsageError: a network without feature maps.
    """

    def __init__(self, image_shape, outputs: int, network=DCGANEncoder):
        super().__init__(autocast=False)  # its layers see to the precision themselves
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
