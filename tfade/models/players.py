"""Players: which networks each of them trains, by which loss."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf


class Weighted(NamedTuple):
    """A term of a loss and its weight: the term is reported as it is, its weighted value is minimised.

    The value may be a function without arguments that returns it, which is called in passes that move the player only.
    """

    weight: float
    value: tf.Tensor | Callable[[], tf.Tensor]

    @classmethod
    def of(cls, term) -> "Weighted":
        """A term of a loss with its weight, 1 where it has none, and its value computed."""
        weight, value = term if isinstance(term, cls) else (1.0, term)
        return cls(weight, tf.convert_to_tensor(value() if callable(value) else value))


class Player:
    """A name, the networks it moves, and so the loss it minimises: the terms that `losses` returns under its name.

    Args:
        name: the player's name; terms are reported as "name/term", and gin may scope its optimizer by it.
        *networks: the Keras networks whose trainable variables it moves.
    """

    def __init__(self, name: str, *networks: keras.Layer):
        self.name = name
        self.networks = networks

    @property
    def variables(self) -> list[keras.Variable]:
        """The trainable variables, in a fixed order."""
        return [variable for network in self.networks for variable in network.trainable_variables]
