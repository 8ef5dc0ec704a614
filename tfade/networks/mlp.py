"""Fully connected encoders and decoders, of vectors or of small images."""

import math

import gin
import keras

from tfade.errors import check_sizes
from tfade.networks.layers import check_activation, float32, norm_layers


@gin.register
class MLPEncoder(keras.Sequential):
    """Vector or image, flattened → outputs [batch, outputs]: dense layers with rectifiers.

    Args:
        event_shape: shape of one example, (D,) or (H, W, C).
        outputs: size of the output: a code, its parameters, or a posterior's context.
        width, depth: units of a hidden layer, and how many there are.

    Raises:
        UsageError: a size below 1.
    """

    def __init__(self, event_shape, outputs: int, width: int = 256, depth: int = 2):
        check_sizes("MLPEncoder", outputs=outputs, width=width, depth=depth)
        layers = [keras.Input(tuple(event_shape)), keras.layers.Flatten()]
        layers += [keras.layers.Dense(width, "relu") for _ in range(depth)]
        super().__init__([*layers, keras.layers.Dense(outputs), float32()])


@gin.register
class MLPDecoder(keras.Sequential):
    """Latents [batch, latent_size] → vector or image [batch, *event_shape]: dense layers with rectifiers.

    Args:
        event_shape: shape of one output, (D,) or (H, W, C).
        latent_size: dimension of the latents.
        activation: of the output: None for the parameters of a distribution and for vectors, "tanh" for images in
            [-1, 1].
        width, depth: units of a hidden layer, and how many there are.

    Raises:
        UsageError: a size below 1, or an unknown activation.
    """

    def __init__(self, event_shape, latent_size: int, activation: str | None = None, width: int = 256, depth: int = 2):
        check_sizes("MLPDecoder", latent_size=latent_size, width=width, depth=depth)
        check_activation("MLPDecoder.activation", activation)
        layers = [keras.Input((latent_size,))]
        layers += [keras.layers.Dense(width, "relu") for _ in range(depth)]
        layers += [keras.layers.Dense(math.prod(event_shape), activation), keras.layers.Reshape(tuple(event_shape))]
        super().__init__([*layers, float32()])


@gin.register
class LatentMapping(keras.Sequential):
    """Noise [batch, inputs] → latents [batch, outputs]: dense layers without bias, normalised over the batch.

    Args:
        inputs, outputs: their sizes.
        width, depth: units of a hidden layer, and how many there are.

    Raises:
        UsageError: a size below 1.

    Reference: Hoshen et al. 2019, the mapping of their code.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 128, depth: int = 2):
        check_sizes("LatentMapping", inputs=inputs, outputs=outputs, width=width, depth=depth)
        layers = [keras.Input((inputs,))]
        for _ in range(depth):
            layers += [keras.layers.Dense(width, use_bias=False), *norm_layers("batch"), keras.layers.ReLU()]
        super().__init__([*layers, keras.layers.Dense(outputs), float32()])


class SkipMLP(keras.layers.Layer):
    """Vector [batch, inputs] → outputs [batch, outputs]: dense layers with rectifiers, and a linear one of their result
    and the input.

    Args:
        inputs, outputs: their sizes.
        width, depth: units of a hidden layer, and how many there are.

    Raises:
        UsageError: a size below 1.

    Reference: Dai and Wipf 2019, the networks of their second stage.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 1024, depth: int = 3):
        super().__init__()
        check_sizes("SkipMLP", inputs=inputs, outputs=outputs, width=width, depth=depth)
        self.hidden = keras.Sequential(
            [keras.Input((inputs,)), *(keras.layers.Dense(width, "relu") for _ in range(depth))]
        )
        self.last = keras.layers.Dense(outputs)
        self.last.build((None, width + inputs))
        self.built = True

    def call(self, inputs):
        return self.last(keras.ops.concatenate([keras.ops.cast(inputs, self.compute_dtype), self.hidden(inputs)], -1))
