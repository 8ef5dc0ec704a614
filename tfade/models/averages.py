"""Exponential moving averages of a network's weights (Polyak averaging)."""

from collections.abc import Callable, Iterable

import keras
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.players import Player


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
        for name, decay in decays.items():
            if name not in networks:
                raise UsageError(f"average_decay names the network {name!r}; the networks are {sorted(networks)}")
            if not 0 < decay < 1:
                raise UsageError(f"average_decay[{name!r}]={decay!r} is not between 0 and 1; 0.999 is usual")
        self._decays = decays
        self.sources = {name: networks[name] for name in decays}
        self.networks = {name: makers[name]() for name in decays}
        self.restart()

    def restart(self, players: Iterable[Player] | None = None) -> None:
        """Sets the averages of these players' networks, or of all, to the weights as they are now."""
        self.restart_networks(list(self.networks) if players is None else self._moved_by(players))

    def restart_networks(self, names: Iterable[str]) -> None:
        """Sets the averages of the named networks to the weights as they are now."""
        for name in names:
            self.networks[name].set_weights(self.sources[name].get_weights())

    def update(self, step: keras.Variable, players: Iterable[Player]) -> None:
        """Moves the averages of these players' networks towards them; runs in the training step, after the update."""
        count = tf.cast(step.value, tf.float32)
        for name in self._moved_by(players):
            decay = self._decays[name]
            rate = tf.minimum(decay, (1.0 + count) / (10.0 + count))
            pairs = list(zip(self.networks[name].variables, self.sources[name].variables, strict=True))
            for average, variable in pairs:
                _assign(average, variable, rate if variable.trainable else None)

    def _moved_by(self, players: Iterable[Player]) -> list[str]:
        moving = {id(variable) for player in players for variable in player.variables}
        return [name for name, source in self.sources.items() if any(id(v) in moving for v in source.variables)]


def _assign(average: keras.Variable, variable: keras.Variable, rate: tf.Tensor | None) -> None:
    """average ← rate·average + (1 - rate)·variable, on every replica alike; a copy without a rate."""

    def move(average, variable, rate):
        if rate is None:
            average.assign(variable)
        else:
            average.assign(tf.cast(rate, average.dtype) * average + tf.cast(1.0 - rate, average.dtype) * variable)

    def in_cross_replica_context(strategy, average, variable, rate):
        strategy.extended.update(average, move, args=(variable, rate), group=False)

    # As Keras' optimizers do: variables that mirror each other are updated where they lie, without a reduction.
    tf.__internal__.distribute.interim.maybe_merge_call(
        in_cross_replica_context, tf.distribute.get_strategy(), average.value, variable.value, rate
    )
