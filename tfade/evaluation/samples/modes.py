"""Mode coverage: of the modes that a data set is known to have, how many samples reach and how evenly."""

import gin
import numpy as np

from tfade.data.source import Source
from tfade.data.toy import Mixture
from tfade.errors import UsageError, check_positive
from tfade.evaluation.checks import checked_integers
from tfade.evaluation.features.probabilities import modes_of
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import NotApplicable, Result
from tfade.evaluation.samples.distances import checked_sets
from tfade.evaluation.samples.distances import nearest as nearest_points


def mode_coverage(
    *, modes=None, probabilities=None, points=None, num_modes: int | None = None, centres=None, radius=None
) -> Result:
    """The number of modes with at least one sample.

    It grows with N: compare only numbers of equal N, and with the same number of real examples.

    Args:
        modes: the mode of each sample, integers [N] in [0, num_modes); or instead
        probabilities: class probabilities [N, K], or [N, C, K] of C channels with K**C modes; the most probable counts;
            or instead
        points: samples [N, D] of a mixture; one counts for the nearest centre, if that is within `radius`.
        num_modes: how many modes the data have; required with `modes`.
        centres, radius: of the mixture, [K, D], and the distance within which a sample is one of its component: 3σ in
            the literature. Required with `points`.

    Returns:
        `Result` "mode_coverage", an integer up to num_modes, without an uncertainty.

    Raises:
        UsageError: none or several of modes, probabilities and points, or invalid values.

    Reference: Metz et al. 2017, "Unrolled Generative Adversarial Networks", section 3.3.1; of mixtures Srivastava et
        al. 2017, "VEEGAN", section 4.1.
    """
    if points is not None:
        if modes is not None or probabilities is not None:
            raise UsageError("give one of modes, probabilities and points")
        nearest, protocol = _within(points, centres, radius)
        return Result("mode_coverage", len(np.unique(nearest[nearest >= 0])), None, protocol)
    modes, num_modes = _modes(modes, probabilities, num_modes)
    counts = np.bincount(modes, minlength=num_modes)
    return Result("mode_coverage", int((counts > 0).sum()), None, {"num_fake": len(modes), "num_modes": num_modes})


def high_quality_share(*, points, centres, radius: float) -> Result:
    """The share of samples of a mixture that lie within `radius` of a component's centre.

    Draws from the mixture itself reach P(χ²_D ≤ (radius/σ)²): 0.989 at 3σ in two dimensions.

    Args:
        points, centres, radius: as in `mode_coverage`.

    Returns:
        `Result` "high_quality_share" in [0, 1], with its standard error.

    Raises:
        UsageError: invalid values.

    Reference: Srivastava et al. 2017, "VEEGAN", section 4.1.
    """
    nearest, protocol = _within(points, centres, radius)
    share = float((nearest >= 0).mean())
    return Result("high_quality_share", share, float(np.sqrt(share * (1 - share) / len(nearest))), protocol)


def mode_divergence(*, modes=None, probabilities=None, reference) -> Result:
    """KL from the samples' mode histogram to the data's mode distribution, in nats.

        KL(p̂ ‖ q) = Σ_k p̂_k log(p̂_k / q_k),   p̂_k = n_k / N

    Modes without a sample contribute 0. A perfect sampler does not reach 0 but about (num_modes − 1)/(2N), so real
    examples of equal N belong beside it.

    Args:
        modes, probabilities: as in `mode_coverage`.
        reference: q, floats [num_modes], all positive, summing to 1: the exact distribution of the data's modes.

    Returns:
        `Result` "mode_divergence", at least 0, without an uncertainty.

    Raises:
        UsageError: as `mode_coverage`; or a reference that is not a distribution, or that gives a mode probability 0.

    Reference: Metz et al. 2017, section 3.3.1; Lin et al. 2018, "PacGAN", section 4.2 (the same direction of KL).
    """
    reference = _reference(reference)
    modes, num_modes = _modes(modes, probabilities, len(reference))
    if num_modes != len(reference):
        raise UsageError(f"reference has {len(reference)} modes and probabilities have {num_modes}; give one for each")
    shares = np.bincount(modes, minlength=num_modes) / len(modes)
    seen = shares > 0
    value = float((shares[seen] * np.log(shares[seen] / reference[seen])).sum())
    # Rounding leaves about -1e-16 where the histogram equals the reference; KL itself is never negative.
    return Result("mode_divergence", max(value, 0.0), None, {"num_fake": len(modes), "num_modes": num_modes})


def stacked_mode_distribution(source: Source) -> np.ndarray:
    """The exact distribution of the modes of stacked data: the product of the grey split's label frequencies.

    Args:
        source: a stacked source with labels.

    Returns:
        float64 [K**3], indexed by the source's labels, summing to 1.

    Raises:
        UsageError: the data are not stacked, or the grey data have no labels.
    """
    if source.stacked is None:
        raise UsageError(f"data={source.spec.name!r} is not stacked, so its modes are not known; give stacked data")
    grey = source.stacked
    labels = grey.labels(np.arange(grey.spec.num_examples))
    shares = np.bincount(labels, minlength=grey.spec.num_classes) / len(labels)
    distribution = np.ones(1)
    for _ in range(source.spec.shape[-1]):
        distribution = np.outer(distribution, shares).reshape(-1)
    return distribution


@gin.register
class ModeCoverage(Metric):
    """Modes that samples reach: of stacked digits, with the KL of their histogram, or components of a 2-D mixture.

    In a mixture, a sample belongs to the nearest component if it lies within 3σ of its centre; the share of samples
    that do is the second result. Samples of stacked digits are compared with the modes of the training split, which the
    model learnt, and real test images with those of their own split: label frequencies of small splits differ.

    Args:
        deviations: how many σ from its centre a component of a mixture reaches.
    """

    name = "mode_coverage"

    def __init__(self, deviations: float = 3.0):
        check_positive("ModeCoverage.deviations", deviations)
        self.deviations = deviations

    def __call__(self, subject):
        if isinstance(subject.real.density, Mixture):
            return self._of_mixture(subject, subject.real.density)
        if subject.train.stacked is None or subject.real.stacked is None:
            raise NotApplicable(
                f"data={subject.real.spec.name!r} is neither stacked nor a mixture, so its modes are not known"
            )
        found = self._of_modes(subject, subject.classified_samples.modes, subject.train, "num_fake")
        real = self._of_modes(subject, subject.classified_real.modes, subject.real, "num_real")
        return [result.with_real(other) for result, other in zip(found, real)]

    def _of_mixture(self, subject, density: Mixture) -> list[Result]:
        components = {"centres": density.centres, "radius": self.deviations * density.sigma}
        samples, real = subject.sampled_vectors, subject.real.fetch(np.arange(subject.real.spec.num_examples))
        results = [
            measure(points=samples, **components).with_real(measure(points=real, **components))
            for measure in (mode_coverage, high_quality_share)
        ]
        return [result.with_protocol(**subject.protocol()) for result in results]

    @staticmethod
    def _of_modes(subject, modes, source: Source, count: str) -> list[Result]:
        reference = stacked_mode_distribution(source)
        protocol = {
            **subject.protocol(),
            **subject.classifier.protocol,
            count: len(modes),
            "num_modes": len(reference),
            "reference": f"labels of the {source.spec.split} split",
        }
        found = mode_coverage(modes=modes, num_modes=len(reference)), mode_divergence(modes=modes, reference=reference)
        return [Result(result.name, result.value, result.std, protocol) for result in found]


def _within(points, centres, radius) -> tuple[np.ndarray, dict]:
    """The nearest centre of each point, int64 [N], or -1 where it is further than `radius`; and the protocol."""
    if centres is None or radius is None or not 0 < radius < np.inf:
        raise UsageError(f"radius={radius!r} with centres={type(centres).__name__}; points need centres and radius > 0")
    points, centres = checked_sets(points, centres, at_least=1, names=("points", "centres"))
    squares, indices = nearest_points(points, centres)
    nearest = np.where(squares[:, 0] <= radius**2, indices[:, 0], -1)
    return nearest, {"num_fake": len(points), "num_modes": len(centres), "radius": float(radius)}


def _modes(modes, probabilities, num_modes: int | None) -> tuple[np.ndarray, int]:
    if (modes is None) == (probabilities is None):
        raise UsageError("give either modes=[N] integers or probabilities=[N, K], and not both")
    if probabilities is not None:
        modes = modes_of(probabilities)
        shape = np.shape(probabilities)
        return modes, shape[-1] ** (shape[1] if len(shape) == 3 else 1)
    if num_modes is None or num_modes < 1:
        raise UsageError(f"num_modes={num_modes}; give the number of modes that the data have, at least 1")
    return checked_integers("modes", modes, num_modes), num_modes


def _reference(reference) -> np.ndarray:
    reference = np.asarray(reference, np.float64)
    if reference.ndim != 1 or not len(reference) or not np.isfinite(reference).all():
        raise UsageError(f"reference has shape {list(reference.shape)}; give finite probabilities [num_modes]")
    empty = np.flatnonzero(reference <= 0)
    if len(empty):
        raise UsageError(
            f"reference gives {len(empty)} mode(s), such as {empty[0]}, a probability of 0 or less, where the "
            "divergence is infinite; use data that have every mode"
        )
    if abs(reference.sum() - 1) > 1e-6:
        raise UsageError(f"reference sums to {reference.sum():.8g}; probabilities must sum to 1")
    return reference
