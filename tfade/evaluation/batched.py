"""Answers for one batch after another: as a graph where there are many, and a batch on each GPU at a time."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf

FEW = 4  # batches that are not worth a trace
UNTRACEABLE = (TypeError, ValueError, AttributeError, NotImplementedError)  # of code that needs the values of tensors


def devices() -> tuple[str | None, ...]:
    """The names of all GPUs; None, for TensorFlow's own choice, where there are none."""
    return tuple(device.name for device in tf.config.list_logical_devices("GPU")) or (None,)


class Batched:
    """A function of batches that is called batch by batch.

    More than a few batches are computed by a graph, traced at the first one, and on all GPUs at once. A batch of
    other shapes than the first, such as a shorter last one, or a function that cannot be traced, is computed as it is
    written. Every batch is computed whole on one device, so the results do not depend on how many there are.

    Args:
        function: tensors, or nests of them, to tensors; of nothing else that changes from batch to batch.
        traced: whether it is a graph already, which only several GPUs need another one for.
    """

    def __init__(self, function: Callable, traced: bool = False):
        self._function, self._traced, self._shapes, self._usable = function, traced, None, True
        # As a partial function, or TensorFlow takes those of several objects for one that is traced too often.
        self._graph = tf.function(functools.partial(self._on_devices), autograph=False)

    def __call__(self, batches: Iterable[tuple], count: int) -> Iterator[Any]:
        """`function(*batch)` of every batch, in order.

        Args:
            batches: arguments.
            count: how many batches there are.
        """
        batches, places = iter(batches), devices()
        if count <= FEW or (self._traced and len(places) == 1):
            yield from itertools.starmap(self._function, batches)
            return
        while group := tuple(itertools.islice(batches, len(places))):
            yield from self._together(group, places)

    def _together(self, group: tuple[tuple, ...], places: tuple[str | None, ...]) -> Iterable[Any]:
        tensors = tf.nest.map_structure(tf.convert_to_tensor, group)
        shapes = [[part.shape for part in tf.nest.flatten(batch)] for batch in tensors]
        self._shapes = self._shapes or shapes[0]
        if self._usable and all(each == self._shapes for each in shapes):
            filled = (*tensors, *tensors[:1] * (len(places) - len(group)))  # one trace, whatever is left at the end
            try:
                return self._graph(filled, places)[: len(group)]
            except UNTRACEABLE:  # what is wrong in itself fails again below, where its traceback can be read
                self._usable = False
        return itertools.starmap(self._function, group)

    def _on_devices(self, group, places):
        results = []
        for place, batch in zip(places, group):
            with tf.device(place):
                results.append(self._function(*batch))
        return results
