"""Networks that give a flow its parameters from a vector."""

import gin
import keras

from tfade.errors import UsageError


@gin.register
class MLPConditioner(keras.Sequential):
    """Vector [batch, inputs] → parameters [batch, outputs], all zero at the start: the flow begins as the identity.

    Args:
        inputs, outputs: their sizes.
        width: units of a hidden layer.
        depth: number of hidden layers, at least 1.
        activation: of the hidden layers.
        normalization: None, or "layer" for layer normalisation after every hidden layer. Published flows have batch
            normalisation here; with it the likelihood of an example depends on its batch mates, and the sampling pass
            is not the inverse of the density pass. Layer normalisation sees one example only.

    Raises:
        UsageError: no hidden layer, or an unknown normalisation.
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
        if width < 1 or depth < 1:
            raise UsageError(f"MLPConditioner has width={width!r} and depth={depth!r}; both must be 1 or more")
        if normalization not in (None, "layer"):
            raise UsageError(f"normalization={normalization!r} is neither None nor 'layer'")
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
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__([keras.Input((inputs,)), keras.layers.Dense(outputs, kernel_initializer="zeros")])
