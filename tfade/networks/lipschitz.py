"""Networks with a Lipschitz constant below 1: the residuals g of invertible residual blocks, x + g(x).

Such a network is a pure function of its input and of its parameters, `evaluate(x, parameters)`, and gives the
parameters apart, `parameters(context)`: kernels are normalised once, however often an inverse or a power series
evaluates them, and a gradient that evaluates them again sees the same numbers.
"""

import math
from collections.abc import Callable, Sequence

import gin
import keras
import tensorflow as tf

from tfade.errors import UsageError, check_between, check_sizes
from tfade.networks.residual import context_projection

MOST_ROUNDS = 100  # where vectors that were settled before need two
TOLERANCE = 1e-5  # relative growth of σ in one round, at which it has settled
VECTORS = 4  # that are iterated together
POWERS = 4  # of A Aᵀ in a round, between two of which the vectors are made orthogonal
ROUNDS = 6  # at least, after an update
FRESH = 17, 4  # seed of the vector that each update starts anew
FIRST_SLOPE = 0.5  # β before its softplus, as in the code of Chen et al. 2019


def lip_swish(x: tf.Tensor, slope: tf.Tensor) -> tf.Tensor:
    """x · sigmoid(β x) / 1.1, smooth and 1-Lipschitz for every β > 0: the derivative of swish stays below 1.0999.

    Reference: Chen et al. 2019, section 3.4.
    """
    return x * tf.sigmoid(slope * x) / 1.1


def converged_singular_vectors(
    apply: Callable, transpose: Callable, left: tf.Tensor, least: int = 2
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Singular vectors u, v of a linear map's largest singular value, by subspace iterations.

        U ← (A Aᵀ)³ U,   V = orth(Aᵀ U),   U = orth(A V),   until σ(A on V) grows by less than 1e-5 of itself

    One vector that was the first singular vector of an older kernel can stay near the second of the new one: σ hardly
    grows there, and is taken for settled below the norm. Of several orthogonal ones some have a part of the first.

    Args:
        apply: A, a linear map of tensors [batch, ...].
        transpose: Aᵀ.
        left: U, the start, [count, ...], no more of them than the rank that A can have.
        least: rounds that are taken in any case; what is nearly orthogonal to the first one needs some to find it.

    Returns:
        U as it settled, orthonormal; u [1, ...] and v [1, ...], which are constants to gradients.

    Reference: Behrmann et al. 2019, section 2.1 (one vector); for convolutions as linear maps Gouk et al. 2018; Golub
        and Van Loan, "Matrix Computations", section 8.2.4 (several).
    """
    left = _orthonormal(tf.stop_gradient(left))

    def going(count, left, sigma, before):
        return (count < least) | (sigma - before > TOLERANCE * sigma)

    def step(count, left, sigma, before):
        for _ in range(POWERS - 1):
            left = apply(transpose(left))
            left = tf.math.divide_no_nan(left, tf.norm(left))
        image = apply(_orthonormal(transpose(left)))
        return count + 1, _orthonormal(image), _values(image)[0][-1], sigma

    zero = tf.zeros((), left.dtype)
    left = tf.while_loop(going, step, (0, left, zero, zero), maximum_iterations=MOST_ROUNDS)[1]
    right = _orthonormal(transpose(left))
    image = apply(right)
    weights = _values(image)[1][:, -1]
    first, of_largest = (tf.einsum("k,k...->...", weights, value)[None] for value in (right, image))
    u = tf.math.l2_normalize(of_largest)
    return tf.stop_gradient(left), tf.stop_gradient(u), tf.stop_gradient(first)


def _orthonormal(vectors: tf.Tensor) -> tf.Tensor:
    """An orthonormal basis of what the vectors [count, ...] span, completed where they are not independent."""
    flat = tf.reshape(vectors, (vectors.shape[0], -1))
    return tf.reshape(tf.transpose(tf.linalg.qr(tf.transpose(flat))[0]), vectors.shape)


def _values(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Singular values of a map, rising, from the images [count, ...] of orthonormal vectors; their weights, columns."""
    flat = tf.reshape(image, (image.shape[0], -1))
    squares, weights = tf.linalg.eigh(tf.matmul(flat, flat, transpose_b=True))
    return tf.sqrt(tf.maximum(squares, 0.0)), weights


class LipschitzLinear(keras.layers.Layer):
    """A linear map with the kernel W · min(1, c / σ(W)) and a bias; W is left as it is where its norm is below c.

    σ is the norm of the linear map itself. The vectors that it is found by are stored, and settled again after every
    update of the kernel; where they are stale (a kernel that was assigned) a call takes as many iterations as it needs.
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

    def linear(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """A x."""
        raise NotImplementedError

    def transposed(self, y: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
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
        maps = (lambda x: self.linear(x, kernel)), (lambda y: self.transposed(y, kernel))
        return converged_singular_vectors(*maps, left, least)

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

    def linear(self, x, kernel):
        return tf.matmul(x, kernel)

    def transposed(self, y, kernel):
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
        self._inputs = (*(places if kernel_size > 1 else (1, 1)), channels)
        kernel_shape = (kernel_size, kernel_size, channels, filters)
        super().__init__(kernel_shape, self._inputs, (*self._inputs[:-1], filters), coefficient, initializer)

    def linear(self, x, kernel):
        return tf.nn.conv2d(x, kernel, 1, "SAME")

    def transposed(self, y, kernel):
        return tf.nn.conv2d_transpose(y, kernel, (y.shape[0], *self._inputs), 1, "SAME")


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
