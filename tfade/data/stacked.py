"""Stacked digits: three grey images drawn independently into R, G and B (Metz et al. 2017), 10³ = 1,000 modes."""

import dataclasses

import numpy as np

from tfade.data.hashing import hashed
from tfade.data.source import Source

CHANNELS = 3


class StackedSource(Source):
    """A colour data set made of a grey one. Example i is a fixed pseudo-random triple of the grey source's examples.

    The label of an example is its mode, 100·R + 10·G + B for ten grey classes.

    Args:
        name: the name of the stacked data set.
        grey: the grey source, [H, W, 1] uint8; images are drawn from this split only.
        num_examples: number of triples in this split.

    Reference: Metz et al. 2017, "Unrolled Generative Adversarial Networks", section 3.3.1 (stacked MNIST).
    """

    def __init__(self, name: str, grey: Source, num_examples: int):
        self._grey = grey
        classes = grey.spec.num_classes
        self.spec = dataclasses.replace(
            grey.spec,
            name=name,
            shape=(*grey.spec.shape[:2], CHANNELS),
            num_classes=classes and classes**CHANNELS,
            num_examples=num_examples,
            stacked=True,
        )

    @property
    def stacked(self):
        return self._grey

    def _members(self, indices) -> np.ndarray:
        """Indices into the grey source of each channel: int64 [n, 3]."""
        positions = np.asarray(indices, np.uint64)[:, None] * np.uint64(CHANNELS) + np.arange(CHANNELS, dtype=np.uint64)
        return (hashed(positions, "stacked") % np.uint64(self._grey.spec.num_examples)).astype(np.int64)

    def fetch(self, indices):
        members = self._members(indices)
        grey = self._grey.fetch(members.reshape(-1))[..., 0]
        return np.ascontiguousarray(np.moveaxis(grey.reshape(*members.shape, *grey.shape[1:]), 1, -1))

    def labels(self, indices):
        members = self._members(indices)
        digits = self._grey.labels(members.reshape(-1)).reshape(members.shape).astype(np.int64)
        powers = self._grey.spec.num_classes ** np.arange(CHANNELS - 1, -1, -1)
        return (digits @ powers).astype(np.int32)
