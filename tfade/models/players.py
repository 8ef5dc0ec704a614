"""Players: which networks each of them trains, by which loss."""

from typing import NamedTuple

import keras
import tensorflow as tf


class Weighted(NamedTuple):
    """A term of a loss and its weight: the term is reported as it is, its weighted value is minimised."""

    weight: float
    value: tf.Tensor


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
