"""SqueezeNet 1.1 without its classifier, and its weights in the Keras layout: 3 MB."""

from pathlib import Path

import h5py
import keras

from tfade.errors import UsageError

_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))


def squeezenet() -> keras.Model:
    """Preprocessed images [N, H, W, 3] → feature maps [N, h, w, 512]; layers "conv1", "fire2", … "fire9".

    Reference: Iandola et al. 2016, "SqueezeNet", and the authors' version 1.1, which pools earlier.
    """
    images = keras.Input((None, None, 3), dtype="float32")
    x = _pool(_convolution(images, "conv1", 64, 3, strides=2))
    for number, (narrow, wide) in enumerate(_FIRES, 2):
        x = _convolution(x, f"fire{number}/squeeze1x1", narrow, 1)
        parts = [_convolution(x, f"fire{number}/expand{side}x{side}", wide, side) for side in (1, 3)]
        x = keras.layers.Concatenate(dtype="float32", name=f"fire{number}")(parts)
        if number in (3, 5):
            x = _pool(x)
    return keras.Model(images, x, name="squeezenet")


def _convolution(x, node: str, filters: int, side: int, strides: int = 1):
    border = "valid" if strides == 2 else "same"
    name = node.replace("/", ".")
    return keras.layers.Conv2D(filters, side, strides, border, activation="relu", name=name, dtype="float32")(x)


def _pool(x):
    return keras.layers.MaxPooling2D(3, 2, dtype="float32")(x)


def load_squeezenet(network: keras.Model, path, name: str) -> None:
    """Sets the weights of `squeezenet()`, or of a model of some of its layers.

    Args:
        network: whose convolutions are named as those of `squeezenet()`.
        path: weights without the top in the Keras layout (.h5): layers conv1, fire2/squeeze1x1, … fire9/expand3x3.
        name: how errors call the path.

    Raises:
        UsageError: the file is missing or holds other weights.
    """
    if path is None or not Path(path).is_file():
        raise UsageError(
            f"{name}={None if path is None else str(path)!r} does not exist; give SqueezeNet 1.1 weights (.h5)"
        )
    try:
        with h5py.File(path) as file:
            for layer in network.layers:
                if isinstance(layer, keras.layers.Conv2D):
                    group = file[layer.name.replace(".", "/")]
                    layer.set_weights([group[weight][()] for weight in group.attrs["weight_names"]])
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(
            f"{name}={str(path)!r} does not hold the weights of SqueezeNet 1.1 without top "
            f"({type(error).__name__}: {error})"
        ) from error
