"""Features of networks that were trained on ImageNet, for perceptual losses; their weights come from a file."""

from collections.abc import Sequence
from pathlib import Path

import gin
import keras
import tensorflow as tf

from tfade.errors import UsageError
from tfade.networks.squeezenet import load_squeezenet, squeezenet

MEANS_BGR = (103.939, 116.779, 123.68)  # of ImageNet, in levels: what both networks subtract


class FeatureNetwork(keras.layers.Layer):
    """Images in [0, 1] [batch, H, W, 1 or 3] → feature maps [batch, h, w, channels] of some layers, in float32.

    Grey images are repeated to three channels. Nothing is trained; until `load` the weights are random.

    Args:
        layers: names of the layers.
    """

    def __init__(self, layers: Sequence[str]):
        super().__init__(trainable=False, dtype="float32")
        whole, name = self._whole(), type(self).__name__
        known = [layer.name for layer in whole.layers]
        if not isinstance(layers, (tuple, list)) or not layers or (set(layers) - set(known)):
            raise UsageError(
                f"{name}.layers={layers!r} are not layers of {whole.name}, which has {', '.join(known[1:])}"
            )
        self.layer_names = tuple(layers)
        self.network = keras.Model(whole.inputs, [whole.get_layer(layer).output for layer in layers])
        self.network.trainable = False
        self.built = True

    def _whole(self) -> keras.Model:
        """The network with all its layers."""
        raise NotImplementedError

    def load(self) -> None:
        """Reads the weights from the file.

        Raises:
            UsageError: the file is missing or holds other weights.
        """
        raise NotImplementedError

    def check_shape(self, image_shape: Sequence[int]) -> None:
        """Rejects images that are too small for the layers, and data that are no images.

        Raises:
            UsageError: see above.
        """
        name = type(self).__name__
        if len(image_shape) != 3 or image_shape[-1] not in (1, 3):
            raise UsageError(
                f"perceptual={name} was given data of shape {tuple(image_shape)}; it takes images of 1 or 3 channels"
            )
        try:
            shapes = self.network.compute_output_shape((1, *image_shape[:2], 3))
        except ValueError:
            shapes = [(1, 0, 0, 0)]
        if any(size < 1 for shape in shapes for size in shape):
            raise UsageError(
                f"{name}.layers={self.layer_names} leave nothing of images of {image_shape[0]}×{image_shape[1]}; "
                "give earlier layers, or larger images by load.image_size"
            )

    def call(self, images):
        colour = tf.repeat(images, 3, -1) if images.shape[-1] == 1 else images
        found = self.network(255.0 * tf.cast(colour, tf.float32)[..., ::-1] - MEANS_BGR, training=False)
        return list(found) if isinstance(found, (list, tuple)) else [found]  # Keras unwraps a list of one


@gin.register
class SqueezeNetFeatures(FeatureNetwork):
    """Feature maps of SqueezeNet 1.1: images of 16×16 and more with the layers that are the default.

    Args:
        weights: the file (.h5) without the top in the Keras layout; it is needed when training begins, and not later.
        layers: "conv1", "fire2", … "fire9"; after fire3 and fire5 sides are halved, and smaller than 1 they cannot get.

    Raises:
        UsageError: an unknown layer.

    Reference: Iandola et al. 2016.
    """

    def __init__(self, weights: str | None = None, layers: Sequence[str] = ("conv1", "fire2", "fire3")):
        super().__init__(layers)
        self._path = weights

    def _whole(self):
        return squeezenet()

    def load(self):
        load_squeezenet(self.network, self._path, "SqueezeNetFeatures.weights")


@gin.register
class VGG16Features(FeatureNetwork):
    """Feature maps of VGG16, after the rectifiers: five layers in GLF, the first three in GLANN on small images.

    Args:
        weights: the file without the top as `keras.applications.VGG16` has it (.h5); it is needed when training begins,
            and not later.
        layers: names as in `keras.applications.VGG16`. The authors of GLF count the layers of another library and take
            2, 7, 12, 21 and 30: the four convolutions here, and with 32×32 and more "block5_pool".

    Raises:
        UsageError: an unknown layer.

    Reference: Simonyan and Zisserman 2015; Xiao et al. 2019, section 4.3; Hoshen et al. 2019, section 3.1.
    """

    def __init__(
        self,
        weights: str | None = None,
        layers: Sequence[str] = ("block1_conv2", "block2_conv2", "block3_conv2", "block4_conv3"),
    ):
        super().__init__(layers)
        self._path = weights

    def _whole(self):
        return keras.applications.VGG16(include_top=False, weights=None)

    def load(self):
        path = self._path
        if path is None or not Path(path).is_file():
            given = None if path is None else str(path)
            raise UsageError(
                f"VGG16Features.weights={given!r} does not exist; give the weights of keras.applications.VGG16 "
                "without top (.h5)"
            )
        try:
            whole = self._whole()
            whole.load_weights(path)
        except (OSError, KeyError, ValueError) as error:
            raise UsageError(
                f"VGG16Features.weights={str(path)!r} does not hold the weights of VGG16 without top "
                f"({type(error).__name__}: {error})"
            ) from error
        for layer in filter(lambda layer: layer.weights, self.network.layers):
            layer.set_weights(whole.get_layer(layer.name).get_weights())
