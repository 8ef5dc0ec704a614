"""Noise of log-determinants that are estimated: of a training step, or a function of each example."""

import tensorflow as tf

from tfade.seeds import ExampleNoise, Seeds, noise_key

PURPOSE = "log-determinant"


class FlowNoise:
    """What the estimates of one pass through a flow draw; `part` gives every part of a flow draws of its own.

    Attributes:
        training: whether the pass is one of training, which takes fewer terms than an evaluation.
    """

    training: bool

    def part(self, number: int) -> "FlowNoise":
        """The noise of one part of the flow."""
        raise NotImplementedError

    def normal_like(self, value: tf.Tensor) -> tf.Tensor:
        """Standard normal numbers of the shape and type of a value [batch, ...]."""
        raise NotImplementedError

    def uniform(self, value: tf.Tensor) -> tf.Tensor:
        """A number in [0, 1), float32: one for the whole pass [], or one for each example of the value, [batch]."""
        raise NotImplementedError


class TrainingNoise(FlowNoise):
    """Fresh noise in every pass of training; one roulette for the whole batch, so that no term is computed in vain.

    Args:
        seeds: the noise of this pass.
        path: the part of the flow.
    """

    training = True

    def __init__(self, seeds: Seeds, path: str = PURPOSE):
        self._seeds, self._path = seeds, path

    def part(self, number):
        return TrainingNoise(self._seeds, f"{self._path}/{number}")

    def normal_like(self, value):
        shape = (tf.shape(value)[0], *value.shape[1:])
        return tf.cast(self._seeds.normal(f"{self._path}/probe", shape), value.dtype)

    def uniform(self, value):
        return tf.random.stateless_uniform((), self._seeds(f"{self._path}/roulette"))


class PerExampleNoise(FlowNoise):
    """Noise that is a function of each example: an estimate then does not depend on the rest of its batch.

    Args:
        keys: of the examples, [batch], see `tfade.seeds.example_keys`.
        draw: number of the draw; others give other noise.
        path: the part of the flow.
    """

    training = False

    def __init__(self, keys: tf.Tensor, draw: int = 0, path: str = PURPOSE):
        self._keys, self._draw, self._path = keys, draw, path

    def part(self, number):
        return PerExampleNoise(self._keys, self._draw, f"{self._path}/{number}")

    def normal_like(self, value):
        return tf.cast(self._noise("probe").normal(self._draw, tuple(value.shape[1:])), value.dtype)

    def uniform(self, value):
        return self._noise("roulette").uniform(self._draw, (1,))[:, 0]

    def _noise(self, name: str) -> ExampleNoise:
        return ExampleNoise(noise_key(0, f"{self._path}/{name}"), self._keys)
