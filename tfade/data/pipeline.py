"""The one input pipeline: shuffled uint8 batches that are a pure function of (seed, step), sharded by replica."""

import functools

import numpy as np
import tensorflow as tf

from tfade.data.hashing import hashed
from tfade.data.source import Source
from tfade.errors import UsageError


class BatchOrder:
    """Which examples make up which batch.

    Epoch e is a permutation of the whole set by (seed, e); batches run over the epochs without a seam, so every example
    is seen once an epoch and none is dropped. Any batch is computed directly from its step: nothing is replayed.

    Args:
        num_examples: size of the data set.
        batch_size: examples in the global batch.
        seed: the run's seed.
        batches_per_step: how many fresh global batches one training step takes.
    """

    def __init__(self, num_examples: int, batch_size: int, seed: int, batches_per_step: int = 1):
        if not 1 <= batch_size <= num_examples:
            raise UsageError(
                f"batch_size={batch_size} does not fit the data, which has {num_examples} examples; "
                f"use a batch_size between 1 and {num_examples}"
            )
        self._num_examples, self._batch_size, self._batches = num_examples, batch_size, batches_per_step
        # A replica asks for its rows batch by batch and epochs follow each other, so two permutations always suffice.
        self._permutation = functools.lru_cache(maxsize=2)(
            lambda epoch: np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(num_examples)
        )

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


def batches(
    source: Source,
    batch_size: int,
    seed: int,
    *,
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
        start_step: training step at which to begin, 0 or more.
        batches_per_step: b fresh global batches for each step (critic steps on fresh data).
        horizontal_flip: mirror each image with probability ½.
        context: the worker's place in a `tf.distribute` strategy; None for a single device.

    Returns:
        A dataset of the source's dtype, [rows, *shape] or [rows, b, *shape] for b > 1, where rows is
        `batch_size` over the number of replicas; a worker's replicas take their batches in turn.

    Raises:
        UsageError: the batch does not fit the data, or does not divide among the replicas.
    """
    replicas = context.num_replicas_in_sync if context else 1
    workers, worker = (context.num_input_pipelines, context.input_pipeline_id) if context else (1, 0)
    if batch_size % replicas:
        raise UsageError(f"batch_size={batch_size} does not divide among {replicas} replicas; use a multiple")
    if horizontal_flip and not source.spec.is_image:
        raise UsageError(f"horizontal_flip=True needs images, but data={source.spec.name!r} has vectors; use False")
    rows, local = batch_size // replicas, replicas // workers
    order = BatchOrder(source.spec.num_examples, batch_size, seed, batches_per_step)

    def fetch(piece: np.ndarray) -> np.ndarray:
        step, replica = divmod(int(piece), local)
        first = (worker * local + replica) * rows
        positions = order.positions(step, first, first + rows)
        examples = source.fetch(order.indices(positions).reshape(-1))
        if horizontal_flip:
            mirrored = hashed(positions.reshape(-1), f"flip/{seed}") % np.uint64(2) == 1
            examples = np.where(mirrored[:, None, None, None], examples[:, :, ::-1], examples)
        examples = examples.reshape(*positions.shape, *source.spec.shape)
        return np.ascontiguousarray(examples[:, 0] if batches_per_step == 1 else examples)

    shape = (rows, *source.spec.shape) if batches_per_step == 1 else (rows, batches_per_step, *source.spec.shape)

    def load(piece):
        return tf.ensure_shape(tf.numpy_function(fetch, [piece], source.spec.dtype, stateful=False), shape)

    dataset = tf.data.Dataset.counter(start_step * local).map(load, num_parallel_calls=2, deterministic=True)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return dataset.prefetch(2 * local).with_options(options)
