"""The gated masked convolution of a PixelCNN, and the parts of an image that its two stacks see."""

import keras
import numpy as np
import tensorflow as tf


class Gate(keras.layers.Layer):
    """tanh(a) ⊙ σ(b) of the two halves of a convolution with valid padding, a bias and a 1×1 convolution of a context.

    Args:
        name: of the layer.
        window: (rows, columns, channels) of what a place sees, or (columns, channels).
        width: features.
        context_size: channels of the context's map; 0 for none.
        mask: [*window, width], what each feature sees of the window; None for all of it.
    """

    def __init__(
        self, name: str, window: tuple[int, ...], width: int, context_size: int, mask: np.ndarray | None = None
    ):
        super().__init__(name=name, autocast=False)
        self.kernel = self.add_weight(
            name="kernel", shape=(*window, 2 * width), initializer="glorot_uniform", autocast=False
        )
        self.bias = self.add_weight(name="bias", shape=(2 * width,), initializer="zeros", autocast=False)
        self.of_context = None
        if context_size:
            self.of_context = self.add_weight(
                name="context", shape=(context_size, 2 * width), initializer="glorot_uniform", autocast=False
            )
        self._mask = None if mask is None else np.concatenate([mask, mask], -1).astype(self.variable_dtype)
        self.built = True

    def masked_kernel(self) -> tf.Tensor:
        """The kernel, 0 where a feature is not to see."""
        kernel = tf.convert_to_tensor(self.kernel)
        return kernel if self._mask is None else kernel * self._mask

    def sums(self, windows: tf.Tensor, context: tf.Tensor | None) -> tf.Tensor:
        """Both halves before the gate, [batch, rows, columns, 2 · width], of a padded map and the context's map."""
        kernel = self.masked_kernel()
        if kernel.shape.rank == 3:
            kernel = kernel[None]
        return tf.nn.conv2d(windows, kernel, 1, "VALID") + self.offset(context)

    def offset(self, context: tf.Tensor | None) -> tf.Tensor:
        """What is added whatever the image is: the bias, and the context's part [..., 2 · width]."""
        bias = tf.convert_to_tensor(self.bias)
        return bias if context is None else pointwise(context, self.of_context) + bias

    @staticmethod
    def gated(sums: tf.Tensor) -> tf.Tensor:
        """[..., width] from both halves."""
        signal, gate = tf.split(sums, 2, -1)
        return tf.tanh(signal) * tf.sigmoid(gate)


def pointwise(maps: tf.Tensor, kernel) -> tf.Tensor:
    """A 1×1 convolution: [..., outputs] from [..., inputs] and a kernel [inputs, outputs].

    The product is one of matrices: oneDNN's product of arrays of rank 4 writes out of bounds for thousands of rows
    (TensorFlow 2.21: wrong values, or a crash).
    """
    if maps.shape.rank == 2:
        return tf.matmul(maps, kernel)
    product = tf.matmul(tf.reshape(maps, (-1, maps.shape[-1])), kernel)
    shape = tf.concat([tf.shape(maps)[:-1], [kernel.shape[-1]]], 0)
    return tf.ensure_shape(tf.reshape(product, shape), (*maps.shape[:-1], kernel.shape[-1]))


def windows_above(maps: tf.Tensor, reach: int, shifted: bool) -> tf.Tensor:
    """Maps padded so that a valid convolution sees `reach` rows above a place, and its own unless the map is shifted.

    Args:
        maps: [batch, H, W, channels].
        reach: rows above, and columns to the left and the right.
        shifted: whether the row of the place itself is out of sight.
    """
    padded = tf.pad(maps, [[0, 0], [reach, 0], [reach, reach], [0, 0]])
    return padded[:, :-1] if shifted else padded


def columns_to_the_left(maps: tf.Tensor, reach: int) -> tf.Tensor:
    """Maps padded so that a valid convolution sees `reach` columns left of a place, and its own."""
    return tf.pad(maps, [[0, 0], [0, 0], [reach, 0], [0, 0]])
