"""The running means of every reported scalar, in one variable."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class RunningMeans(keras.metrics.Metric):
    """Means over the steps since the last reset, under the names they are reported by.

    One vector holds all sums, so reporting twenty terms costs one addition a step; a term that was once not finite
    leaves its sum not finite, which is what the guard reads. The values are averaged over the replicas as they come in,
    so every replica and worker holds the same sums and may read and save them on its own.

    Args:
        names: what is reported, in order.
    """

    def __init__(self, names: Sequence[str]):
        super().__init__(name="terms")
        self.names = tuple(names)
        self.total = _mirrored((len(self.names),), "total")
        self.count = _mirrored((), "count")

    def update_state(self, values: dict[str, tf.Tensor]) -> tf.Tensor:
        """Adds one step's values, a scalar for each name; returns their means over the replicas, [names]."""
        step = tf.stack([tf.cast(values[name], tf.float32) for name in self.names])
        context = tf.distribute.get_replica_context()
        if context and context.num_replicas_in_sync > 1:
            step = context.all_reduce(tf.distribute.ReduceOp.MEAN, step)
        self.total.assign_add(step)
        self.count.assign_add(1.0)
        return step

    def named(self, values: tf.Tensor) -> dict[str, tf.Tensor]:
        """The entries of a vector [names] by name."""
        return dict(zip(self.names, tf.unstack(values, len(self.names)), strict=True))

    def result(self) -> dict[str, tf.Tensor]:
        return self.named(tf.math.divide_no_nan(self.total.value, self.count.value))


def _mirrored(shape: tuple[int, ...], name: str) -> keras.Variable:
    return keras.Variable("zeros", shape, "float32", trainable=False, aggregation="only_first_replica", name=name)
