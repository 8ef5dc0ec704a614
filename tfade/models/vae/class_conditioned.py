"""Networks of a conditional VAE, looked up together with the classes that they are given."""

from collections.abc import Callable

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.layer import DistributionLayer
from tfade.seeds import Seeds

tfd = tfp.distributions


class ClassConditionedNetworks:
    """Looks networks up, as a `Network` does; encoder and decoder are given the class of every example.

    The one-hot class is appended to the encoder's output, and to the latents that the decoder gets. A prior with a
    context is given it, too.

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
        if name == "prior" and found.context_size:
            return PriorOfClasses(found, self._classes)
        return found

    def _append_classes(self, values: tf.Tensor) -> tf.Tensor:
        classes = tf.repeat(self._classes, tf.shape(values)[0] // tf.shape(self._classes)[0], 0)
        classes = tf.ensure_shape(classes, (values.shape[0], self._classes.shape[1]))
        return tf.concat([values, tf.cast(classes, values.dtype)], -1)


class PriorOfClasses:
    """p(z | y) of a batch, with what a VAE asks of its prior.

    Args:
        layer: the density given the one-hot class.
        classes: one-hot, float32 [batch, num_classes].
    """

    def __init__(self, layer: DistributionLayer, classes: tf.Tensor):
        self._layer, self._classes = layer, classes
        self.is_diagonal_normal = layer.is_diagonal_normal

    def distribution(self, temperature=1.0) -> tfd.Distribution:
        """p(z | y), of batch shape [batch, 1]: it is broadcast against several latents of each example."""
        return self._layer.distribution(self._classes[:, None], temperature)

    def draw(self, rows, seeds: Seeds) -> tf.Tensor:
        """See `DistributionLayer.draw`."""
        return self._layer.from_noise(seeds.normal("prior", (rows, *self._layer.event_shape)), self._classes)[0]

    def initialise(self, z) -> None:
        """See `DistributionLayer.initialise`."""
        self._layer.initialise(z, self._classes)
