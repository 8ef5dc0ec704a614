"""A data set: its specification and random access to its examples."""

import abc
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfade.errors import UsageError
from tfade.spec import Spec

SPLITS = ("train", "validation", "test")
FINGERPRINTED = 256  # at most so many examples enter the fingerprint of a data set


class Source(abc.ABC):
    """A data set with random access; the one pipeline (`tfade.data.pipeline`) is built on `fetch`.

    The names that gin binds to `data` are resolved by `tfade.data.loading.load`.

    Attributes:
        spec: what the examples look like.
        density: the `tfade.data.toy.Density` that they are draws of, where that is known.
    """

    spec: Spec
    density: Any = None

    @abc.abstractmethod
    def fetch(self, indices: np.ndarray) -> np.ndarray:
        """The examples at `indices` (int64 [n], each in [0, num_examples)): [n, *shape] of `spec.dtype`."""

    def labels(self, indices: np.ndarray) -> np.ndarray:
        """The labels at `indices`: int32 [n] in [0, num_classes).

        Raises:
            UsageError: the data set has no labels.
        """
        raise UsageError(f"data={self.spec.name!r} has no labels; use a labelled data set, or sub-folders as classes")

    @property
    def stacked(self) -> "Source | None":
        """The grey source whose images were drawn into the colour channels, or None for ordinary data."""
        return None

    @property
    def original(self) -> "Source | None":
        """The grey source whose image i `tfade.data.painted.paint` made into image i, or None for ordinary data."""
        return None

    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell these data from others.

        A hash of the shape, the number of examples, and up to 256 examples with their labels, spread over the whole
        set. The names and places of files do not enter.
        """
        count = self.spec.num_examples
        chosen = np.unique(np.linspace(0, count - 1, min(count, FINGERPRINTED)).astype(np.int64))
        digest = hashlib.sha256(repr((self.spec.shape, self.spec.dtype, count, self.spec.num_classes)).encode())
        digest.update(np.ascontiguousarray(self.fetch(chosen)).tobytes())
        if self.spec.num_classes is not None:
            digest.update(self.labels(chosen).astype(np.int32).tobytes())
        return digest.hexdigest()[:16]

    def sequential(self, batch_size: int) -> Iterator[np.ndarray]:
        """Every example once, in order, in batches [<= batch_size, *shape]; the last one may be short."""
        for start in range(0, self.spec.num_examples, batch_size):
            yield self.fetch(np.arange(start, min(start + batch_size, self.spec.num_examples)))


class ArraySource(Source):
    """Examples in one array, in memory or memory-mapped.

    Args:
        name, split: as in `Spec`.
        images: uint8 [N, H, W, C] or float32 [N, D].
        labels: integers [N] in [0, num_classes), or None.
        num_classes: number of classes; required with labels.
        preprocessing: as in `Spec`.
    """

    def __init__(
        self,
        name: str,
        split: str,
        images: np.ndarray,
        labels=None,
        num_classes: int | None = None,
        preprocessing: str = "",
    ):
        self._images = images
        self._labels = None if labels is None else np.asarray(labels, np.int32)
        is_image = images.dtype == np.uint8
        self.spec = Spec(
            name=name,
            split=split,
            shape=tuple(int(size) for size in images.shape[1:]),
            dtype=str(images.dtype),
            value_range=(0, 255) if is_image else None,
            num_classes=num_classes,
            num_examples=len(images),
            preprocessing=preprocessing,
        )

    def fetch(self, indices):
        return self._images[indices]

    def labels(self, indices):
        return super().labels(indices) if self._labels is None else self._labels[indices]


def check_split(split: str) -> str:
    """Returns `split`, or raises a UsageError that lists the possible ones."""
    if split not in SPLITS:
        raise UsageError(f"split={split!r} is not one of {', '.join(SPLITS)}")
    return split
