"""One half of a data set's examples, for two domains that share none."""

import dataclasses

import numpy as np

from tfade.data.source import Source
from tfade.errors import UsageError

HALVES = ("first_half", "second_half")


class HalfSource(Source):
    """Every second example of a data set, counted within each class, so that both halves have its class frequencies.

    Args:
        name: the name of the half.
        whole: the data set.
        half: "first_half", which begins with the first example of a class, or "second_half".

    Raises:
        UsageError: another half, or one without examples.
    """

    def __init__(self, name: str, whole: Source, half: str):
        if half not in HALVES:
            raise UsageError(f"half={half!r} is not one of {', '.join(HALVES)}")
        self._whole, self._half, self.density = whole, half, whole.density
        place = np.arange(whole.spec.num_examples)
        if whole.spec.num_classes is not None:
            labels = whole.labels(place)
            for label in np.unique(labels):
                of_class = labels == label
                place[of_class] = np.arange(of_class.sum())
        self._chosen = np.flatnonzero(place % 2 == HALVES.index(half))
        if not len(self._chosen):
            raise UsageError(
                f"data={name!r}: the {whole.spec.split} split of {whole.spec.name!r} is too small to halve"
            )
        self.spec = dataclasses.replace(whole.spec, name=name, num_examples=len(self._chosen))

    @property
    def stacked(self):
        return self._whole.stacked

    @property
    def original(self):
        original = self._whole.original
        return original and HalfSource(f"{self._half}:{original.spec.name}", original, self._half)

    def fetch(self, indices):
        return self._whole.fetch(self._chosen[indices])

    def labels(self, indices):
        return self._whole.labels(self._chosen[indices])
