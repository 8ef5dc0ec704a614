"""The likelihood of test data under Gaussian kernels around samples."""

from collections.abc import Sequence

import numpy as np

from tfade.errors import UsageError
from tfade.evaluation.checks import checked_features
from tfade.evaluation.likelihood.nll import standard_error
from tfade.evaluation.result import Result

BANDWIDTHS = tuple(float(value) for value in np.geomspace(0.01, 1.0, 13))  # for data in [0, 1]
DISTANCES = 2**23  # of one block: 64 MiB


def parzen_log_likelihood(
    *, real, fake, validation=None, bandwidths: Sequence[float] = BANDWIDTHS, distances: int = DISTANCES
) -> Result:
    """Mean over test data of log 1/M Σ_j N(x; s_j, h² I), the density that kernels around M samples make.

    The bandwidth h is the one of `bandwidths` with the highest mean on validation data. In many dimensions the number
    says little about the model: it rewards samples that lie near the centres of clusters (Theis et al. 2016).

    Args:
        real: test data [N, D].
        fake: samples of the model [M, D].
        validation: other data than `real`, [V, D]; None where a single bandwidth is given.
        bandwidths: standard deviations h > 0 of the kernel, in units of the data.
        distances: numbers in a block of rows of `real` against all samples; it bounds the memory.

    Returns:
        `Result` "parzen_log_likelihood" in nats, with its standard error over test data. The bandwidth, the grid and
        the mean on validation data are in the protocol, and whether the bandwidth lies at an end of the grid.

    Raises:
        UsageError: not [N, D], NaN or infinite, unlike D, a bandwidth that is not positive, several bandwidths without
            validation data, or validation data that are the test data.

    Reference: Goodfellow et al. 2014, section 5; Breuleux et al. 2011.
    """
    real, fake = checked_features("real", real), checked_features("fake", fake)
    grid = np.atleast_1d(np.asarray(bandwidths, np.float64))
    if grid.ndim != 1 or not grid.size or not np.isfinite(grid).all() or not (grid > 0).all():
        raise UsageError(f"bandwidths={bandwidths!r} must be standard deviations above 0, such as 0.01 to 1")
    if fake.shape[1] != real.shape[1]:
        raise UsageError(f"fake has {fake.shape[1]} dimensions and real has {real.shape[1]}; they must be the same")
    protocol = {"num_real": len(real), "num_fake": len(fake), "dimensions": real.shape[1], "dtype": "float64"}
    chosen = 0
    if len(grid) > 1:
        validation = _checked_validation(validation, real)
        means = log_densities(validation, fake, grid, distances).mean(1)
        chosen = int(means.argmax())
        protocol |= {
            "num_validation": len(validation),
            "validation_log_likelihood": float(means[chosen]),
            "bandwidth_at_an_end": bool(grid[chosen] in (grid.min(), grid.max())),
        }
    values = log_densities(real, fake, grid[chosen : chosen + 1], distances)[0]
    protocol |= {"bandwidth": float(grid[chosen]), "bandwidths": grid.tolist(), "unit": "nats"}
    return Result("parzen_log_likelihood", values.mean(), standard_error(values), protocol)


def log_densities(x: np.ndarray, samples: np.ndarray, bandwidths: np.ndarray, distances: int = DISTANCES) -> np.ndarray:
    """log 1/M Σ_j N(x_i; s_j, h² I) in nats for every bandwidth h and row of x: float64 [bandwidths, N].

    Args:
        x: [N, D].
        samples: [M, D].
        bandwidths: [B], above 0.
        distances: numbers in a block.
    """
    # Around the samples' centre: the difference of squares would lose the digits of data far from the origin.
    centre = samples.mean(0)
    x, samples = x - centre, samples - centre
    squares, dimensions = (samples**2).sum(1), samples.shape[1]
    constants = np.log(len(samples)) + dimensions * (np.log(bandwidths) + 0.5 * np.log(2 * np.pi))
    result = np.empty((len(bandwidths), len(x)))
    size = max(1, distances // len(samples))
    for start in range(0, len(x), size):
        rows = x[start : start + size]
        distance = np.maximum((rows**2).sum(1)[:, None] + squares - 2 * rows @ samples.T, 0.0)
        nearest = distance.min(1)
        distance -= nearest[:, None]
        for index, bandwidth in enumerate(bandwidths):
            total = np.exp(distance * (-0.5 / bandwidth**2)).sum(1)
            result[index, start : start + size] = np.log(total) - 0.5 * nearest / bandwidth**2 - constants[index]
    return result


def _checked_validation(validation, real: np.ndarray) -> np.ndarray:
    if validation is None:
        raise UsageError("validation=None, but several bandwidths; give data to choose among them, never the test data")
    validation = checked_features("validation", validation)
    if validation.shape[1] != real.shape[1]:
        raise UsageError(
            f"validation has {validation.shape[1]} dimensions and real has {real.shape[1]}; they must be the same"
        )
    if np.array_equal(validation, real):
        raise UsageError("validation holds the test data `real`; the bandwidth must be chosen on other data")
    return validation
