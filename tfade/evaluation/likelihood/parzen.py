"""The likelihood of test data under Gaussian kernels around samples."""

from collections.abc import Sequence

import gin
import numpy as np

from tfade.errors import UsageError, check_sizes
from tfade.evaluation.checks import checked_features
from tfade.evaluation.choice import chosen
from tfade.evaluation.likelihood.latent_model import DEQUANTISATION, dequantised
from tfade.evaluation.likelihood.repeats import Repeats
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Result, standard_error
from tfade.evaluation.subject import Subject

BANDWIDTHS = tuple(float(value) for value in np.geomspace(0.01, 1.0, 13))  # for data in [0, 1]
DISTANCES = 2**23  # of one block: 64 MiB


def parzen_log_likelihood(
    *,
    real,
    fake,
    validation=None,
    bandwidths: Sequence[float] = BANDWIDTHS,
    distances: int = DISTANCES,
    groups=None,
) -> Result:
    """Mean over test data of log 1/M Σ_j N(x; s_j, h² I), the density that kernels around M samples make.

    The bandwidth h is the one of `bandwidths` with the highest mean on validation data. In many dimensions the value
    says little about the model: it rewards samples that lie near the centres of clusters (Theis et al. 2016).

    Args:
        real: test data [N, D].
        fake: samples of the model [M, D].
        validation: other data than `real`, [V, D]; None where a single bandwidth is given.
        bandwidths: standard deviations h > 0 of the kernel, in units of the data.
        distances: computed at a time, which bounds the memory.
        groups: which distinct example each of `real` is, for the standard error; see `negative_log_likelihood`.

    Returns:
        `Result` "parzen_log_likelihood" in nats, with its standard error over test data. The grid is in the protocol;
        the bandwidth, whether it lies at an end of the grid, and the mean on validation data are diagnostics.

    Raises:
        UsageError: not [N, D], NaN or infinite, different D, a bandwidth that is not positive, several bandwidths
            without validation data, or validation data that are the test data.

    Reference: Goodfellow et al. 2014, section 5; Breuleux et al. 2011.
    """
    real, fake = checked_features("real", real), checked_features("fake", fake)
    grid = np.atleast_1d(np.asarray(bandwidths, np.float64))
    if grid.ndim != 1 or not grid.size or not np.isfinite(grid).all() or not (grid > 0).all():
        raise UsageError(f"bandwidths={bandwidths!r} must be standard deviations above 0, such as 0.01 to 1")
    if fake.shape[1] != real.shape[1]:
        raise UsageError(f"fake has {fake.shape[1]} dimensions and real has {real.shape[1]}; they must be the same")
    protocol = {"num_real": len(real), "num_fake": len(fake), "dimensions": real.shape[1], "dtype": "float64"}
    best, diagnostics = 0, {}
    if len(grid) > 1:
        validation = _checked_validation(validation, real)
        means = log_densities(validation, fake, grid, distances).mean(1)
        best = int(means.argmax())
        protocol["num_validation"] = len(validation)
        diagnostics = {
            "validation_log_likelihood": float(means[best]),
            "bandwidth_at_an_end": bool(grid[best] in (grid.min(), grid.max())),
        }
    values = log_densities(real, fake, grid[best : best + 1], distances)[0]
    protocol |= {"bandwidths": grid.tolist(), "unit": "nats"}
    diagnostics["bandwidth"] = float(grid[best])
    return Result("parzen_log_likelihood", values.mean(), standard_error(values, groups), protocol, diagnostics)


def log_densities(x: np.ndarray, samples: np.ndarray, bandwidths: np.ndarray, distances: int = DISTANCES) -> np.ndarray:
    """log 1/M Σ_j N(x_i; s_j, h² I) in nats for every bandwidth h and row of x: float64 [bandwidths, N].

    Args:
        x: [N, D].
        samples: [M, D].
        bandwidths: [B], above 0.
        distances: computed at a time.
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


@gin.register
class ParzenLogLikelihood(Metric):
    """log p of some test data under kernels around the samples, whose bandwidth is chosen on validation data.

    Images are dequantised, samples of them lie at the middles of their bins, both in [0, 1]. Vectors are as they are,
    and bandwidths in their units. Without a validation split the training split takes its place, as the protocol says.

    Args:
        num_real: test data.
        num_validation: validation data for the choice; no test data take part in it.
        bandwidths: see `parzen_log_likelihood`.

    Raises:
        UsageError: the validation split holds some of the test data.

    Reference: Goodfellow et al. 2014, section 5.
    """

    name = "parzen_log_likelihood"
    default = False

    def __init__(self, num_real: int = 1000, num_validation: int = 1000, bandwidths=BANDWIDTHS):
        check_sizes("ParzenLogLikelihood", num_real=num_real, num_validation=num_validation)
        self.num_real, self.num_validation, self.bandwidths = num_real, num_validation, bandwidths

    def __call__(self, subject):
        fake, real = _samples(subject), chosen(subject.real, self.num_real, subject.seed)
        validation, choice = _validation(subject, self.num_validation, real, self.bandwidths)
        repeats = Repeats([real])
        parts = fake, dequantised(real, repeats), dequantised(validation)
        fake, real, validation = (part.reshape(len(part), -1) for part in parts)
        result = parzen_log_likelihood(
            real=real, fake=fake, validation=validation, bandwidths=self.bandwidths, groups=repeats.groups
        )
        noise = {"dequantisation": DEQUANTISATION} if subject.real.spec.is_image else {}
        return [result.with_protocol(**subject.protocol(), **noise, **choice, **repeats.protocol)]


def at_middles(images) -> np.ndarray:
    """Samples on the scale of dequantised images: uint8 levels as (255 x + ½) / 256, floats and vectors as they are."""
    images = np.asarray(images)
    return (images.astype(np.float32) + 0.5) / 256 if images.dtype == np.uint8 else images


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


def _samples(subject: Subject) -> np.ndarray:
    """Samples of the model: images at the middles of their bins, or vectors."""
    return at_middles(subject.samples) if subject.real.spec.is_image else subject.sampled_vectors


def _validation(subject: Subject, count: int, real: np.ndarray, bandwidths) -> tuple[np.ndarray, dict]:
    """Data for the choice of a bandwidth, and the protocol's keys about them.

    They are of the validation split; without one of the training split, of which the model may know more.

    Raises:
        UsageError: more than a tenth of the validation split is among `real`; public sets hold a few images twice.
    """
    source = subject.validation
    given = source is not None
    source = source if given else subject.train
    examples = chosen(source, count, subject.seed)
    if given and np.size(bandwidths) > 1:
        known = {row.tobytes() for row in real}
        shared = sum(row.tobytes() in known for row in examples)
        if shared > len(examples) / 10:
            raise UsageError(
                f"validation: {shared} of {len(examples)} examples of the {source.spec.split} split are among the "
                f"{len(real)} test data; give another split, or a single value as bandwidths"
            )
    return examples, {"bandwidth_chosen_on": f"{source.spec.split} split"}
