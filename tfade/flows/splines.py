"""Monotone rational-quadratic splines: smooth functions of one number that are inverted in closed form."""

import math

import gin
import tensorflow as tf

from tfade.errors import UsageError, check_between, check_positive, check_whole
from tfade.flows.transformers import Transformer
from tfade.numerics import soft_bounded

LOGIT_BOUND = 5.0  # of the logits of widths and heights: bins within a factor exp(10), so that no softmax overflows


@gin.register
class RationalQuadratic(Transformer):
    """A monotone spline of K bins on [-B, B], the identity outside.

    With knots (x_k, y_k), slopes d_k there, bin width w, height h, s = h / w and ξ = (z - x_k) / w:

        x = y_k + h (s ξ² + d_k ξ (1 - ξ)) / (s + (d_k + d_{k+1} - 2 s) ξ (1 - ξ))

    Slopes are exp of softly bounded numbers, not softplus as in the paper: they are bounded on both sides, which keeps
    the inverse, and 1 where the parameter is 0.

    Args:
        bins: K, at least 2.
        bound: B > 0; what lies outside is left alone, so data should be scaled to lie within, mostly: 3 to 5 suits data
            of unit variance.
        min_bin: least width and least height of a bin as shares of the interval; 1e-2 is what float32 stands.
        min_slope: least slope at a knot; the largest is its reciprocal.
        gain: see `Transformer`. 1, as in the paper: logits have to become large to shape a density.

    Raises:
        UsageError: a value out of its range, or bins whose least widths leave nothing to share.

    Reference: Durkan et al. 2019, section 3.1 and equations 4 to 8 (Gregory and Delbourgo 1982).
    """

    def __init__(
        self, bins: int = 8, bound: float = 5.0, min_bin: float = 1e-2, min_slope: float = 1e-2, gain: float = 1.0
    ):
        super().__init__(gain)
        check_whole("bins", bins, 2)
        check_positive("bound", bound)
        check_positive("min_bin", min_bin)
        check_between("min_slope", min_slope, 0, 1)
        if not min_bin * bins < 1:
            raise UsageError(
                f"min_bin={min_bin!r} times bins={bins!r} has to lie between 0 and 1; with {bins} bins use less than "
                f"{1 / bins:.2g}"
            )
        self.bins, self.bound, self.min_bin, self.min_slope = bins, bound, min_bin, min_slope
        self.size = 3 * bins - 1

    def forward(self, z, parameters):
        inside, widths, heights, slopes = self._prepared(z, parameters)
        x_left, width, y_left, height, slope, next_slope = self._bin(z, widths, heights, slopes)
        share = tf.clip_by_value((z - x_left) / width, 0.0, 1.0)
        steepness = height / width
        rest = share * (1.0 - share)
        value = y_left + height * (steepness * share**2 + slope * rest) / self._base(steepness, slope, next_slope, rest)
        log_derivative = self._log_derivative(share, steepness, slope, next_slope)
        return tf.where(inside, value, z), tf.where(inside, log_derivative, tf.zeros_like(z))

    def inverse(self, x, parameters):
        inside, widths, heights, slopes = self._prepared(x, parameters)
        y_left, height, x_left, width, slope, next_slope = self._bin(x, heights, widths, slopes)
        rise = tf.clip_by_value((x - y_left) / height, 0.0, 1.0)
        steepness = height / width
        # With η = (x - y_k) / h and e = d_k (1 - η) - d_{k+1} η the quadratic's discriminant is e² + 4 s² η (1 - η),
        # a sum of what cannot be negative, and ξ = 2 s η / (2 s η + t) with t = e + its root; where e is negative, t
        # is the difference of two near numbers and comes from the product of the roots instead.
        excess = slope * (1.0 - rise) - next_slope * rise
        product = 4.0 * steepness**2 * rise * (1.0 - rise)
        sum_of_sizes = tf.sqrt(excess**2 + product) + tf.abs(excess)
        t = tf.where(excess >= 0, sum_of_sizes, product / sum_of_sizes)
        twice = 2.0 * steepness * rise
        share = twice / (twice + t)
        log_derivative = self._log_derivative(share, steepness, slope, next_slope)
        return tf.where(inside, x_left + width * share, x), tf.where(inside, -log_derivative, tf.zeros_like(x))

    def _prepared(self, value, parameters):
        """Whether the value is inside, and the spline's widths, heights [..., K, D] and slopes [..., K + 1, D].

        Outside, the place in the first or last bin is clipped before the maths: what `tf.where` does not select is
        finite, and so are its gradients.
        """
        dimensions = value.shape[-1]
        shape = tf.concat([tf.shape(parameters)[:-1], [self.size, dimensions]], 0)
        parts = tf.split(tf.reshape(self.gain * parameters, shape), [self.bins, self.bins, self.bins - 1], -2)
        widths, heights = (self._shares(part) for part in parts[:2])
        slopes = soft_bounded(parts[2], -math.log(self.min_slope))
        slopes = tf.pad(slopes, [[0, 0]] * (slopes.shape.rank - 2) + [[1, 1], [0, 0]])  # slope 1 at the ends
        return tf.abs(value) < self.bound, widths, heights, tf.exp(slopes)

    def _shares(self, logits):
        """Sizes of the bins, [..., K, D], which add up to 2 B."""
        weights = tf.exp(soft_bounded(logits, LOGIT_BOUND))
        shares = weights / tf.reduce_sum(weights, -2, keepdims=True)
        return 2.0 * self.bound * (self.min_bin + (1.0 - self.bins * self.min_bin) * shares)

    def _bin(self, value, sizes, other_sizes, slopes):
        """Left end and size of the bin that holds `value`, the same of its image, and the slopes at both ends."""
        knots = tf.cumsum(sizes[..., :-1, :], -2) - self.bound
        other_knots = tf.cumsum(other_sizes[..., :-1, :], -2) - self.bound
        passed = tf.cast(value[..., None, :] >= knots, value.dtype)  # 1 … 1 0 … 0, [..., K - 1, D]
        ends = [[0, 0]] * (passed.shape.rank - 2)
        after = tf.pad(passed, [*ends, [1, 0], [0, 0]], constant_values=1)
        here = after - tf.pad(passed, [*ends, [0, 1], [0, 0]])  # one-hot

        def chosen(quantity, place=here):
            return tf.reduce_sum(place * quantity, -2)

        first = tf.fill(tf.shape(knots[..., :1, :]), tf.cast(-self.bound, value.dtype))
        left, other_left = (chosen(tf.concat([first, places], -2)) for places in (knots, other_knots))
        return (
            left,
            chosen(sizes),
            other_left,
            chosen(other_sizes),
            chosen(slopes[..., :-1, :]),
            chosen(slopes[..., 1:, :]),
        )

    @staticmethod
    def _base(steepness, slope, next_slope, rest):
        """s + (d_k + d_{k+1} - 2 s) ξ (1 - ξ), written without a difference: ξ (1 - ξ) is at most 1/4."""
        return steepness * (1.0 - 2.0 * rest) + (slope + next_slope) * rest

    def _log_derivative(self, share, steepness, slope, next_slope):
        rest = share * (1.0 - share)
        top = next_slope * share**2 + 2.0 * steepness * rest + slope * (1.0 - share) ** 2
        return 2.0 * tf.math.log(steepness / self._base(steepness, slope, next_slope, rest)) + tf.math.log(top)
