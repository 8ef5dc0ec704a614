"""Standard deviations that neither vanish nor overflow, whatever a network returns for their logarithm."""

import math
import numbers

import numpy as np
import tensorflow as tf

from tfade.errors import UsageError

WIDE = 9.0  # nats between the ends of a range, from which on each end is bounded as if the other did not exist
SCALE_RANGE = (1e-4, 1e4)  # of standard deviations: at |x| = 1e6 the square of x / σ is finite in float32 still


def checked_range(scale_range: tuple[float, float]) -> tuple[float, float]:
    """The range as floats, or an error if it is not one."""
    pair = isinstance(scale_range, (tuple, list)) and len(scale_range) == 2
    numeric = pair and all(isinstance(end, numbers.Real) for end in scale_range)
    if not numeric or not 0 < scale_range[0] < scale_range[1] < math.inf:
        raise UsageError(f"scale_range={scale_range!r} is not (low, high) with 0 < low < high; {SCALE_RANGE} is usual")
    return float(scale_range[0]), float(scale_range[1])


def bounded_log_scale(value: tf.Tensor, scale_range: tuple[float, float] = SCALE_RANGE) -> tf.Tensor:
    """log σ from a number without bounds: the identity well inside a wide range, and softly bounded by its ends."""
    start, low, high = _bounds(scale_range)
    value = start + tf.nn.softplus(value - start)
    return tf.clip_by_value(high - tf.nn.softplus(high - value), low, high)


def unbounded_log_scale(scale: np.ndarray, scale_range: tuple[float, float] = SCALE_RANGE) -> np.ndarray:
    """The number that `bounded_log_scale` takes to log σ, for setting variables from data.

    A deviation below the range, such as that of a constant, is taken for the smallest that a density may have.

    Args:
        scale: σ, any shape.
        scale_range: the range.

    Raises:
        UsageError: a deviation beyond the range.
    """
    start, low, high = _bounds(scale_range)
    scale = np.asarray(scale, np.float64)
    if not np.all(scale < scale_range[1]):
        raise UsageError(
            f"scale_range={scale_range!r} does not hold a standard deviation of {np.max(scale):.4g}; "
            "rescale the data, or set a wider scale_range"
        )
    smallest = scale_range[0] * min(1 + 1e-3, math.exp(0.1 * (high - low)))
    log_scale = high - _softplus_inverse(high - np.log(np.maximum(scale, smallest)))
    return start + _softplus_inverse(log_scale - start)


def check_temperature(temperature, zero: bool = True) -> None:
    """Rejects a temperature that is not a finite number > 0, or ≥ 0; a graph's tensor without a value is trusted."""
    value = tf.get_static_value(temperature) if tf.is_tensor(temperature) else temperature
    if isinstance(value, str) or (value is not None and not (0.0 if zero else math.ulp(0.0)) <= value < math.inf):
        least = "≥ 0" if zero else "> 0"
        raise UsageError(f"temperature={temperature!r} must be a finite number {least}; 1 is the model itself")


def tempering(temperature) -> tf.Tensor:
    """T², which divides the logits of a pmf at temperature T; never 0, which would be its likeliest level as well."""
    return tf.maximum(tf.cast(temperature, tf.float32) ** 2, 1e-12)


def _bounds(scale_range: tuple[float, float]) -> tuple[float, float, float]:
    """Where the lower soft bound starts, and the logarithms of both ends.

    The upper bound lowers what the lower one returns, by -log(1 - e^(low - high)) at the low end. In a narrow range the
    lower one therefore starts that much higher; in a wide range that is below 1e-4, and left to the clipping.
    """
    low, high = (math.log(bound) for bound in scale_range)
    return low - (math.log(-math.expm1(low - high)) if high - low < WIDE else 0.0), low, high


def _softplus_inverse(value: np.ndarray) -> np.ndarray:
    """y with log(1 + e^y) = value > 0."""
    return value + np.log(-np.expm1(-value))
