"""The largest singular value of a linear map that is given by its products, by subspace iterations."""

import functools
from collections.abc import Callable

import tensorflow as tf

MOST_ROUNDS = 100  # where vectors that had converged before need two
TOLERANCE = 1e-5  # relative growth of σ in one round, at which it has converged
POWERS = 4  # of A Aᵀ in a round, between two of which the vectors are made orthogonal


def leading_singular_vectors(
    linear: Callable, transposed: Callable, kernel: tf.Tensor, left: tf.Tensor, least: int = 2
):
    """`converged_singular_vectors` of the map x → linear(x, kernel) whose transpose is y → transposed(y, kernel).

    Both are functions that exist once, such as static methods: the iteration, a loop of many small operations, is a
    graph that is traced once for them, for `least` and for the kernel's shape, and called wherever it is needed. Traced
    anew for every layer, it would take much of the time before a residual flow's first step.
    """
    return _in_a_graph(linear, transposed, least)(kernel, left)


@functools.cache
def _in_a_graph(linear: Callable, transposed: Callable, least: int) -> Callable:
    def iteration(kernel, left):
        return converged_singular_vectors(lambda x: linear(x, kernel), lambda y: transposed(y, kernel), left, least)

    return tf.function(iteration, autograph=False)


def converged_singular_vectors(
    apply: Callable, transpose: Callable, left: tf.Tensor, least: int = 2
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Singular vectors u, v of a linear map's largest singular value, by subspace iterations.

        U ← (A Aᵀ)³ U,   V = orth(Aᵀ U),   U = orth(A V),   until σ(A on V) grows by less than 1e-5 of itself

    One vector that was the first singular vector of an older kernel can stay near the second of the new one: σ hardly
    grows there, and is taken for converged below the norm. Of several orthogonal ones some have a part of the first.

    Args:
        apply: A, a linear map of tensors [batch, ...].
        transpose: Aᵀ.
        left: U, the start, [count, ...], no more of them than the rank that A can have.
        least: rounds that are taken in any case; what is nearly orthogonal to the first one needs some to find it.

    Returns:
        U at convergence, orthonormal; u [1, ...] and v [1, ...], which are constants to gradients.

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
