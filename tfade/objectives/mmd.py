"""Maximum mean discrepancy: a distance between two sets of points, by a kernel and without a discriminator."""

from collections.abc import Sequence

import gin
import tensorflow as tf

from tfade.errors import UsageError, check_positive

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Kernel:
    """A sum of radial kernels of several widths, k(x, y) = Σ_s κ(‖x - y‖² / (s C)),  C = 2 d σ².

    C is the expected squared distance of two draws from N(0, σ² I) in d dimensions.

    Args:
        scales: s > 0, one or more.
        prior_scale: σ > 0, the standard deviation of the prior over the points.

    Raises:
        UsageError: no scales, or one that is not positive and finite.

    Reference: Tolstikhin et al. 2018, section 4; the sum over scales is in their code.
    """

    def __init__(self, scales: Sequence[float] = SCALES, prior_scale: float = 1.0):
        name = type(self).__name__
        if not isinstance(scales, (tuple, list)) or not scales:
            raise UsageError(f"{name}.scales={scales!r} is not a tuple of one scale or more; {SCALES} is usual")
        for scale in scales:
            check_positive(f"{name}.scales", scale)
        check_positive(f"{name}.prior_scale", prior_scale)
        self.scales, self.prior_scale = tuple(scales), prior_scale

    def __call__(self, x, y) -> tf.Tensor:
        """k(x_i, y_j) of points [n, d] and [m, d]: [n, m]."""
        width = 2.0 * x.shape[-1] * self.prior_scale**2
        distances = squared_distances(x, y)
        return tf.add_n([self._profile(distances / (scale * width)) for scale in self.scales])

    def _profile(self, ratio: tf.Tensor) -> tf.Tensor:
        """κ, 1 at 0 and falling."""
        raise NotImplementedError


@gin.register
class IMQ(Kernel):
    """Inverse multiquadratics, Σ_s s C / (s C + ‖x - y‖²), whose heavy tails reach points far from the prior.

    Args:
        scales, prior_scale: see `Kernel`.
    """

    def _profile(self, ratio):
        return 1.0 / (1.0 + ratio)


@gin.register
class RBF(Kernel):
    """Gaussian kernels, Σ_s exp(-‖x - y‖² / (s C)).

    Args:
        scales, prior_scale: see `Kernel`.
    """

    def _profile(self, ratio):
        return tf.exp(-ratio)


def mmd(x, y, kernel) -> tf.Tensor:
    """Unbiased estimate of the squared maximum mean discrepancy of two sets of points; it may be negative.

        1/(n (n-1)) Σ_{i≠j} k(x_i, x_j) + 1/(m (m-1)) Σ_{i≠j} k(y_i, y_j) - 2/(n m) Σ_{i,j} k(x_i, y_j)

    Args:
        x, y: points [n, d] and [m, d], n and m 2 or more.
        kernel: function of two sets of points, such as an `IMQ` or `RBF`.

    Returns:
        A scalar.

    Raises:
        UsageError: sets of points whose sizes are known and below 2.

    Reference: Gretton et al. 2012, equation 3; Tolstikhin et al. 2018, algorithm 2.
    """
    for name, points in (("x", x), ("y", y)):
        if points.shape[0] is not None and points.shape[0] < 2:
            raise UsageError(f"mmd was given {points.shape[0]} points as {name}; pairs need a batch of 2 or more")
    return _mean_of_pairs(kernel(x, x)) + _mean_of_pairs(kernel(y, y)) - 2.0 * tf.reduce_mean(kernel(x, y))


def squared_distances(x, y) -> tf.Tensor:
    """‖x_i - y_j‖² of points [n, d] and [m, d]: [n, m]."""
    x_norms, y_norms = (tf.reduce_sum(tf.square(points), -1) for points in (x, y))
    distances = x_norms[:, None] + y_norms[None] - 2.0 * tf.matmul(x, y, transpose_b=True)
    return tf.nn.relu(distances)  # rounding leaves a little below 0


def _mean_of_pairs(values: tf.Tensor) -> tf.Tensor:
    """Mean over i ≠ j of values [n, n]."""
    count = tf.cast(tf.shape(values)[0], values.dtype)
    return (tf.reduce_sum(values) - tf.linalg.trace(values)) / (count * (count - 1.0))
