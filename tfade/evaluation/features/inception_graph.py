"""The Inception of 2015-12-05 as a Keras graph, with weights read by name from the original frozen graph file.

Layers are called after the nodes of that file, with dots for its slashes. It differs from `keras.applications`'
InceptionV3 in one place: the last block pools by the maximum where the other ones pool by the mean. ImageNet weights of
keras.applications or torchvision are of other trainings, and a Fréchet distance of their features is no FID.

Reference: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", section 6 and figures 5-7,
    in the version that Google published on 2015-12-05 as classify_image_graph_def.pb.
"""

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from tfade.errors import UsageError

SIDE, NUM_FEATURES, NUM_CLASSES = 299, 2048, 1008
EPSILON = 1e-3  # of every batch normalisation


def inception_network() -> keras.Model:
    """Images (x − 128)/128 [N, 299, 299, 3] → (pool_3 features [N, 2048], logits without bias [N, 1008])."""
    images = x = keras.Input((SIDE, SIDE, 3), dtype="float32")
    x = _tower(x, "", (32, 3, 2), (32, 3), padding="valid")
    x = _pool(_tower(x, "", (64, 3), first=2), "max", strides=2)
    x = _tower(x, "", (80, 1), (192, 3), first=3, padding="valid")
    x = _pool(x, "max", strides=2)
    for name, pooled in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        x = _join(
            _tower(x, name, (64, 1)),
            _tower(x, f"{name}/tower", (48, 1), (64, 5)),
            _tower(x, f"{name}/tower_1", (64, 1), (96, 3), (96, 3)),
            _tower(_pool(x, "mean"), f"{name}/tower_2", (pooled, 1)),
        )
    x = _join(
        _tower(x, "mixed_3", (384, 3, 2)), _tower(x, "mixed_3/tower", (64, 1), (96, 3), (96, 3, 2)), _pool(x, "max", 2)
    )
    for name, width in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        row, column = (width, (1, 7)), (width, (7, 1))
        x = _join(
            _tower(x, name, (192, 1)),
            _tower(x, f"{name}/tower", (width, 1), row, (192, (7, 1))),
            _tower(x, f"{name}/tower_1", (width, 1), column, row, column, (192, (1, 7))),
            _tower(_pool(x, "mean"), f"{name}/tower_2", (192, 1)),
        )
    x = _join(
        _tower(x, "mixed_8/tower", (192, 1), (320, 3, 2)),
        _tower(x, "mixed_8/tower_1", (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
        _pool(x, "max", 2),
    )
    for name, kind in (("mixed_9", "mean"), ("mixed_10", "max")):
        x = _join(
            _tower(x, name, (320, 1)),
            _fork(_tower(x, f"{name}/tower", (384, 1)), f"{name}/tower/mixed"),
            _fork(_tower(x, f"{name}/tower_1", (448, 1), (384, 3)), f"{name}/tower_1/mixed"),
            _tower(_pool(x, kind), f"{name}/tower_2", (192, 1)),
        )
    features = keras.layers.GlobalAveragePooling2D(name="pool_3", dtype="float32")(x)
    logits = keras.layers.Dense(NUM_CLASSES, use_bias=False, name="softmax", dtype="float32")(features)
    return keras.Model(images, (features, logits))


def load_graph_weights(network: keras.Model, path) -> None:
    """Fills an `inception_network` from a frozen graph file.

    A factor γ of a normalisation, which the Keras layers do not have, is folded into the kernel before it.

    Args:
        network: filled in place.
        path: classify_image_graph_def.pb, or a file of the same structure.

    Raises:
        UsageError: no graph file, or one without the nodes of that Inception.
    """
    nodes = _nodes(path)
    for layer in network.layers:
        node = layer.name.replace(".", "/")
        if isinstance(layer, keras.layers.Conv2D):
            factor, beta, mean, variance = _normalisation(nodes, f"{node}/batchnorm", path)
            kernel = _constant(nodes, f"{node}/conv2d_params", path)
            _assign(layer, [kernel * factor], node, path)
            _assign(network.get_layer(f"{layer.name}.batchnorm"), [beta, mean * factor, variance], node, path)
        elif isinstance(layer, keras.layers.Dense):
            _assign(layer, [_constant(nodes, "softmax/weights", path)], node, path)


def _tower(x, scope: str, *steps, first: int = 0, padding: str = "same"):
    """Convolutions (filters, kernel size, stride) with normalisation and rectifier; a stride of 2 takes no padding."""
    for position, (filters, kernel_size, *strides) in enumerate(steps, first):
        node = ".".join([*filter(None, scope.split("/")), "conv" + (f"_{position}" if position else "")])
        border = "valid" if strides else padding
        x = keras.layers.Conv2D(
            filters, kernel_size, *strides, padding=border, use_bias=False, name=node, dtype="float32"
        )(x)
        x = keras.layers.BatchNormalization(epsilon=EPSILON, scale=False, name=f"{node}.batchnorm", dtype="float32")(x)
        x = keras.layers.ReLU(dtype="float32")(x)
    return x


def _fork(x, scope: str):
    return _join(_tower(x, scope, (384, (1, 3))), _tower(x, scope, (384, (3, 1)), first=1))


def _pool(x, kind: str, strides: int = 1):
    layer = keras.layers.MaxPooling2D if kind == "max" else keras.layers.AveragePooling2D
    return layer(3, strides, "same" if strides == 1 else "valid", dtype="float32")(x)


def _join(*branches):
    return keras.layers.Concatenate(dtype="float32")(list(branches))


def _nodes(path) -> dict:
    graph = tf.compat.v1.GraphDef()
    try:
        with open(path, "rb") as file:
            graph.ParseFromString(file.read())
    except (OSError, DecodeError) as error:
        raise UsageError(
            f"path={str(path)!r} is not a readable graph file ({type(error).__name__}: {error}); "
            "give classify_image_graph_def.pb of 2015-12-05"
        ) from error
    return {node.name: node for node in graph.node}


def _node(nodes: dict, name: str, path):
    if name not in nodes:
        raise UsageError(
            f"path={str(path)!r} has no node {name!r} among its {len(nodes)}; "
            "give classify_image_graph_def.pb of 2015-12-05, whose nodes have these names"
        )
    return nodes[name]


def _constant(nodes: dict, name: str, path) -> np.ndarray:
    array = tf.make_ndarray(_node(nodes, name, path).attr["value"].tensor)
    if not np.isfinite(array).all():
        raise UsageError(f"path={str(path)!r} has NaN or infinite weights in node {name!r}; download the file again")
    return array


def _normalisation(nodes: dict, name: str, path) -> tuple[np.ndarray, ...]:
    """(factor, β, mean, variance): the factor is γ where the node applies it, and 1 where not."""
    attributes = _node(nodes, name, path).attr
    if abs(attributes["variance_epsilon"].f - EPSILON) > 1e-9:
        raise UsageError(
            f"path={str(path)!r} normalises with ε = {attributes['variance_epsilon'].f:g} in node {name!r}; "
            f"the Inception of 2015-12-05 has {EPSILON:g}"
        )
    gamma, beta, mean, variance = (
        _constant(nodes, f"{name}/{part}", path) for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return gamma if attributes["scale_after_normalization"].b else np.ones_like(gamma), beta, mean, variance


def _assign(layer: keras.layers.Layer, arrays: list[np.ndarray], node: str, path) -> None:
    shapes = [tuple(weight.shape) for weight in layer.weights]
    if [array.shape for array in arrays] != shapes:
        raise UsageError(
            f"path={str(path)!r} has weights of shapes {[array.shape for array in arrays]} at node {node!r}; "
            f"the Inception of 2015-12-05 has {shapes}"
        )
    layer.set_weights(arrays)
