"""Feature extractors of images: the interface, and extractors from a Keras model or from any function."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import gin
import keras
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError
from tfade.evaluation.batched import Batched
from tfade.evaluation.checks import checked_images
from tfade.evaluation.features.classifier_cache import weights_fingerprint
from tfade.evaluation.features.probabilities import modes_of
from tfade.evaluation.features.resize import CLEAN, check_resize, resized


@runtime_checkable
class Extractor(Protocol):
    """The interface of `Subject.extractor`; `Classifier`, `InceptionExtractor` and the classes below have it.

    Attributes:
        protocol: keys for results that depend on it: "extractor" (its name), "extractor_fingerprint" (of its
            weights), "resize" where it brings images to another size. Features whose protocols differ in a key that
            starts with "extractor" or "resize" are never compared.
    """

    protocol: dict

    def outputs(self, images: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Features [N, D] and class probabilities [N, K], or None, of uint8 images [N, H, W, C]."""


@dataclasses.dataclass(frozen=True)
class Extracted:
    """The outputs of an extractor for images.

    Attributes:
        features: float [N, D].
        probabilities: of classes, float64 [N, K] (of a stacked classifier [N, 3, K]), or None where it has no classes.
    """

    features: np.ndarray
    probabilities: np.ndarray | None

    @property
    def modes(self) -> np.ndarray:
        """The most probable class, int64 [N]."""
        return modes_of(self.probabilities)


_PREPROCESSING = {
    "unit": lambda x: x / 255.0,
    "symmetric": lambda x: x / 127.5 - 1.0,
    "levels": lambda x: x,
    "imagenet": lambda x: (x / 255.0 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225),
    "imagenet_bgr": lambda x: x[..., ::-1] - (103.939, 116.779, 123.68),
}


@gin.register
class KerasExtractor:
    """Features of a layer of a Keras model.

    Args:
        model: a model, or the file (.keras or .h5) of a whole one.
        name: of the extractor in results; None for the model's.
        layer: name of the layer; None for the output. Feature maps [N, h, w, D] are averaged over places.
        probabilities: name of a layer that gives class probabilities [N, K]; None where there are none.
        preprocessing: the range that the model was trained on: "unit" x/255, "symmetric" x/127.5 − 1, "levels" x,
            "imagenet" (x/255 − mean)/deviation per channel, "imagenet_bgr" channels reversed minus 103.939, 116.779,
            123.68.
        size: (height, width) that images are brought to; None for the model's own size, or, where it takes any, for
            images as they are.
        resize: how: "legacy_tensorflow", "legacy_pytorch" or "clean"; see `tfade.evaluation.features.resize`.

    Raises:
        UsageError: no readable model, no such layer, or a layer that gives no features; an unknown preprocessing or
            resize; a size that the model does not take.
    """

    def __init__(
        self,
        model,
        name: str | None = None,
        layer: str | None = None,
        probabilities: str | None = None,
        preprocessing: str = "unit",
        size: tuple[int, int] | None = None,
        resize: str = CLEAN,
    ):
        if preprocessing not in _PREPROCESSING:
            raise UsageError(
                f"KerasExtractor.preprocessing={preprocessing!r} is not one of {', '.join(_PREPROCESSING)}"
            )
        check_resize("KerasExtractor.resize", resize)
        model = _model(model)
        own_size, self._channels = tuple(model.input_shape[1:3]), model.input_shape[-1]
        if size is not None and None not in own_size and tuple(size) != own_size:
            raise UsageError(f"KerasExtractor.size={tuple(size)} does not match the model's input size {own_size}")
        if preprocessing.startswith("imagenet") and self._channels != 3:
            raise UsageError(f"KerasExtractor.preprocessing={preprocessing!r} is for 3 channels; the model takes 1")
        size = tuple(size) if size is not None else None if None in own_size else own_size
        self.protocol = {
            "extractor": name or model.name,
            "extractor_fingerprint": weights_fingerprint(model.get_weights()),
            "extractor_layer": layer or "output",
            "extractor_preprocessing": preprocessing,
            "extractor_grey": "repeated to 3 channels" if self._channels == 3 else "as it is",
            "resize": "none" if size is None else f"{resize} to {size[0]}×{size[1]}",
        }
        network = keras.Model(
            model.inputs,
            [_pooled(_layer(model, layer))] + ([] if probabilities is None else [_layer(model, probabilities)]),
        )

        def forward(images):
            images = tf.cast(images, tf.float32) if size is None else resized(images, size, resize)
            return network(_PREPROCESSING[preprocessing](images), training=False)

        signature = [tf.TensorSpec((None, None, None, self._channels), tf.uint8)]
        self._forward = Batched(tf.function(forward, signature, autograph=False), traced=True)

    def outputs(self, images, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray | None]:
        """Features float32 [N, D] and probabilities float64 [N, K], or None, of uint8 images [N, H, W, C].

        Raises:
            UsageError: not uint8 images, none, or with other channels than the model takes (grey becomes colour).
        """
        images = three_channels(images) if self._channels == 3 else checked_images("images", images)
        if images.shape[-1] != self._channels:
            raise UsageError(f"images have {images.shape[-1]} channels; {self.protocol['extractor']} takes 1")
        found = in_batches(self._forward, images, batch_size)
        return found[0], found[1].astype(np.float64) if len(found) > 1 else None


@gin.register
class CallableExtractor:
    """Any function of images as an extractor.

    Args:
        function: uint8 [n, H, W, C] → features [n, D], or a pair of features and class probabilities [n, K]. It must
            treat images one by one: results must not depend on the batch.
        name: of the extractor in results; features of other functions need another name.
        fingerprint: of the function's weights, if it has any.
        resize: how it brings images to another size, if it does.
    """

    def __init__(self, function: Callable, name: str, fingerprint: str = "none", resize: str = "none"):
        if not callable(function) or not name:
            raise UsageError(f"function={function!r} and name={name!r}: give a function and a name for it")
        self._function = lambda batches, count: itertools.starmap(
            function, batches
        )  # as it is written: it may be anything
        self.protocol = {"extractor": name, "extractor_fingerprint": fingerprint, "resize": resize}

    def outputs(self, images, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray | None]:
        """Features float32 [N, D] and probabilities float64 [N, K], or None, of uint8 images [N, H, W, C]."""
        found = in_batches(self._function, checked_images("images", images), batch_size)
        return found[0], found[1].astype(np.float64) if len(found) > 1 else None


def in_batches(forward: Callable, images: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """The outputs of `forward` for all images, float features [N, D] first; the last batch may be short.

    Args:
        forward: a `Batched`, or what is called like one.
        images: uint8 [N, H, W, C].
        batch_size: images at a time.

    Raises:
        UsageError: no images, a batch size below 1, or features that are not [n, D].
    """
    if not len(images) or batch_size < 1:
        raise UsageError(
            f"images has shape {list(images.shape)} and batch_size={batch_size}; give at least one image and a "
            "batch_size ≥ 1"
        )
    batches = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
    parts = []
    for batch, found in zip(batches, forward(zip(batches), len(batches))):
        found = [np.asarray(part) for part in (found if isinstance(found, (tuple, list)) else (found,))]
        if found[0].ndim != 2 or any(len(part) != len(batch) for part in found):
            raise UsageError(
                f"the extractor gave outputs of shapes {[part.shape for part in found]} for {len(batch)} images; "
                "features must be [N, D] and probabilities [N, K]"
            )
        parts.append(found)
    outputs = [np.concatenate(pieces) for pieces in zip(*parts)]
    return [outputs[0].astype(np.float32), *outputs[1:]]


def three_channels(images) -> np.ndarray:
    """uint8 images [N, H, W, 1 or 3] with their grey repeated: [N, H, W, 3]."""
    images = checked_images("images", images)
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def _model(model) -> keras.Model:
    if not isinstance(model, keras.Model):
        if not Path(model).is_file():
            raise UsageError(f"KerasExtractor.model={str(model)!r} does not exist; give a .keras or .h5 file")
        try:
            model = keras.models.load_model(model, compile=False)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"KerasExtractor.model={str(model)!r} does not hold a whole Keras model "
                f"({type(error).__name__}: {error}); save one by model.save('it.keras')"
            ) from error
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[-1] not in (1, 3):
        raise UsageError(
            f"KerasExtractor.model={model.name!r} takes inputs of shape {shape}; it must take images [N, H, W, 1 or 3]"
        )
    return model


def _layer(model: keras.Model, name: str | None):
    if name is None:
        if len(model.outputs) != 1:
            raise UsageError(f"KerasExtractor.model={model.name!r} has {len(model.outputs)} outputs; name a layer")
        return model.outputs[0]
    known = [layer.name for layer in model.layers]
    if name not in known:
        raise UsageError(
            f"KerasExtractor has the unknown layer {name!r}; {model.name!r} has {', '.join(known[-8:])}, …"
        )
    return model.get_layer(name).output


def _pooled(features):
    """[N, D] as it is; [N, h, w, D] averaged over places."""
    if len(features.shape) == 4:
        return keras.ops.mean(features, axis=(1, 2))
    if len(features.shape) != 2:
        raise UsageError(
            f"KerasExtractor.layer gives outputs of shape {tuple(features.shape)}; choose one with features [N, D] or "
            "feature maps [N, h, w, D]"
        )
    return features
