"""Small layers that several networks share."""

import functools
import inspect

import keras
import tensorflow as tf

from tfade.errors import UsageError, check_choice, check_positive


class BatchNorm(keras.layers.BatchNormalization):
    """Batch normalisation whose statistics are those of the global batch, on however many replicas it lies.

    Keras' synchronised statistics cost three reductions, so they are used only where there is more than one replica.

    Args:
        momentum: weight of the old moving average, as Keras means it; 0.9 is the DCGAN code's 0.1.
        epsilon: added to the variance.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None):
        self.synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1
        return super().call(inputs, training=training)


NORMALIZATIONS = {
    "batch": BatchNorm,
    "instance": functools.partial(
        keras.layers.GroupNormalization, groups=-1, epsilon=1e-5
    ),  # one channel of one example
    "layer": functools.partial(keras.layers.GroupNormalization, groups=1, epsilon=1e-5),  # one example, all its places
    None: None,
}


def norm_layers(kind: str | None) -> list[keras.layers.Layer]:
    """What stands between a convolution and its activation; where it is nothing the convolution needs a bias.

    Args:
        kind: "batch", "layer" (of an example over all places and channels), "instance" (of each channel of an example
            over its places), or None.

    Raises:
        UsageError: another one.
    """
    check_choice("normalization", kind, list(NORMALIZATIONS))
    return [NORMALIZATIONS[kind]()] if kind else []


def check_activation(name: str, value) -> None:
    """Rejects what Keras does not know as an activation."""
    try:
        if not (value is None or isinstance(value, (str, keras.Layer)) or inspect.isroutine(value)):
            raise TypeError("neither a name nor a function")
        keras.activations.get(value)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}={value!r} is unknown; use an activation of Keras, such as 'relu'") from error


def initializer(scale: float | None) -> keras.initializers.Initializer:
    """The initial weights of one layer: N(0, scale²), or Glorot's for None. Two layers that share one start the same.

    Raises:
        UsageError: a scale that is not a finite number above 0.
    """
    if scale is None:
        return keras.initializers.GlorotUniform()
    check_positive("initial_scale", scale)
    return keras.initializers.RandomNormal(stddev=scale)


def leaky_relu(slope: float = 0.2) -> keras.layers.Layer:
    """Leaky rectifier with the adversarial literature's slope."""
    return keras.layers.LeakyReLU(negative_slope=slope)


def float32(activation: str | None = None) -> keras.layers.Layer:
    """Casts a network's output to float32, so that losses never run in half precision, and applies an activation."""
    return keras.layers.Activation(activation or "linear", dtype="float32")
