"""A classifier trained from the labelled data at hand and cached: a feature network that needs no download."""

import hashlib
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import gin
import keras
import numpy as np
import tensorflow as tf

from tfade.data.source import Source
from tfade.errors import UsageError
from tfade.evaluation.batched import Batched
from tfade.evaluation.checks import checked_images
from tfade.evaluation.features.classifier_cache import (
    data_identity,
    read_classifier,
    weights_fingerprint,
    write_classifier,
)
from tfade.evaluation.features.classifier_network import DESIGN, NUM_FEATURES, build_network, train_network
from tfade.evaluation.features.probabilities import modes_of, softmax


class Classifier:
    """A trained classifier of uint8 images.

    Args:
        network: images in [0, 1] → (features, logits).
        record: of its training: "data", "split", "accuracy", "settings", … (JSON values).

    Attributes:
        accuracy: share of the test split that it labels correctly.
        fingerprint: a hash of its weights.
        num_modes: the number of classes.
    """

    def __init__(self, network: keras.Model, record: dict):
        self.record = record
        self.shape = tuple(network.input_shape[1:])
        self.num_classes = self.num_modes = network.output_shape[1][-1]
        self.num_features = network.output_shape[0][-1]
        self.accuracy = float(record["accuracy"])
        self.fingerprint = weights_fingerprint(network.get_weights())
        forward = tf.function(
            lambda images: network(tf.cast(images, tf.float32) / 255, training=False),
            input_signature=[tf.TensorSpec((None, *self.shape), tf.uint8)],
            autograph=False,
        )
        self._forward = Batched(forward, traced=True)

    @property
    def protocol(self) -> dict:
        """The protocol of results that depend on this classifier."""
        return {
            "extractor": f"classifier of {self.record['data']}",
            "extractor_fingerprint": self.fingerprint,
            "extractor_accuracy": self.accuracy,
        }

    def outputs(self, images, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray]:
        """Features and probabilities from one pass.

        Args:
            images: uint8 [N, *shape].
            batch_size: images at a time; the results do not depend on it.

        Returns:
            float32 [N, 64] and float64 [N, num_classes].

        Raises:
            UsageError: not uint8 images of the classifier's shape.
        """
        images = checked_images("images", images, self.shape)
        if not len(images):
            return np.zeros((0, self.num_features), np.float32), np.zeros((0, self.num_classes))
        batches = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        features, logits = (np.concatenate(parts) for parts in zip(*self._forward(zip(batches), len(batches))))
        return features, softmax(logits)

    def modes(self, images, batch_size: int = 500) -> np.ndarray:
        """The most probable class, int64 [N], of uint8 images [N, *shape]."""
        return modes_of(self.outputs(images, batch_size)[1])


class StackedClassifier:
    """A grey classifier applied to each colour channel of stacked images [N, H, W, 3].

    Its features are the channels' features side by side, its probabilities are given per channel, and its modes are
    numbered as `StackedSource` numbers them: K²·R + K·G + B for K classes.

    Args:
        grey: a classifier of one-channel images.
    """

    def __init__(self, grey: Classifier, channels: int = 3):
        self._grey, self._channels = grey, channels
        self.shape = (*grey.shape[:2], channels)
        self.num_classes, self.num_modes = grey.num_classes, grey.num_classes**channels
        self.num_features = grey.num_features * channels
        self.accuracy, self.fingerprint, self.record = grey.accuracy, grey.fingerprint, grey.record

    @property
    def protocol(self) -> dict:
        """The protocol of results that depend on this classifier; the accuracy is that of one channel."""
        return {**self._grey.protocol, "extractor_applied": "per channel"}

    def outputs(self, images, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [N, 3·64] and probabilities float64 [N, 3, num_classes] of uint8 images [N, H, W, 3]."""
        images = checked_images("images", images, self.shape)
        grey = np.moveaxis(images, -1, 1).reshape(-1, *self._grey.shape)
        features, probabilities = self._grey.outputs(grey, batch_size * self._channels)
        return (
            features.reshape(-1, self.num_features),
            probabilities.reshape(-1, self._channels, self.num_classes),
        )

    def modes(self, images, batch_size: int = 500) -> np.ndarray:
        """The most probable class of each channel as one number: int64 [N] in [0, num_modes)."""
        return modes_of(self.outputs(images, batch_size)[1])


@gin.configurable
def train_classifier(
    train: Source,
    test: Source,
    *,
    cache_dir=None,
    steps: int = 400,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Classifier | StackedClassifier:
    """The classifier of a data set: from the cache where it has one of the same data and settings, else trained now.

    Args:
        train: labelled uint8 images to learn from; of stacked data, the grey images are used.
        test: the same data's test split, for the accuracy.
        cache_dir: folder of cached classifiers, or None for no caching.
        steps: training steps, at least 1.
        batch_size: images a step, at most the number of training images (a smaller set is used whole).
        learning_rate: of Adam at the start; it falls to 0 by a cosine.
        seed: of the weights, the order, the augmentation and the dropout.
        progress: receives lines of text.

    Returns:
        A `Classifier`, or a `StackedClassifier` for stacked data.

    Raises:
        UsageError: no labels, no images, fewer than 2 classes, or splits of different data.
    """
    settings = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    if train.stacked is not None and test.stacked is not None:
        grey = train_classifier(train.stacked, test.stacked, cache_dir=cache_dir, progress=progress, **settings)
        return StackedClassifier(grey, train.spec.shape[-1])
    _check_data(train, test)
    if steps < 1 or batch_size < 1:
        raise UsageError(f"steps={steps}, batch_size={batch_size}: a classifier needs at least 1 of each")
    identity = {
        "settings": {"design": DESIGN, **settings},
        "train": data_identity(train),
        "test": data_identity(test),
    }
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    path = None if cache_dir is None else Path(cache_dir) / f"classifier-{key}.npz"
    network = build_network(train.spec.shape, train.spec.num_classes, seed)
    if path is not None and path.exists():
        record = read_classifier(path, network, identity)
        if record is not None:
            return Classifier(network, record)
        network = build_network(train.spec.shape, train.spec.num_classes, seed)
    progress(f"training a classifier of {train.spec.name} ({train.spec.num_examples} images, {steps} steps)")
    started = time.perf_counter()
    settings["batch_size"] = min(batch_size, train.spec.num_examples)
    train_network(network, train, progress=progress, **settings)
    record = {"data": train.spec.name, "accuracy": 0.0, "identity": identity, "features": NUM_FEATURES}
    record["accuracy"] = _accuracy(Classifier(network, record), test)
    record["seconds"] = round(time.perf_counter() - started, 3)
    progress(
        f"  classifier: accuracy {record['accuracy']:.4f} on the {test.spec.split} split, {record['seconds']:.1f} s"
    )
    if path is not None:
        try:
            write_classifier(path, network, record)
        except OSError as error:
            progress(f"  note: the classifier is not cached: {path} cannot be written ({error.strerror})")
    return Classifier(network, record)


def _check_data(train: Source, test: Source) -> None:
    for name, source in (("train", train), ("test", test)):
        spec = source.spec
        if not spec.is_image or spec.dtype != "uint8":
            raise UsageError(
                f"{name}={spec.name!r} has examples {spec.dtype} of shape {list(spec.shape)}; give uint8 images"
            )
        if spec.num_classes is None or spec.num_classes < 2:
            raise UsageError(
                f"{name}={spec.name!r} has {spec.num_classes or 'no'} classes; a classifier needs two or more"
            )
        if spec.num_examples < 1:
            raise UsageError(f"{name}={spec.name!r} is empty; give at least one image")
    if (train.spec.shape, train.spec.num_classes) != (test.spec.shape, test.spec.num_classes):
        raise UsageError(
            f"test={test.spec.name!r} has images {list(test.spec.shape)} of {test.spec.num_classes} classes, and "
            f"train={train.spec.name!r} {list(train.spec.shape)} of {train.spec.num_classes}; give two splits of one "
            "data set"
        )
    present = np.unique(train.labels(np.arange(train.spec.num_examples)))
    if len(present) < train.spec.num_classes:
        absent = sorted(set(range(train.spec.num_classes)) - set(present.tolist()))
        warnings.warn(f"train={train.spec.name!r} has no example of the classes {absent[:10]}", stacklevel=3)


def _accuracy(classifier: Classifier, test: Source, batch_size: int = 500) -> float:
    right, start = 0, 0
    for images in test.sequential(batch_size):
        labels = test.labels(np.arange(start, start + len(images)))
        right += int((classifier.modes(images) == labels).sum())
        start += len(images)
    return right / start
