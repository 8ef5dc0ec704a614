"""Residual blocks that tests are made of, with weights at their limits."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tests.flows.cases import perturb
from tfade.networks.lipschitz import LipschitzConvNet, LipschitzMLP

part = functools.partial
MLP = part(LipschitzMLP, width=6, depth=1)
CONV = part(LipschitzConvNet, width=3)


def built(layer, shape, noise: float = 2.0, seed: int = 1):
    """The layer with random weights, large ones: every linear map then has the norm of its limit."""
    keras.utils.set_random_seed(seed)
    layer.build(shape)
    perturb(layer, noise, seed)
    return layer


def events(*shape, rows=7, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=(rows, *shape)), tf.float32)


def steep(block) -> None:
    """Makes the network, of three dimensions and one hidden layer of three, nearly the identity.

    The higher terms of its series are large then.
    """
    block.network.linear[0].bias.assign(tf.ones(3))  # where LipSwish is steep
    for layer in block.network.linear:
        layer.kernel.assign(np.eye(3) + 0.2 * np.random.default_rng(0).normal(size=(3, 3)))
