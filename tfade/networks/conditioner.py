"""Networks that give a flow its parameters from a vector."""

import gin
import keras

from tfade.errors import check_choice, check_sizes
from tfade.networks.layers import check_activation


@gin.register
class MLPConditioner(keras.Sequential):
    """Vector [batch, inputs] → parameters [batch, outputs], all zero at the start: the flow begins as the identity.

    Args:
        inputs, outputs: their sizes.
        width: units of a hidden layer.
        depth: number of hidden layers, at least 1.
        activation: of the hidden layers.
        normalization: None, or "layer" for layer normalisation after every hidden layer. Published flows have batch
            normalisation here; with it the likelihood of an example depends on the rest of its batch, and the sampling
            pass is not the inverse of the density pass. Layer normalisation sees one example only.

    Raises:
        UsageError: a size below 1, or an unknown activation or normalisation.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int = 128,
        depth: int = 2,
        activation: str = "relu",
        normalization: str | None = None,
    ):
        check_sizes("MLPConditioner", inputs=inputs, outputs=outputs, width=width, depth=depth)
        check_activation("MLPConditioner.activation", activation)
        check_choice("MLPConditioner.normalization", normalization, (None, "layer"))
        layers = [keras.Input((inputs,))]
        for _ in range(depth):
            layers.append(keras.layers.Dense(width, activation=None if normalization else activation))
            if normalization:
                layers += [keras.layers.LayerNormalization(), keras.layers.Activation(activation)]
        super().__init__([*layers, keras.layers.Dense(outputs, kernel_initializer="zeros")])


@gin.register
class LinearConditioner(keras.Sequential):
    """Vector [batch, inputs] → parameters [batch, outputs] by one linear map, 0 at the start.

    What reads a posterior's parameters off an encoder that is a deep network itself.

    Args:
        inputs, outputs: their sizes.

    Raises:
        UsageError: a size below 1.
    """

    def __init__(self, inputs: int, outputs: int):
        check_sizes("LinearConditioner", inputs=inputs, outputs=outputs)
        super().__init__([keras.Input((inputs,)), keras.layers.Dense(outputs, kernel_initializer="zeros")])
