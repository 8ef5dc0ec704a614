"""Spectral normalisation: layers whose largest singular value is about 1, so that a network of them is Lipschitz.

Keras' own `SpectralNormalization` wrapper is another thing: it overwrites the kernel with the normalised weight outside
the gradient's path. The kernel then is no longer the W that is trained, and the gradient of σ is lost.
"""

import keras
import tensorflow as tf


def normalized(kernel: tf.Tensor, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """W / σ(W), after one power iteration from u.

        v = Wᵀu / ‖Wᵀu‖,   u' = W v / ‖W v‖,   σ = u'ᵀ W v

    W is the kernel with its outputs as rows and all else as columns. u' and v count as constants, so the gradient of σ
    is u' vᵀ, that of the singular value itself once u has converged. σ never exceeds the true one. A kernel of zeros
    stays as it is.

    Args:
        kernel: [..., outputs], float32.
        u: [outputs], an estimate of the left singular vector.

    Returns:
        The normalised kernel, u', and σ.

    Reference: Miyato et al. 2018, equation 8 and algorithm 1.
    """
    columns = tf.reshape(kernel, (-1, kernel.shape[-1]))  # Wᵀ
    v = tf.stop_gradient(tf.math.l2_normalize(tf.linalg.matvec(columns, u)))
    image = tf.linalg.matvec(columns, v, transpose_a=True)
    u = tf.stop_gradient(tf.math.l2_normalize(image))
    sigma = tf.tensordot(u, image, 1)
    return tf.math.divide_no_nan(kernel, sigma), u, sigma


class _Spectral:
    """What the layers share: float32 weights, the vector u, and its update in training calls.

    u is drawn at random, is saved with the weights, and is the same on every replica, as it depends on W alone.
    Inference iterates once from the u that is stored, and stores nothing.
    """

    outputs_axis = -1  # of the kernel

    def build(self, input_shape):
        super().build(input_shape)
        self.u = self.add_weight(
            name="u",
            shape=(self._kernel.shape[self.outputs_axis],),
            initializer="random_normal",
            trainable=False,
            aggregation="only_first_replica",
        )

    def add_weight(self, *args, **kwargs):
        """Weights are read in float32, so that σ is computed in it under mixed precision, too."""
        return super().add_weight(*args, **{"autocast": False, **kwargs})

    def save_own_variables(self, store):
        """Keras' layers write their kernel and bias alone."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        """See `save_own_variables`."""
        keras.layers.Layer.load_own_variables(self, store)

    def call(self, inputs, training=None):
        kernel = self._outputs_last(tf.convert_to_tensor(self._kernel))
        kernel, u, _ = normalized(kernel, tf.convert_to_tensor(self.u))
        kernel = self._outputs_last(kernel)
        if training:
            self.u.assign(u)
        outputs = self._linear(inputs, tf.cast(kernel, self.compute_dtype))
        if self.use_bias:
            outputs += tf.cast(self.bias, self.compute_dtype)
        return outputs if self.activation is None else self.activation(outputs)

    def _outputs_last(self, kernel):
        """The kernel with its outputs on the last axis, or back: its own inverse."""
        return kernel


class SpectralDense(_Spectral, keras.layers.Dense):
    """Dense layer with the weight W / σ(W); takes the arguments of Keras' layer.

    Reference: Miyato et al. 2018, equation 8.
    """

    def _linear(self, inputs, kernel):
        return tf.matmul(inputs, kernel)


class SpectralConv2D(_Spectral, keras.layers.Conv2D):
    """Convolution with the weight W / σ(W), channels last; takes the arguments of Keras' layer.

    The norm is that of the kernel as a matrix [outputs, height · width · inputs], as in the paper. The convolution as a
    linear map may have a larger one, by at most √(height · width) for a stride of 1.

    Reference: Miyato et al. 2018, equation 8 and section 2.1.
    """

    def _linear(self, inputs, kernel):
        return self.convolution_op(inputs, kernel)


class SpectralConv2DTranspose(_Spectral, keras.layers.Conv2DTranspose):
    """Transposed convolution with the weight W / σ(W), channels last; takes the arguments of Keras' layer.

    The norm is that of the kernel as a matrix [outputs, height · width · inputs], as for `SpectralConv2D`.

    Reference: Miyato et al. 2018, equation 8; Ghosh et al. 2020, section 3.1 (of decoders).
    """

    outputs_axis = -2

    @property
    def _kernel(self):
        return self.kernel

    def _outputs_last(self, kernel):
        return tf.transpose(kernel, (0, 1, 3, 2))

    def _linear(self, inputs, kernel):
        return keras.ops.conv_transpose(
            inputs, kernel, self.strides, self.padding, self.output_padding, self.data_format, self.dilation_rate
        )
