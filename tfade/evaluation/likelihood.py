"""Likelihoods as numbers that can be compared: nats, and bits per dimension."""

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
    values = _checked(log_prob)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
    return Result("negative_log_likelihood", -values.mean(), error, {"num_real": len(values), "unit": "nats"})


def bits_per_dim(*, log_prob, dimensions: int, continuous: bool = True) -> Result:
    """Mean of -log₂ p / D + 8, or of -log₂ P / D: bits for each number of an image with 256 levels.

    Args:
        log_prob: nats of each image, [N].
        dimensions: D = H · W · C.
        continuous: whether they are of the density of dequantised images (x + u) / 256 on [0, 1]^D, and not of the pmf
            of the levels.

    Returns:
        `Result` "bits_per_dim" with its standard error.

    Raises:
        UsageError: as for `negative_log_likelihood`, or dimensions below 1.
    """
    if dimensions < 1:
        raise UsageError(f"dimensions={dimensions!r} is below 1; give H · W · C")
    nats = negative_log_likelihood(log_prob=log_prob)
    value = float(numerics.bits_per_dim(-nats.value, dimensions, continuous))
    error = None if nats.std is None else nats.std / (dimensions * np.log(2))
    protocol = {"num_real": nats.protocol["num_real"], "dimensions": dimensions, "levels": numerics.LEVELS}
    return Result("bits_per_dim", value, error, protocol)


def _checked(log_prob) -> np.ndarray:
    values = np.asarray(log_prob)
    if values.dtype.kind != "f" or values.ndim != 1 or not len(values):
        raise UsageError(f"log_prob has dtype {values.dtype} and shape {list(values.shape)}; give nats, floats [N]")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise UsageError(f"log_prob holds {bad} NaN or infinite values of {len(values)}; the mean would not be finite")
    return values
