"""Masked autoregressive network: parameters for every dimension of a vector, from those before it, in one pass."""

import itertools
from collections.abc import Callable, Sequence

import gin
import keras
import numpy as np
import tensorflow as tf

from tfade.errors import check_choice, check_seed, check_sizes
from tfade.networks.layers import check_activation

ORDERS = ("natural", "reversed", "random")


@gin.register
class MADE(keras.layers.Layer):
    """Vector x [batch, D] → parameters [batch, outputs · D], those of x_i a function of the dimensions before it only.

    Every unit has a degree. x_i has its place in the order, 1 … D; hidden units see what has at most their own degree,
    and the parameters of x_i see hidden units of a lower degree than its own. Degrees of hidden units rise along a
    layer, evenly from 1 (0 with a context, whose units see nothing else, so that the first number depends on the
    context) to D - 1. The context goes into every hidden unit. All parameters are 0 at the start.

    Args:
        dimensions: D, at least 1.
        outputs: number of parameters for each dimension; they lie parameter by parameter, as `Transformer.split` wants.
        context_size: size of the context vector; 0 for none.
        width: units of a hidden layer. Below D - 1, some units see less than they might.
        depth: number of hidden layers, at least 1.
        activation: of the hidden layers.
        order: of the dependence: "natural", "reversed" or "random".
        seed: of the random order, an integer or several.

    Raises:
        UsageError: a size below 1, an unknown order or activation, or a seed that is not an integer.

    Reference: Germain et al. 2015, equations 8 to 10, sections 4.1 and 4.2.
    """

    def __init__(
        self,
        dimensions: int,
        outputs: int,
        context_size: int = 0,
        width: int = 128,
        depth: int = 2,
        activation: str = "relu",
        order: str = "natural",
        seed: int | Sequence[int] = 0,
        **kwargs,
    ):
        # Both directions have to compute the same: in half precision their sums would round in other ways.
        super().__init__(autocast=False, **kwargs)
        check_sizes("MADE", dimensions=dimensions, outputs=outputs, width=width, depth=depth)
        check_activation("MADE.activation", activation)
        check_choice("MADE.order", order, ORDERS)
        check_seed("MADE.seed", seed)
        self.dimensions, self.outputs, self.context_size = dimensions, outputs, context_size
        self.activation = keras.activations.get(activation)
        sequence = np.arange(dimensions, dtype=np.int32)
        if order == "random":
            sequence = np.random.default_rng(seed).permutation(sequence)
        self.sequence = sequence[::-1].copy() if order == "reversed" else sequence  # dimensions, the first one first

        lowest = 0 if context_size else 1
        hidden = lowest + np.arange(width) * (dimensions - lowest) // width
        places = np.argsort(self.sequence) + 1
        # One dimension without a context depends on nothing: its parameters are the last bias alone.
        degrees = [places] + [hidden] * (depth if dimensions > lowest else 0)
        self.masks = [before[:, None] <= after for before, after in itertools.pairwise(degrees)]
        self.masks.append(np.tile(degrees[-1][:, None] < places, outputs))
        self._hidden_degrees = hidden

        self.kernels, self.biases = [], []
        for level, mask in enumerate(self.masks):
            initializer = "zeros" if level == len(self.masks) - 1 else "glorot_uniform"
            self.kernels.append(
                self.add_weight(name=f"kernel_{level}", shape=mask.shape, initializer=initializer)
                if mask.any()
                else None
            )
            self.biases.append(self.add_weight(name=f"bias_{level}", shape=mask.shape[1:], initializer="zeros"))
        self.context_kernels = [
            self.add_weight(name=f"context_{level}", shape=(context_size, width), initializer="glorot_uniform")
            for level in range(len(self.masks) - 1 if context_size else 0)
        ]
        self.built = True

    def call(self, inputs, context=None):
        hidden = tf.cast(inputs, self.variable_dtype)
        for level, kernel in enumerate(self._masked_kernels()):
            if level:
                hidden = self.activation(hidden)
            offset = self._offset(level, context)
            if kernel is None:
                hidden = tf.broadcast_to(offset, tf.concat([tf.shape(inputs)[:1], self.biases[level].shape], 0))
            else:  # a bias of its own kind, so that TensorFlow fuses product, bias and activation
                add = tf.nn.bias_add if offset.shape.rank == 1 else tf.add
                hidden = add(tf.matmul(hidden, kernel), offset)
        return hidden

    def ancestral(self, draw: Callable, given: tf.Tensor, context: tf.Tensor | None = None) -> tuple:
        """Solves x_i = draw(given_i, θ_i(x_<i)) for x, dimension by dimension.

        A hidden unit is computed as soon as the dimensions that it sees are known, and passed on at once: altogether
        the steps do the work of one pass, where calling the network again at every step would do that of D.

        Args:
            draw: (given_i [batch, …], parameters [batch, outputs]) → x_i and anything else, both [batch, 1].
            given: [batch, D, …], what x is computed from: latents, or noise.
            context: [batch, context_size] or None.

        Returns:
            x and what else was drawn, both [batch, D], of the type of `given`.
        """
        rows, size = tf.shape(given)[0], self.dimensions
        kernels = self._masked_kernels()
        # Sums so far, layer by layer: what goes into the hidden units, then the parameters.
        sums = [
            tf.broadcast_to(self._offset(level, context), tf.concat([[rows], bias.shape], 0))
            for level, bias in enumerate(self.biases)
        ]
        starts, members = self._windows()
        blocks = [
            tf.gather(kernel, starts[:, None] + np.arange(members.shape[1])) * members[..., None]
            for kernel in (tf.cast(kernel, self.variable_dtype) for kernel in kernels[1:])
        ]
        columns = tf.TensorArray(given.dtype, size, element_shape=given.shape[:1].concatenate(given.shape[2:]))
        columns = columns.unstack(tf.transpose(given, (1, 0, *range(2, len(given.shape)))))
        drawn = [tf.TensorArray(given.dtype, size, element_shape=(given.shape[0], 1)) for _ in range(2)]

        def step(count, sums, values, others):
            dimension, sums = tf.gather(self.sequence, count), list(sums)
            rows = tf.shape(sums[-1])[0]  # a constant to XLA only if it is asked for in here
            for level, block in enumerate(blocks):
                ready = tf.slice(sums[level], [0, tf.gather(starts, count)], [rows, members.shape[1]])
                sums[level + 1] += tf.matmul(self.activation(ready), tf.gather(block, count))
            parameters = tf.reshape(sums[-1], (rows, self.outputs, size))
            parameters = tf.slice(parameters, [0, 0, dimension], [rows, self.outputs, 1])[..., 0]
            value, other = draw(columns.read(dimension), tf.cast(parameters, given.dtype))
            if kernels[0] is not None:
                sums[0] += tf.cast(value, self.variable_dtype) * tf.gather(kernels[0], dimension)
            return count + 1, sums, values.write(dimension, value), others.write(dimension, other)

        *_, values, others = tf.while_loop(
            lambda count, *_: count < size, step, (0, sums, *drawn), maximum_iterations=size
        )
        return tuple(tf.transpose(array.stack()[..., 0]) for array in (values, others))

    def _masked_kernels(self) -> list[tf.Tensor | None]:
        """None where nothing is connected."""
        return [
            None if kernel is None else tf.cast(kernel, self.variable_dtype) * mask.astype(self.variable_dtype)
            for kernel, mask in zip(self.kernels, self.masks)
        ]

    def _offset(self, level, context):
        """What a layer adds to its sums independently of x: bias, and context."""
        bias = tf.cast(self.biases[level], self.variable_dtype)
        if level >= len(self.context_kernels):
            return bias
        kernel = tf.cast(self.context_kernels[level], self.variable_dtype)
        return tf.matmul(tf.cast(context, self.variable_dtype), kernel) + bias

    def _windows(self):
        """For every number of known dimensions: where the hidden units that then become ready start, and which of as
        many as fit the largest group are in it."""
        degrees, counts = self._hidden_degrees, np.arange(self.dimensions)
        longest = np.bincount(degrees).max()
        starts = np.minimum(np.searchsorted(degrees, counts), len(degrees) - longest)
        members = degrees[starts[:, None] + np.arange(longest)] == counts[:, None]
        return starts.astype(np.int32), members.astype(self.variable_dtype)
