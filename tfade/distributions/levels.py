"""The TFP interface that pmfs over levels share: shapes, dtype and parameters."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


class LevelsDistribution(tfd.Distribution):
    """A pmf over float32 levels, or over vectors or images of them, whose batch is that of a tensor of parameters.

    A subclass defines `_log_prob` and `_sample_n`.

    Args:
        parameters: arguments of the subclass' constructor, as TFP wants them.
        given: the tensor, [*batch, ...].
        given_rank: how many of its last axes are not of the batch.
        event_shape: of a draw.
    """

    def __init__(self, parameters: dict, given: tf.Tensor, given_rank: int, event_shape: Sequence[int]):
        self._given, self._end, self._drawn_shape = given, -given_rank or None, event_shape
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=False,
            parameters=parameters,
            name=type(self).__name__,
        )

    def _batch_shape(self):
        return self._given.shape[: self._end]

    def _batch_shape_tensor(self):
        return tf.shape(self._given)[: self._end]

    def _event_shape(self):
        return tf.TensorShape(self._drawn_shape)

    def _event_shape_tensor(self):
        return tf.constant(self._drawn_shape, tf.int32)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}
