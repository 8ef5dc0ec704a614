"""The suite's measures of samples in an extractor's features and class probabilities.

The real test images are the real set; samples are the fake one. Results whose name ends in `_real` hold as many
training images in the samples' place (what a model that repeats its training data would get), or for scores, which look
at one set, the real test images.
"""

from collections.abc import Callable, Iterable

import gin
import numpy as np

from tfade.errors import UsageError
from tfade.evaluation.features import inception
from tfade.evaluation.metrics import REAL, Metric
from tfade.evaluation.result import Result
from tfade.evaluation.samples.distances import checked_integer, generator_of
from tfade.evaluation.samples.distribution_curve import precision_recall_distributions
from tfade.evaluation.samples.frechet import frechet_infinity
from tfade.evaluation.samples.kernel import kernel_distance
from tfade.evaluation.samples.manifolds import density_coverage, precision_recall
from tfade.evaluation.samples.scores import VARIANTS, inception_score, mode_score
from tfade.evaluation.subject import Extracted, NotApplicable, Subject


@gin.register
class FrechetInfinity(Metric):
    """Fréchet distance of real test images and samples, extrapolated to infinitely many samples.

    Args:
        sizes: how many subsets of the samples, at least 3.
    """

    name = "frechet_infinity"
    default = False

    def __init__(self, sizes: int = 15):
        self.sizes = checked_integer("FrechetInfinity.sizes", sizes, 3)

    def __call__(self, subject):
        def measure(real, fake):
            _require("samples", len(fake), 4 * self.sizes)
            return [frechet_infinity(real=real, fake=fake, sizes=self.sizes, seed=subject.seed)]

        return _against_real(subject, measure)


@gin.register
class KernelDistance(Metric):
    """Unbiased kernel distance (KID, where Inception made the features) of real test images and samples.

    Args:
        subsets: how many pairs of subsets, at least 1.
        subset_size: images in each, at least 2; fewer than so many images are not measured.
    """

    name = "kernel_distance"
    default = False

    def __init__(self, subsets: int = 100, subset_size: int = 1000):
        self.subsets = checked_integer("KernelDistance.subsets", subsets, 1)
        self.subset_size = checked_integer("KernelDistance.subset_size", subset_size, 2)

    def __call__(self, subject):
        def measure(real, fake):
            _require("images on both sides", min(len(real), len(fake)), self.subset_size)
            sizes = {"subsets": self.subsets, "subset_size": self.subset_size}
            return [kernel_distance(real=real, fake=fake, seed=subject.seed, **sizes)]

        return _against_real(subject, measure)


@gin.register
class PrecisionRecallDistributions(Metric):
    """F-scores of precision and recall over clusters, of equally many real test images and samples.

    Args:
        clusters: of k-means, at least 1.
        runs: of k-means, at least 1.
    """

    name = "precision_recall_distributions"
    default = False

    def __init__(self, clusters: int = 20, runs: int = 10):
        self.clusters = checked_integer("PrecisionRecallDistributions.clusters", clusters, 1)
        self.runs = checked_integer("PrecisionRecallDistributions.runs", runs, 1)

    def __call__(self, subject):
        def measure(real, fake):
            real, fake = _equally_many(subject, real, fake)
            _require("images on both sides", len(real), self.clusters)
            return precision_recall_distributions(
                real=real, fake=fake, clusters=self.clusters, runs=self.runs, seed=subject.seed
            )

        return _against_real(subject, measure)


@gin.register
class PrecisionRecall(Metric):
    """Precision and recall by nearest neighbours, of equally many real test images and samples.

    Args:
        k: of the neighbours, at least 1.
        strict: whether the surface of a ball is outside.
    """

    name = "precision_recall"
    default = False

    def __init__(self, k: int = 3, strict: bool = False):
        self.k, self.strict = checked_integer("PrecisionRecall.k", k, 1), strict

    def __call__(self, subject):
        def measure(real, fake):
            real, fake = _equally_many(subject, real, fake)
            _require("images on both sides", len(real), self.k + 1)
            return precision_recall(real=real, fake=fake, k=self.k, strict=self.strict)

        return _against_real(subject, measure)


@gin.register
class DensityCoverage(Metric):
    """Density and coverage, of equally many real test images and samples.

    Args:
        k: of the neighbours, at least 1.
        strict: whether the surface of a ball is outside.
    """

    name = "density_coverage"
    default = False

    def __init__(self, k: int = 5, strict: bool = True):
        self.k, self.strict = checked_integer("DensityCoverage.k", k, 1), strict

    def __call__(self, subject):
        def measure(real, fake):
            real, fake = _equally_many(subject, real, fake)
            _require("images on both sides", len(real), self.k + 1)
            return density_coverage(real=real, fake=fake, k=self.k, strict=self.strict)

        return _against_real(subject, measure)


@gin.register
class InceptionScore(Metric):
    """The Inception score of samples; under the name `classifier_score` where another network gave the probabilities.

    Args:
        splits: at least 1.
    """

    name = "inception_score"
    default = False

    def __init__(self, splits: int = 10):
        self.splits = checked_integer("InceptionScore.splits", splits, 1)

    def __call__(self, subject):
        is_inception = inception.is_inception(subject.features_by.protocol)
        name = "inception_score" if is_inception else "classifier_score"

        def measure(probabilities):
            return inception_score(probabilities=probabilities, splits=self.splits, seed=subject.seed).renamed(name)

        return _scores(subject, self.splits, measure)


@gin.register
class ModeScore(Metric):
    """The MODE score of samples, with the classes of as many training images as reference.

    Args:
        variant: which of the formulas in circulation; see `tfade.evaluation.mode_score`.
        splits: at least 1.
    """

    name = "mode_score"
    default = False

    def __init__(self, variant: str = "generated", splits: int = 10):
        if variant not in VARIANTS:
            raise UsageError(f"ModeScore.variant={variant!r} is unknown; give {', '.join(map(repr, VARIANTS))}")
        self.variant, self.splits = variant, checked_integer("ModeScore.splits", splits, 1)

    def __call__(self, subject):
        reference = _probabilities(subject.extracted_train).mean(axis=0)

        def measure(probabilities):
            result = mode_score(
                probabilities=probabilities,
                reference=reference,
                variant=self.variant,
                splits=self.splits,
                seed=subject.seed,
            )
            return result.with_protocol(
                reference=f"{len(subject.train_images)} images of the {subject.train.spec.split} split"
            )

        return _scores(subject, self.splits, measure)


def _against_real(subject: Subject, measure: Callable[[np.ndarray, np.ndarray], Iterable[Result]]) -> list[Result]:
    """`measure(real, fake)` of the samples' features, then of the training images' under names ending in `_real`."""
    sides = (
        ("", subject.extracted_samples, "samples"),
        (REAL, subject.extracted_train, f"{subject.train.spec.split} split"),
    )
    return [
        _signed(subject, result, fake=split).renamed(result.name + suffix)
        for suffix, fake, split in sides
        for result in measure(subject.extracted_real.features, fake.features)
    ]


def _scores(subject: Subject, splits: int, measure: Callable[[np.ndarray], Result]) -> list[Result]:
    """`measure(probabilities)` of the samples, then of the real images under a name ending in `_real`."""
    samples, real = _probabilities(subject.extracted_samples), _probabilities(subject.extracted_real)
    _require("samples and real images", min(len(samples), len(real)), splits)
    results = measure(samples), measure(real)
    return [
        _signed(subject, results[0], fake="samples"),
        _signed(subject, results[1], fake=f"{subject.real.spec.split} split").renamed(results[1].name + REAL),
    ]


def _signed(subject: Subject, result: Result, **more) -> Result:
    return result.with_protocol(**subject.protocol(), **subject.features_by.protocol, **more)


def _probabilities(extracted: Extracted) -> np.ndarray:
    if extracted.probabilities is None:
        raise NotApplicable("the extractor gives no class probabilities")
    if extracted.probabilities.ndim != 2:
        # One distribution over all K³ modes would need far more samples a split than it has modes.
        raise NotApplicable("the extractor judges each channel on its own; mode_coverage counts their combinations")
    return extracted.probabilities


def _require(what: str, count: int, at_least: int) -> None:
    if count < at_least:
        raise NotApplicable(f"there are {count} {what}, and it needs at least {at_least}")


def _equally_many(subject: Subject, *sets: np.ndarray) -> list[np.ndarray]:
    """As many rows of each set, in their order, chosen by the subject's seed where a set has more."""
    count = min(map(len, sets))
    return [
        rows if len(rows) == count else rows[np.sort(generator_of(subject.seed).permutation(len(rows))[:count])]
        for rows in sets
    ]
