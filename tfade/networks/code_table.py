"""One free vector for every example of a data set."""

import keras
import tensorflow as tf

from tfade.errors import check_sizes


class CodeTable(keras.layers.Layer):
    """Position in the data set [batch] → code [batch, size], float32.

    Args:
        count: number of examples.
        size: of a code. Codes start from N(0, I / size): norms of about 1.

    Raises:
        UsageError: a size below 1.
    """

    def __init__(self, count: int, size: int):
        super().__init__(dtype="float32")
        check_sizes("CodeTable", count=count, size=size)
        self.table = self.add_weight(
            name="codes", shape=(count, size), initializer=keras.initializers.RandomNormal(stddev=size**-0.5)
        )
        self.built = True

    def call(self, index):
        return tf.gather(tf.convert_to_tensor(self.table), index)
