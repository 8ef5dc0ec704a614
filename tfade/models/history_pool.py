"""A history of generated images, from which a discriminator is shown older ones (Shrivastava et al. 2017)."""

import tensorflow as tf

from tfade.errors import check_whole
from tfade.models.base import GenerativeModel
from tfade.seeds import Seeds


class HistoryPool:
    """Remembers `size` generated images, and exchanges new ones for them.

    One by one, in the order of the global batch, an image that meets a pool that is not full enters it and is returned.
    After that, with probability ½, it takes the place of one drawn at random, which is returned; otherwise it is
    returned itself, and the pool stays as it is.

    The images and their number are variables of the model, so they are in its checkpoints, and the draws are of the
    pass's seeds: a resumed run continues with the same pool. Replicas hold equal pools of the global batch.

    Args:
        model: owns the variables.
        name: of the pool, unique in the model.
        size: images remembered; with 0 every image is returned itself.
        shape: (H, W, C) of an image.

    Raises:
        UsageError: a size that is not a whole number from 0 up.

    Reference: Shrivastava et al. 2017, section 2.3; Zhu et al. 2017, section 4, with 50 images.
    """

    def __init__(self, model: GenerativeModel, name: str, size: int, shape: tuple[int, ...]):
        self.size, self.name = check_whole("pool_size", size, 0), name
        self._over_global_batch = model.over_global_batch
        own = {"initializer": "zeros", "trainable": False, "aggregation": "only_first_replica"}
        self.images = model.add_weight(name=name, shape=(self.size, *shape), dtype="float32", autocast=False, **own)
        self.count = model.add_weight(name=f"{name}_count", shape=(), dtype="int32", **own)

    def __call__(self, images: tf.Tensor, seeds: Seeds) -> tf.Tensor:
        """Images to show to a discriminator, constants, for these of this replica, float32 [rows, H, W, C].

        The pool changes whenever this is evaluated, once a pass of training.
        """
        images = tf.stop_gradient(images)
        if not self.size:
            return images
        everything = self._over_global_batch(images)
        return seeds.rows(self.name, tf.shape(images)[0], lambda _, seed: self._exchange(everything, seed))

    def _exchange(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        pool, count = tf.convert_to_tensor(self.images), tf.convert_to_tensor(self.count)
        shown, pool, count = exchanged(images, pool, count, tf.random.stateless_uniform((tf.shape(images)[0], 2), seed))
        self.images.assign(pool)
        self.count.assign(count)
        return shown


def exchanged(images, pool, count, draws) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The rule of `HistoryPool`, for all images of a batch at once.

    Args:
        images: [n, ...], in order.
        pool: [size, ...].
        count: how many places of the pool are filled, an int32 scalar.
        draws: uniform on [0, 1), float32 [n, 2]: whether an image is exchanged, and for which one.

    Returns:
        What is shown, [n, ...]; the new pool; the new count.
    """
    size, place = pool.shape[0], tf.range(tf.shape(images)[0])
    enters = count + place < size
    drawn = tf.minimum(tf.cast(draws[:, 1] * size, tf.int32), size - 1)
    slot = tf.where(enters, count + place, drawn)
    exchange = ~enters & (draws[:, 0] < 0.5)
    writes = enters | exchange
    # An image finds in a place of the pool whatever the last image before it, of the same batch, has put there.
    before = place[:, None] > place[None, :]
    writer = _last_writer(before & writes[None, :] & (slot[:, None] == slot[None, :]))
    stored = tf.where(writer < 0, slot, size + writer)
    everything = tf.concat([pool, images], 0)
    shown = tf.gather(everything, tf.where(exchange, stored, size + place))
    slots = tf.range(size)
    writer = _last_writer(writes[None, :] & (slots[:, None] == slot[None, :]))
    pool = tf.gather(everything, tf.where(writer < 0, slots, size + writer))
    return shown, pool, tf.minimum(count + tf.size(place), size)


def _last_writer(written: tf.Tensor) -> tf.Tensor:
    """The largest column that is true in each row, -1 where none is."""
    return tf.reduce_max(tf.where(written, tf.range(tf.shape(written)[1])[None, :], -1), 1)
