"""Fully connected networks over codes."""

import gin
import keras

from tfade.networks.layers import float32, leaky_relu


@gin.register
class CodeDiscriminator(keras.Sequential):
    """Code [batch, latent_size] → logit [batch, 1] that it came from the prior.

    No batch normalisation: the authors' successors found that it harms this network (alpha-GAN).

    Args:
        latent_size: dimension of the code.
        width: units of a hidden layer.
        depth: number of hidden layers.

    Reference: Rosca et al. 2018, appendix C: three layers of 1,000 units, leaky rectifier of slope 0.2.
    """

    def __init__(self, latent_size: int, width: int = 1000, depth: int = 3):
        layers = [keras.Input((latent_size,))]
        for _ in range(depth):
            layers += [keras.layers.Dense(width), leaky_relu()]
        super().__init__([*layers, keras.layers.Dense(1), float32()])
