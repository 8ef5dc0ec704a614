"""The history of translations: the rule against a loop, what is remembered, and what is shown to the discriminator."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.base import GenerativeModel
from tfade.models.history_pool import HistoryPool, exchanged
from tfade.seeds import Seeds


def by_loop(images, pool, count, draws):
    """The rule of Shrivastava et al. 2017 as it is told: image after image."""
    pool, shown = pool.copy(), []
    for image, (whether, which) in zip(images, draws):
        if count < len(pool):
            pool[count], count = image, count + 1
            shown.append(image)
        elif whether < 0.5:
            slot = int(which * len(pool))
            shown.append(pool[slot].copy())
            pool[slot] = image
        else:
            shown.append(image)
    return np.array(shown), pool, count


@pytest.mark.parametrize(("size", "batch"), [(5, 1), (5, 3), (5, 5), (3, 16), (1, 4)])
def test_the_rule_for_a_batch_is_that_for_its_images_one_by_one(size, batch):
    """Also where images of one batch follow each other into one place of the pool, and where the batch fills it."""
    generator = np.random.default_rng(size)
    pool, count = np.zeros((size, 2), np.float32), 0
    for step in range(12):
        images = np.full((batch, 2), step, np.float32) + np.arange(batch, dtype=np.float32)[:, None] / 100
        draws = generator.random((batch, 2)).astype(np.float32)
        expected = by_loop(images, pool, count, draws)
        found = exchanged(images, tf.constant(pool), tf.constant(count), draws)
        for one, other in zip(found, expected):
            np.testing.assert_array_equal(one, other)
        _, pool, count = expected
    assert count == size
    assert len(np.unique(pool[:, 0])) == size


def pool_of(size: int) -> HistoryPool:
    return HistoryPool(GenerativeModel((4, 4, 1)), "pool", size, (4, 4, 1))


def images_of(step: int) -> tf.Tensor:
    return tf.fill((6, 4, 4, 1), float(step)) + tf.reshape(tf.range(6.0), (6, 1, 1, 1)) / 100


def test_half_of_what_is_shown_is_of_the_history():
    pool, old = pool_of(20), []
    for step in range(30):
        shown = pool(images_of(step), Seeds(3, step))
        old.append(np.mean(shown.numpy() < step))
    assert int(pool.count) == 20
    assert not np.any(old[:3])
    assert abs(np.mean(old[4:]) - 0.5) < 4 * 0.5 / (6 * 26) ** 0.5
    again = pool_of(20)
    np.testing.assert_array_equal([np.mean(again(images_of(step), Seeds(3, step)) < step) for step in range(30)], old)


def test_what_is_shown_is_a_constant():
    pool, images = pool_of(2), tf.Variable(images_of(0))
    with tf.GradientTape(persistent=True) as tape:
        values = [tf.reduce_sum(each(images, Seeds(0, 0))) for each in (pool, pool_of(0))]
    assert [tape.gradient(value, images) for value in values] == [None, None]


def test_a_pool_of_nothing_shows_every_image_itself():
    pool = pool_of(0)
    for step in range(3):
        np.testing.assert_array_equal(pool(images_of(step), Seeds(0, step)), images_of(step))
    assert int(pool.count) == 0


@pytest.mark.parametrize("size", [-1, 2.5, None])
def test_sizes_are_checked(size):
    with pytest.raises(UsageError, match=f"pool_size={size}"):
        pool_of(size)
