"""Networks of a conditional VAE, looked up together with the classes that they are given."""

from collections.abc import Callable

import keras
import tensorflow as tf


class ClassConditionedNetworks:
    """Looks networks up, as a `Network` does; encoder and decoder are given the class of every example.

    The one-hot class is appended to the encoder's output, and to the latents that the decoder gets.

    Args:
        network: name → the network.
        classes: one-hot, float32 [batch, num_classes]; of several latents for each example, all have its class.
    """

    def __init__(self, network: Callable[[str], keras.Layer], classes: tf.Tensor):
        self._network, self._classes = network, classes

    def __call__(self, name: str):
        found = self._network(name)
        if name == "encoder":
            return lambda images, training=False: self._append_classes(found(images, training=training))
        if name == "decoder":
            return lambda z, training=False: found(self._append_classes(z), training=training)
        return found

    def _append_classes(self, values: tf.Tensor) -> tf.Tensor:
        classes = tf.repeat(self._classes, tf.shape(values)[0] // tf.shape(self._classes)[0], 0)
        classes = tf.ensure_shape(classes, (values.shape[0], self._classes.shape[1]))
        return tf.concat([values, tf.cast(classes, values.dtype)], -1)
