"""Batches are a pure function of (seed, step): resuming, epochs, replicas, flips."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfade.data.pipeline import BatchOrder, batches
from tfade.data.source import ArraySource
from tfade.data.toy import Gaussian, ToySource
from tfade.errors import UsageError

N = 23


@pytest.fixture
def numbered():
    """Example i has the pixels [[2i, 2i + 1]], so it tells its number and whether it was mirrored."""
    pixels = np.arange(2 * N, dtype=np.uint8).reshape(N, 1, 2, 1)
    return ArraySource("numbered", "train", pixels)


def take(count, *args, **kwargs):
    return [batch.numpy() for batch in itertools.islice(batches(*args, **kwargs), count)]


def numbers(batch):
    """The examples in a batch, whichever way they are mirrored."""
    return batch.min(axis=(-3, -2, -1)) // 2


@pytest.mark.parametrize("options", [{}, {"batches_per_step": 3}, {"horizontal_flip": True}])
@pytest.mark.parametrize("start", [1, 4, 11])
def test_start_step_continues_the_stream_exactly(numbered, options, start):
    whole = take(14, numbered, 5, 7, **options)
    resumed = take(14 - start, numbered, 5, 7, start_step=start, **options)
    np.testing.assert_array_equal(whole[start:], resumed)


@pytest.mark.parametrize("batch_size", [1, 4, 7, N])
def test_every_epoch_holds_every_example_once(numbered, batch_size):
    epochs = 3
    stream = np.concatenate([numbers(batch) for batch in take(-(-epochs * N // batch_size), numbered, batch_size, 3)])
    seen = stream[: epochs * N].reshape(epochs, N)
    np.testing.assert_array_equal(np.sort(seen, axis=1), np.tile(np.arange(N), (epochs, 1)))
    assert (seen[0] != seen[1]).any()
    assert (seen[1] != seen[2]).any()
    assert (seen[0] != np.arange(N)).any()


def test_seed_fixes_the_order(numbered):
    np.testing.assert_array_equal(take(6, numbered, 5, 7), take(6, numbered, 5, 7))
    assert (np.stack(take(6, numbered, 5, 7)) != np.stack(take(6, numbered, 5, 8))).any()


@pytest.mark.parametrize(("replicas", "workers"), [(2, 1), (4, 2), (4, 4), (6, 3)])
@pytest.mark.parametrize("options", [{}, {"batches_per_step": 2, "horizontal_flip": True}])
def test_shards_together_are_the_batch_of_one_device(numbered, replicas, workers, options):
    steps, start = 3, 2
    single = take(steps, numbered, 12, 7, start_step=start, **options)
    shards = []
    for worker in range(workers):
        context = tf.distribute.InputContext(workers, worker, replicas)
        pieces = take(steps * replicas // workers, numbered, 12, 7, start_step=start, context=context, **options)
        assert all(len(piece) == 12 // replicas for piece in pieces)
        shards.append(np.stack(pieces).reshape(steps, 12 // workers, *pieces[0].shape[1:]))
    np.testing.assert_array_equal(np.concatenate(shards, axis=1), np.stack(single))


def test_batches_per_step_are_consecutive_fresh_batches(numbered):
    plain = np.stack(take(6, numbered, 4, 7))
    grouped = np.stack(take(2, numbered, 4, 7, batches_per_step=3))
    assert grouped.shape == (2, 4, 3, 1, 2, 1)
    np.testing.assert_array_equal(np.moveaxis(grouped, 2, 1).reshape(plain.shape), plain)


def test_flips_mirror_about_half_and_repeat(numbered):
    plain = np.concatenate(take(40, numbered, N, 7))
    flipped = np.concatenate(take(40, numbered, N, 7, horizontal_flip=True))
    mirrored = (flipped == plain[:, :, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(flipped[~mirrored], plain[~mirrored])
    assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(mirrored))
    again = np.concatenate(take(40, numbered, N, 7, horizontal_flip=True))
    np.testing.assert_array_equal(flipped, again)
    # An example is not mirrored the same way in every epoch.
    order = np.argsort(numbers(plain).reshape(40, N), axis=1)
    by_example = np.take_along_axis(mirrored.reshape(40, N), order, axis=1)
    assert (by_example.any(axis=0) & ~by_example.all(axis=0)).all()


def test_static_shape_and_dtype(numbered):
    assert batches(numbered, 4, 0).element_spec == tf.TensorSpec((4, 1, 2, 1), tf.uint8)
    assert batches(numbered, 4, 0, batches_per_step=2).element_spec.shape == (4, 2, 1, 2, 1)
    toy = ToySource("toy:gaussian", "train", Gaussian(3), 50)
    assert batches(toy, 4, 0).element_spec == tf.TensorSpec((4, 3), tf.float32)
    np.testing.assert_array_equal(np.sort(take(1, toy, 50, 0)[0], axis=0), np.sort(toy.fetch(np.arange(50)), axis=0))


@pytest.mark.parametrize("batch_size", [0, N + 1])
def test_a_batch_that_does_not_fit_is_refused(numbered, batch_size):
    with pytest.raises(UsageError, match=rf"batch_size={batch_size} .* 23 examples; use a batch_size between 1 and 23"):
        batches(numbered, batch_size, 0)


def test_a_batch_that_does_not_divide_is_refused(numbered):
    with pytest.raises(UsageError, match="batch_size=5 does not divide among 2 replicas"):
        batches(numbered, 5, 0, context=tf.distribute.InputContext(1, 0, 2))


def test_vectors_have_nothing_to_flip():
    with pytest.raises(UsageError, match="horizontal_flip=True needs images"):
        batches(ToySource("toy:gaussian", "train", Gaussian(3), 50), 4, 0, horizontal_flip=True)


def test_a_distant_step_needs_no_replay():
    order = BatchOrder(N, 4, 0)
    step = 10**12
    positions = order.positions(step, 0, 4)
    np.testing.assert_array_equal(positions[:, 0], 4 * step + np.arange(4))
    assert ((order.indices(positions) >= 0) & (order.indices(positions) < N)).all()
