"""The one input pipeline: shuffled batches that are a pure function of (seed, step), sharded by replica."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfade.data.hashing import hashed
from tfade.data.source import Source
from tfade.errors import UsageError
from tfade.spec import Batch

FIELDS = Batch._fields


class BatchOrder:
    """The examples of each batch.

    Epoch e is a permutation of the whole set by (seed, e); batches run across the boundaries of epochs, so every
    example is seen once an epoch and none is dropped. Any batch is computed directly from its step, without replaying
    earlier ones.

    Args:
        num_examples: size of the data set.
        batch_size: examples in the global batch.
        seed: the run's seed, or one derived from it, in [0, 2⁶⁴).
        batches_per_step: how many fresh global batches one training step takes.
        name: the data set, for the message.

    Raises:
        UsageError: the batch does not fit the data.
    """

    def __init__(
        self, num_examples: int, batch_size: int, seed: int, batches_per_step: int = 1, name: str = "the data"
    ):
        if not 1 <= batch_size <= num_examples:
            raise UsageError(
                f"batch_size={batch_size} does not fit {name}, which has {num_examples} examples; "
                f"use a batch_size between 1 and {num_examples}"
            )
        self._num_examples, self._batch_size, self._batches = num_examples, batch_size, batches_per_step

        def permutation(epoch: int) -> np.ndarray:
            # A list of a large and a small integer would pass through float64.
            key = np.array([seed, epoch], np.uint64)
            return np.random.Generator(np.random.Philox(key=key)).permutation(num_examples)

        # A replica asks for its rows batch by batch and epochs follow each other, so two permutations always suffice.
        self._permutation = functools.lru_cache(maxsize=2)(permutation)

    def positions(self, step: int, start: int, stop: int) -> np.ndarray:
        """Positions in the endless stream of rows [start, stop) of the step's global batches: int64 [rows, batches]."""
        batches = step * self._batches + np.arange(self._batches, dtype=np.int64)
        return batches * self._batch_size + np.arange(start, stop, dtype=np.int64)[:, None]

    def indices(self, positions: np.ndarray) -> np.ndarray:
        """The examples at stream `positions`, int64 of the same shape."""
        epochs, offsets = np.divmod(positions, self._num_examples)
        result = np.empty_like(offsets)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            result[chosen] = self._permutation(int(epoch))[offsets[chosen]]
        return result


class _Domain:
    """One data set, read in its own order."""

    def __init__(self, source: Source, batch_size: int, seed: int, batches_per_step: int, horizontal_flip: bool):
        name = f"data={source.spec.name!r}"
        if horizontal_flip and not source.spec.is_image:
            raise UsageError(f"horizontal_flip=True needs images, but {name} has vectors; use False")
        self.source, self._flip_key = source, f"flip/{seed}" if horizontal_flip else None
        self.order = BatchOrder(source.spec.num_examples, batch_size, seed, batches_per_step, name)

    def examples(self, positions: np.ndarray) -> np.ndarray:
        """The examples at stream `positions`: [*positions.shape, *shape], mirrored by position."""
        examples = self.source.fetch(self.order.indices(positions).reshape(-1))
        if self._flip_key:
            mirrored = hashed(positions.reshape(-1), self._flip_key) % np.uint64(2) == 1
            examples = np.where(mirrored[:, None, None, None], examples[:, :, ::-1], examples)
        return examples.reshape(*positions.shape, *self.source.spec.shape)

    def labels(self, positions: np.ndarray) -> np.ndarray:
        """The labels at stream `positions`, int32 of the same shape."""
        return self.source.labels(self.order.indices(positions).reshape(-1)).reshape(positions.shape).astype(np.int32)


def batches(
    source: Source,
    batch_size: int,
    seed: int,
    *,
    fields: Sequence[str] = ("images",),
    other: Source | None = None,
    start_step: int = 0,
    batches_per_step: int = 1,
    horizontal_flip: bool = False,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Endless training batches, beginning with the one of `start_step`.

    Args:
        source: the data.
        batch_size: size of the global batch, over all replicas and workers.
        seed: the run's seed; it fixes the order and the flips.
        fields: the fields of `tfade.spec.Batch` to yield.
        other: the data of the second domain, for the field "other". It is read in an order of its own, with epochs of
            its own length and flips of its own, so that its examples are not paired with those of `source`.
        start_step: training step at which to begin, 0 or more.
        batches_per_step: b fresh global batches for each step (discriminator steps on fresh data).
        horizontal_flip: mirror each image with probability ½.
        context: the worker's place in a `tf.distribute` strategy; None for a single device.

    Returns:
        A dataset of dicts, field → tensor: "images" of the source's dtype, "labels" int32, "index" int64 and "other"
        of the other source's dtype; [rows, ...], or [rows, b, ...] for b > 1, where rows is `batch_size` over the
        number of replicas. A worker's replicas take their batches in turn.

    Raises:
        UsageError: the batch does not fit the data, or does not divide among the replicas; a field is unknown, or the
            data do not have it.
    """
    replicas = context.num_replicas_in_sync if context else 1
    workers, worker = (context.num_input_pipelines, context.input_pipeline_id) if context else (1, 0)
    if batch_size % replicas:
        raise UsageError(f"batch_size={batch_size} does not divide among {replicas} replicas; use a multiple")
    _check_fields(fields, source, other)
    rows, local = batch_size // replicas, replicas // workers
    first = _Domain(source, batch_size, seed, batches_per_step, horizontal_flip)
    # name: (how to read it at stream positions, dtype, shape of one example)
    readers = {
        "images": (first.examples, source.spec.dtype, source.spec.shape),
        "labels": (first.labels, tf.int32, ()),
        "index": (first.order.indices, tf.int64, ()),
    }
    if "other" in fields:
        other_seed = int(hashed(np.array([seed]), "other domain")[0])
        second = _Domain(other, batch_size, other_seed, batches_per_step, horizontal_flip)
        readers["other"] = (second.examples, other.spec.dtype, other.spec.shape)
    readers = {field: readers[field] for field in fields}

    def fetch(piece: np.ndarray) -> list[np.ndarray]:
        step, replica = divmod(int(piece), local)
        start = (worker * local + replica) * rows
        positions = first.order.positions(step, start, start + rows)
        values = [read(positions) for read, _, _ in readers.values()]
        return [np.ascontiguousarray(value[:, 0] if batches_per_step == 1 else value) for value in values]

    def load(piece) -> dict[str, tf.Tensor]:
        values = tf.numpy_function(fetch, [piece], [dtype for _, dtype, _ in readers.values()], stateful=False)
        leading = (rows,) if batches_per_step == 1 else (rows, batches_per_step)
        return {
            field: tf.ensure_shape(value, (*leading, *shape))
            for value, (field, (_, _, shape)) in zip(values, readers.items(), strict=True)
        }

    dataset = tf.data.Dataset.counter(start_step * local).map(load, num_parallel_calls=2, deterministic=True)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.prefetch(2 * local).with_options(options)


def _check_fields(fields: Sequence[str], source: Source, other: Source | None) -> None:
    """Rejects fields that are unknown or that the data do not have."""
    if unknown := [field for field in fields if field not in FIELDS]:
        raise UsageError(f"field {unknown[0]!r} of a batch is unknown; possible are {', '.join(FIELDS)}")
    if "labels" in fields and source.spec.num_classes is None:
        raise UsageError(
            f"data={source.spec.name!r} has no labels, which the model needs; use labelled data "
            f"(class folders, labels in an NPZ file, a labelled set), or a model without labels"
        )
    if "other" in fields and other is None:
        raise UsageError(
            "the model needs images of a second domain; set other_data = NAME beside data, as for tfade.data.load"
        )


def sequential_batches(
    source: Source, batch_size: int, fields: Sequence[str] = ("images",), other: Source | None = None
) -> Iterator[Batch]:
    """Every example once, in order, for evaluation; the last batch may be short.

    Args:
        source: the examples.
        batch_size: most examples in a batch.
        fields: what a batch holds; "index" is left out, for it is a position in the training split. Examples of the
            second domain start again when there are too few of them.
        other: the data of the second domain.
    """
    for start in range(0, source.spec.num_examples, batch_size):
        indices = np.arange(start, min(start + batch_size, source.spec.num_examples))
        yield Batch(
            source.fetch(indices),
            labels=source.labels(indices) if "labels" in fields else None,
            other=other.fetch(indices % other.spec.num_examples) if "other" in fields and other is not None else None,
        )
