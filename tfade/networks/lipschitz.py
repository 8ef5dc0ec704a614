"""Networks with a Lipschitz constant below 1: the residuals g of invertible residual blocks, x + g(x).

Such a network is a pure function of its input and of its parameters, `evaluate(x, parameters)`, and gives the
parameters apart, `parameters(context)`: kernels are normalised once, however often an inverse or a power series
evaluates them, and a gradient that evaluates them again sees the same numbers.
"""

import math
from collections.abc import Sequence

import gin
import keras
import tensorflow as tf

from tfade.errors import UsageError, check_between, check_sizes
from tfade.networks.residual import context_projection
from tfade.networks.singular_vectors import leading_singular_vectors

VECTORS = 4  # that are iterated together
ROUNDS = 6  # at least, after an update
FRESH = 17, 4  # seed of the vector that each update starts anew
FIRST_SLOPE = 0.5  # β before its softplus, as in the code of Chen et al. 2019


def lip_swish(x: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    """x · sigmoid(β x) / 1.1, smooth and 1-Lipschitz for every β > 0: the derivative of swish stays below 1.0999.

    Reference: Chen et al. 2019, section 3.4.
    """
    return x * tf.sigmoid(slope * x) / 1.1


class LipschitzLinear(keras.layers.Layer):
    """A linear map with the kernel W · min(1, c / σ(W)) and a bias; W is left as it is where its norm is below c.

    σ is the norm of the linear map itself. The vectors that it is found by are stored, and iterated to convergence
    after every update of the kernel; where they are stale (a kernel that was assigned) a call takes as many iterations
    as it needs.
    Singular vectors count as constants: the gradient of σ = uᵀ W v reaches W.

    Args:
        kernel_shape: of the kernel.
        inputs_shape: of one input of the linear map.
        outputs_shape: of one output.
        coefficient: c in (0, 1).
        initializer: of the kernel.
    """

    def __init__(self, kernel_shape, inputs_shape, outputs_shape, coefficient: float, initializer):
        super().__init__()
        self.coefficient = coefficient
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=initializer,
            autocast=False,
            constraint=self._update_singular_vectors,
        )
        self.bias = self.add_weight(name="bias", shape=kernel_shape[-1:], initializer="zeros", autocast=False)
        count = min(VECTORS, math.prod(inputs_shape), math.prod(outputs_shape))
        self.left = self.add_weight(
            name="left",
            shape=(count, *outputs_shape),
            initializer="random_normal",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )
        self.built = True

    @staticmethod
    def linear(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """A x."""
        raise NotImplementedError

    @staticmethod
    def transposed(y: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Aᵀ y."""
        raise NotImplementedError

    def limited_kernel(self) -> tf.Tensor:
        """W · min(1, c / σ(W))."""
        kernel = tf.convert_to_tensor(self.kernel)
        _, u, v = self._vectors(tf.stop_gradient(kernel))
        sigma = tf.reduce_sum(u * self.linear(v, kernel))
        return kernel * (self.coefficient / tf.maximum(sigma, self.coefficient))

    def _vectors(self, kernel, left=None, least: int = 2):
        left = tf.convert_to_tensor(self.left) if left is None else left
        return leading_singular_vectors(self.linear, self.transposed, kernel, left, least)

    def _update_singular_vectors(self, kernel):
        """Keras calls it after an update, as a constraint; the kernel stays what it is."""
        kernel, left = tf.convert_to_tensor(kernel), tf.convert_to_tensor(self.left)
        fresh = tf.random.stateless_normal(left[:1].shape, FRESH)  # has a part of a first one that all others lost
        self.left.assign(self._vectors(kernel, tf.concat([left[:-1], fresh], 0), ROUNDS)[0])
        return kernel


class LipschitzDense(LipschitzLinear):
    """x W: σ is the largest singular value of W [inputs, outputs]."""

    def __init__(self, inputs: int, outputs: int, coefficient: float, initializer="glorot_uniform"):
        super().__init__((inputs, outputs), (inputs,), (outputs,), coefficient, initializer)

    @staticmethod
    def linear(x, kernel):
        return tf.matmul(x, kernel)

    @staticmethod
    def transposed(y, kernel):
        return tf.matmul(y, kernel, transpose_b=True)


class LipschitzConv2D(LipschitzLinear):
    """Convolution with zeros around: σ is that of the map of whole images, not of the reshaped kernel.

    Args:
        inputs_shape: (H, W, C) of the images.
        filters: output channels.
        kernel_size: side of the kernel. For 1 the size of the images plays no part.
        coefficient, initializer: see `LipschitzLinear`.
    """

    def __init__(self, inputs_shape, filters: int, kernel_size: int, coefficient: float, initializer="glorot_uniform"):
        *places, channels = inputs_shape
        places = places if kernel_size > 1 else (1, 1)
        kernel_shape = (kernel_size, kernel_size, channels, filters)
        super().__init__(kernel_shape, (*places, channels), (*places, filters), coefficient, initializer)

    @staticmethod
    def linear(x, kernel):
        return tf.nn.conv2d(x, kernel, 1, "SAME")

    @staticmethod
    def transposed(y, kernel):
        return tf.nn.conv2d_transpose(y, kernel, (*y.shape[:-1], kernel.shape[2]), 1, "SAME")


class LipschitzNetwork(keras.layers.Layer):
    """g(x) = A_L a(… A_2 a(A_1 x + b_1 + C context)): linear maps of norm c or less with LipSwish between them.

    The last kernel is 0 at the start. A context moves the first features and has no part in the Lipschitz constant,
    which is one in x.

    Args:
        linear: A_1 … A_L.
        context: the map C, or None without a context.
    """

    def __init__(self, linear: Sequence[LipschitzLinear], context: keras.Layer | None):
        super().__init__(autocast=False)  # in half precision an inverse would not be found
        self.linear, self.context = list(linear), context
        constant = keras.initializers.Constant(FIRST_SLOPE)
        self.slopes = self.add_weight(
            name="slopes", shape=(len(self.linear) - 1,), initializer=constant, autocast=False
        )
        self.built = True

    @property
    def constant(self) -> float:
        """A bound of g's Lipschitz constant in x, of Euclidean norms: the product of those of its linear maps."""
        return math.prod(layer.coefficient for layer in self.linear)

    def parameters(self, context=None) -> list[tf.Tensor]:
        """What g is a function of besides x: limited kernels, biases, slopes β, what a context [batch, size] adds."""
        tensors = [layer.limited_kernel() for layer in self.linear]
        tensors += [tf.convert_to_tensor(layer.bias) for layer in self.linear]
        tensors.append(tf.nn.softplus(tf.convert_to_tensor(self.slopes)))
        return tensors if context is None else [*tensors, tf.cast(self.context(context), self.variable_dtype)]

    def evaluate(self, x: tf.Tensor, parameters: Sequence[tf.Tensor]) -> tf.Tensor:
        """g(x), of the shape of x [batch, ...], in the precision of the variables."""
        count = len(self.linear)
        kernels, biases, slopes = parameters[:count], parameters[count : 2 * count], parameters[2 * count]
        for index, layer in enumerate(self.linear):
            x = layer.linear(x, kernels[index]) + biases[index]
            if index == 0 and len(parameters) > 2 * count + 1:
                x += parameters[-1]
            if index + 1 < count:
                x = lip_swish(x, slopes[index])
        return x

    def call(self, inputs, context=None):
        return self.evaluate(inputs, self.parameters(context))


@gin.register
class LipschitzMLP(LipschitzNetwork):
    """A multilayer perceptron g of vectors with a Lipschitz constant below 1.

    Args:
        event_shape: (D,) of what it sees and returns.
        context_size: dimension of the context; 0 for none.
        width: of the hidden layers.
        depth: number of hidden layers.
        coefficient: c in (0, 1), the largest norm of a layer; g's constant is c^(depth + 1) or less.

    Raises:
        UsageError: events that are not vectors, a size below 1, or a coefficient out of range.

    Reference: Behrmann et al. 2019; Chen et al. 2019, whose toy densities have 128 units in three hidden layers.
    """

    def __init__(self, event_shape, context_size: int = 0, width: int = 64, depth: int = 2, coefficient: float = 0.98):
        check_sizes("LipschitzMLP", width=width, depth=depth)
        check_between("LipschitzMLP.coefficient", coefficient, 0, 1)
        if len(event_shape) != 1:
            raise UsageError(
                f"LipschitzMLP was given events of shape {tuple(event_shape)}; it takes vectors, (D,). Use "
                "LipschitzConvNet for images"
            )
        sizes = [*event_shape, *[width] * depth, *event_shape]
        kinds = ["glorot_uniform"] * depth + ["zeros"]
        linear = [LipschitzDense(*pair, coefficient, kind) for *pair, kind in zip(sizes, sizes[1:], kinds)]
        super().__init__(linear, keras.layers.Dense(width, use_bias=False) if context_size else None)
        if context_size:
            self.context.build((None, context_size))


@gin.register
class LipschitzConvNet(LipschitzNetwork):
    """A convolutional network g of images with a Lipschitz constant below 1: 3×3 to the width, 1×1, 3×3 back.

    Args:
        event_shape: (H, W, C) of what it sees and returns.
        context_size: dimension of the context; 0 for none.
        width: channels of the feature maps; 512 in the paper.
        depth: number of 1×1 convolutions between the two of 3×3; 1 in the paper.
        coefficient: c in (0, 1), the largest norm of a convolution as a map of whole images.

    Raises:
        UsageError: events that are not images, a size below 1, or a coefficient out of range.

    Reference: Chen et al. 2019, appendix E.
    """

    def __init__(self, event_shape, context_size: int = 0, width: int = 64, depth: int = 1, coefficient: float = 0.98):
        check_sizes("LipschitzConvNet", width=width, depth=depth)
        check_between("LipschitzConvNet.coefficient", coefficient, 0, 1)
        if len(event_shape) != 3:
            raise UsageError(
                f"LipschitzConvNet was given events of shape {tuple(event_shape)}; it takes images, (H, W, C). Use "
                "LipschitzMLP for vectors"
            )
        places = tuple(event_shape[:2])
        linear = [
            LipschitzConv2D(event_shape, width, 3, coefficient),
            *(LipschitzConv2D((*places, width), width, 1, coefficient) for _ in range(depth)),
            LipschitzConv2D((*places, width), event_shape[-1], 3, coefficient, "zeros"),
        ]
        super().__init__(linear, context_projection(context_size, width))
