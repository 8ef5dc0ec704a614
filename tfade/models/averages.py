"""Exponential moving averages of a network's weights (Polyak averaging)."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfade.errors import UsageError


class WeightAverages:
    """A second copy of some networks, whose weights are moving averages of the trained ones.

    The decay of step t is min(decay, (1 + t) / (10 + t)), so that the first steps do not linger. Batch-norm statistics
    and other untrained variables are moving averages already and are copied.

    Args:
        networks: all networks by name.
        makers: how to make each of them again.
        decays: network → decay in (0, 1).

    Raises:
        UsageError: a name that no network has, or a decay out of range.
    """

    def __init__(
        self,
        networks: dict[str, keras.Layer],
        makers: dict[str, Callable[[], keras.Layer]],
        decays: dict[str, float],
    ):
        if not isinstance(decays, dict):
            raise UsageError(f"average_decay={decays!r} is not a dictionary such as {{'generator': 0.999}}")
        for name, decay in decays.items():
            if name not in networks:
                raise UsageError(f"average_decay names the network {name!r}; the networks are {sorted(networks)}")
            if not 0 < decay < 1:
                raise UsageError(f"average_decay[{name!r}]={decay!r} is not between 0 and 1; 0.999 is usual")
        self._decays = decays
        self._sources = {name: networks[name] for name in decays}
        self.networks = {name: makers[name]() for name in decays}
        self.restart()

    def restart(self) -> None:
        """Sets every average to the weights as they are now."""
        for name, network in self.networks.items():
            network.set_weights(self._sources[name].get_weights())

    def update(self, step: keras.Variable) -> None:
        """Moves every average towards its network; runs in the training step, after the update."""
        count = tf.cast(step.value, tf.float32)
        for name, decay in self._decays.items():
            rate = tf.minimum(decay, (1.0 + count) / (10.0 + count))
            pairs = list(zip(self.networks[name].variables, self._sources[name].variables, strict=True))
            for average, variable in pairs:
                _assign(average, variable, rate if variable.trainable else tf.zeros_like(rate))


def _assign(average: keras.Variable, variable: keras.Variable, rate: tf.Tensor) -> None:
    """average ← rate·average + (1 - rate)·variable, on every replica alike."""

    def move(average, variable, rate):
        average.assign(tf.cast(rate, average.dtype) * average + tf.cast(1.0 - rate, average.dtype) * variable)

    def in_cross_replica_context(strategy, average, variable, rate):
        strategy.extended.update(average, move, args=(variable, rate), group=False)

    # As Keras' optimizers do: variables that mirror each other are updated where they lie, without a reduction.
    tf.__internal__.distribute.interim.maybe_merge_call(
        in_cross_replica_context, tf.distribute.get_strategy(), average.value, variable.value, rate
    )
