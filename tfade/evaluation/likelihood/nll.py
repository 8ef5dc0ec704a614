"""Likelihoods as numbers that can be compared: nats, and bits per dimension."""

import math

import numpy as np

from tfade import numerics
from tfade.errors import UsageError
from tfade.evaluation.result import Result


def negative_log_likelihood(*, log_prob) -> Result:
    """Mean of -log p in nats, with its standard error.

    Args:
        log_prob: nats of each example, [N].

    Returns:
        `Result` "negative_log_likelihood".

    Raises:
        UsageError: not [N] floats, empty, or not finite (one example of density 0 makes the mean infinite).
    """
    values = checked_nats("log_prob", log_prob)
    protocol = {"num_real": len(values), "unit": "nats"}
    return Result("negative_log_likelihood", -values.mean(), standard_error(values), protocol)


def bits_per_dim(
    *, log_prob, dimensions: int, continuous: bool = True, value_range: tuple[float, float] = (0.0, 1.0)
) -> Result:
    """Mean of -log₂ p / D + log₂(256 / range), or of -log₂ P / D: bits for each number of an image with 256 levels.

    Args:
        log_prob: nats of each image, [N].
        dimensions: D = H · W · C, without padding.
        continuous: whether they are of the density of dequantised images, and not of the pmf of the levels.
        value_range: the smallest and the largest value of a dequantised pixel: (0, 1) of (x + u) / 256, which adds 8
            bits, (-1, 1) of (x + u) / 128 - 1, which adds 7. It has no part in the bits of a pmf.

    Returns:
        `Result` "bits_per_dim" with its standard error.

    Raises:
        UsageError: as for `negative_log_likelihood`, dimensions below 1, or an empty range.
    """
    if dimensions < 1:
        raise UsageError(f"dimensions={dimensions!r} is below 1; give H · W · C")
    low, high = value_range
    if not 0 < high - low < math.inf:
        raise UsageError(f"value_range={value_range!r} is no range; (0, 1) and (-1, 1) are usual")
    nats = negative_log_likelihood(log_prob=log_prob)
    value = nats.value / (dimensions * math.log(2))  # `numerics.bits_per_dim` is float32, for the training step
    error = None if nats.std is None else nats.std / (dimensions * np.log(2))
    protocol = {"num_real": nats.protocol["num_real"], "dimensions": dimensions, "levels": numerics.LEVELS}
    if continuous:
        value += math.log2(numerics.LEVELS / (high - low))
        protocol["value_range"] = [low, high]
    return Result("bits_per_dim", value, error, protocol)


def checked_nats(name: str, values, count: int | None = None) -> np.ndarray:
    """`values` as float64 [N].

    Raises:
        UsageError: not floats [N], none, not finite, or not `count` of them.
    """
    values = np.asarray(values)
    if values.dtype.kind != "f" or values.ndim != 1 or not len(values):
        raise UsageError(f"{name} has dtype {values.dtype} and shape {list(values.shape)}; give nats, floats [N]")
    if count is not None and len(values) != count:
        raise UsageError(f"{name} has {len(values)} values for {count} examples; give one for each")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise UsageError(f"{name} holds {bad} NaN or infinite values of {len(values)}; the mean would not be finite")
    return values


def checked_examples(name: str, values) -> np.ndarray:
    """`values` as an array [N, ...] of floats, of their own precision.

    Raises:
        UsageError: not floats, a scalar, no example, or NaN or infinite values.
    """
    values = np.asarray(values)
    if values.dtype.kind != "f" or values.ndim < 1 or not values.size:
        raise UsageError(f"{name} has dtype {values.dtype} and shape {list(values.shape)}; give floats [N, ...]")
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise UsageError(f"{name} holds {bad} NaN or infinite values of {values.size}; give finite examples")
    return values


def standard_error(values: np.ndarray) -> float | None:
    """Of the mean of independent values [N]; None of one."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
