"""Batches are a pure function of (seed, step): resuming, epochs, replicas, flips, fields, a second domain."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfade.data.pipeline import BatchOrder, batches
from tfade.data.source import ArraySource
from tfade.data.toy import Gaussian, ToySource
from tfade.errors import UsageError

N, M = 23, 17


@pytest.fixture
def numbered():
    """Example i has the pixels [[2i, 2i + 1]], so it tells its number and whether it was mirrored."""
    pixels = np.arange(2 * N, dtype=np.uint8).reshape(N, 1, 2, 1)
    return ArraySource("numbered", "train", pixels)


@pytest.fixture
def labelled(numbered):
    """The same examples with labels that tell their number."""
    return ArraySource("labelled", "train", numbered.fetch(np.arange(N)), (7 * np.arange(N)) % N, N)


@pytest.fixture
def second():
    """A second domain: example i has the pixels [[100 + 2i, 101 + 2i]]."""
    pixels = 100 + np.arange(2 * M, dtype=np.uint8).reshape(M, 1, 2, 1)
    return ArraySource("second", "train", pixels)


def take_fields(count, *args, **kwargs):
    """The first batches as dicts of arrays."""
    taken = itertools.islice(batches(*args, **kwargs), count)
    return [{field: value.numpy() for field, value in batch.items()} for batch in taken]


def take(count, *args, field="images", **kwargs):
    """One field of the first batches, asked for alone."""
    return [batch[field] for batch in take_fields(count, *args, fields=(field,), **kwargs)]


def numbers(batch):
    """The examples in a batch, whichever way they are mirrored."""
    return batch.min(axis=(-3, -2, -1)) // 2


@pytest.mark.every(2)
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


@pytest.mark.every(2)
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
    assert batches(numbered, 4, 0).element_spec == {"images": tf.TensorSpec((4, 1, 2, 1), tf.uint8)}
    assert batches(numbered, 4, 0, batches_per_step=2).element_spec["images"].shape == (4, 2, 1, 2, 1)
    toy = ToySource("toy:gaussian", "train", Gaussian(3), 50)
    assert batches(toy, 4, 0).element_spec == {"images": tf.TensorSpec((4, 3), tf.float32)}
    np.testing.assert_array_equal(np.sort(take(1, toy, 50, 0)[0], axis=0), np.sort(toy.fetch(np.arange(50)), axis=0))


@pytest.mark.parametrize("batch_size", [0, N + 1])
def test_a_batch_that_does_not_fit_is_refused(numbered, batch_size):
    with pytest.raises(
        UsageError,
        match=rf"batch_size={batch_size} .*'numbered', which has 23 examples; use a batch_size between 1 and 23",
    ):
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


def test_the_order_of_a_run_stays_what_it_was():
    """Runs that were begun with an earlier version continue in the order in which they began."""
    order = BatchOrder(11, 4, 7)
    two_epochs = [6, 1, 9, 3, 10, 2, 0, 5, 7, 8, 4, 1, 8, 5, 2, 9, 10, 0, 4, 3, 7, 6]
    assert order.indices(np.arange(22)).tolist() == two_epochs


# ---- Fields beside images ----


@pytest.mark.parametrize("options", [{}, {"batches_per_step": 3}, {"horizontal_flip": True}])
def test_labels_and_index_belong_to_the_images(labelled, options):
    for batch in take_fields(9, labelled, 5, 7, fields=("images", "labels", "index"), **options):
        assert list(batch) == ["images", "labels", "index"]
        assert (batch["labels"].dtype, batch["index"].dtype) == (np.int32, np.int64)
        np.testing.assert_array_equal(batch["index"], numbers(batch["images"]))
        np.testing.assert_array_equal(batch["labels"], 7 * batch["index"] % N)


@pytest.mark.parametrize("options", [{}, {"batches_per_step": 2, "horizontal_flip": True}])
def test_images_do_not_depend_on_the_other_fields(labelled, second, options):
    alone = take(8, labelled, 5, 7, **options)
    joined = take_fields(8, labelled, 5, 7, fields=("other", "labels", "images", "index"), other=second, **options)
    np.testing.assert_array_equal(alone, [batch["images"] for batch in joined])


def test_static_shapes_and_dtypes_of_fields(labelled, second):
    fields = ("images", "labels", "index", "other")
    assert batches(labelled, 4, 0, fields=fields, other=second).element_spec == {
        "images": tf.TensorSpec((4, 1, 2, 1), tf.uint8),
        "labels": tf.TensorSpec((4,), tf.int32),
        "index": tf.TensorSpec((4,), tf.int64),
        "other": tf.TensorSpec((4, 1, 2, 1), tf.uint8),
    }
    several = batches(labelled, 4, 0, fields=fields, other=second, batches_per_step=2).element_spec
    assert {field: spec.shape for field, spec in several.items()} == {
        "images": (4, 2, 1, 2, 1),
        "labels": (4, 2),
        "index": (4, 2),
        "other": (4, 2, 1, 2, 1),
    }


def test_the_second_domain_has_epochs_of_its_own(labelled, second):
    stream = np.concatenate([batch for batch in take(2 * M, labelled, 5, 7, field="other", other=second)])
    seen = ((numbers(stream) - 50).reshape(-1, M))[:10]
    np.testing.assert_array_equal(np.sort(seen, axis=1), np.tile(np.arange(M), (10, 1)))
    assert all((first != following).any() for first, following in itertools.pairwise(seen))


def test_the_second_domain_is_not_paired_with_the_first(labelled):
    """With the very same data as the second domain, the two orders and the two sets of flips are unrelated."""
    options = {"fields": ("index", "images", "other"), "other": labelled, "horizontal_flip": True}
    taken = take_fields(40 * N // 5, labelled, 5, 7, **options)
    one, two = (np.concatenate([batch[field] for batch in taken]) for field in ("images", "other"))
    pairs = np.mean(numbers(one) == numbers(two))
    assert abs(pairs - 1 / N) < 4 * np.sqrt((N - 1) / N**2 / len(one))
    mirrored_one, mirrored_two = (images[:, 0, 0, 0] % 2 == 1 for images in (one, two))
    assert abs(np.mean(mirrored_two) - 0.5) < 2 / np.sqrt(len(two))
    assert abs(np.mean(mirrored_one == mirrored_two) - 0.5) < 2 / np.sqrt(len(one))


def test_the_second_domain_follows_the_seed(labelled, second):
    orders = [np.stack(take(6, labelled, 5, seed, field="other", other=second)) for seed in (7, 7, 8)]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert (orders[0] != orders[2]).any()


ALL_FIELDS = {"fields": ("images", "labels", "index", "other"), "horizontal_flip": True}


@pytest.mark.parametrize("start", [1, 4, 11])
def test_fields_are_resumed_in_the_middle(labelled, second, start):
    options = {**ALL_FIELDS, "other": second, "batches_per_step": 2}
    whole = take_fields(13, labelled, 5, 7, **options)[start:]
    resumed = take_fields(13 - start, labelled, 5, 7, start_step=start, **options)
    for one, two in zip(whole, resumed, strict=True):
        for field in one:
            np.testing.assert_array_equal(one[field], two[field], err_msg=field)


@pytest.mark.parametrize(("replicas", "workers"), [(2, 1), (4, 2), (2, 2)])
def test_replicas_and_workers_draw_their_slices_of_every_field(labelled, second, replicas, workers):
    steps = 3
    options = {**ALL_FIELDS, "other": second}
    single = take_fields(steps, labelled, 12, 7, **options)
    for field in ALL_FIELDS["fields"]:
        shards = []
        for worker in range(workers):
            context = tf.distribute.InputContext(workers, worker, replicas)
            pieces = take_fields(steps * replicas // workers, labelled, 12, 7, context=context, **options)
            assert all(len(piece[field]) == 12 // replicas for piece in pieces)
            pieces = np.stack([piece[field] for piece in pieces])
            shards.append(pieces.reshape(steps, 12 // workers, *pieces.shape[2:]))
        np.testing.assert_array_equal(np.concatenate(shards, axis=1), np.stack([batch[field] for batch in single]))


def test_labels_of_data_without_labels_are_refused(numbered):
    with pytest.raises(UsageError, match="data='numbered' has no labels, which the model needs; use labelled data"):
        batches(numbered, 4, 0, fields=("images", "labels"))


def test_a_second_domain_that_is_not_given_is_refused(numbered):
    with pytest.raises(UsageError, match="a second domain; set other_data = "):
        batches(numbered, 4, 0, fields=("images", "other"))


def test_a_batch_that_does_not_fit_the_second_domain_is_refused(numbered, second):
    with pytest.raises(UsageError, match=f"batch_size=20 does not fit data='second', which has {M} examples"):
        batches(numbered, 20, 0, fields=("images", "other"), other=second)


def test_unknown_fields_are_refused(numbered):
    with pytest.raises(UsageError, match="field 'label' of a batch is unknown; possible are images, labels, index, ot"):
        batches(numbered, 4, 0, fields=("images", "label"))
