"""Precision and recall, density and coverage: how two sets lie in balls around each other's points."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import gin
import numpy as np

from tfade.errors import UsageError, check_whole
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Result
from tfade.evaluation.samples.against_real import against_real, equally_many, require_at_least
from tfade.evaluation.samples.distances import checked_sets, distance_blocks, nearest


class PrecisionRecallResults(NamedTuple):
    """Two results: how much of the fake set is realistic, and how much of the real set it covers."""

    precision: Result
    recall: Result


class DensityCoverageResults(NamedTuple):
    """Two results: how densely real examples surround samples, and how many real examples have a sample near."""

    density: Result
    coverage: Result


def precision_recall(*, real, fake, k: int = 3, strict: bool = False) -> PrecisionRecallResults:
    """Shares of each set that lie in the other's manifold, estimated by balls that reach the k-th nearest neighbour.

        precision = mean_j 1[∃i: ‖y_j − x_i‖ ≤ r_k(x_i)],   recall = mean_i 1[∃j: ‖x_i − y_j‖ ≤ r_k(y_j)]

    with real x, fake y, and r_k the distance to the k-th nearest other point of the same set. Both fall with the
    sizes of the sets; one outlier with a large ball can lift either.

    Args:
        real: features [N, D] of data, N > k.
        fake: features [M, D] of samples, M > k.
        k: 3 in the paper, 5 in the comparison by Naeem et al.
        strict: whether a point on a ball's surface is outside (`<`, Naeem et al.) or inside (`≤`, Kynkäänniemi et al.).
            Repeated samples have balls of radius 0: they recall the data that they equal, or not even those.

    Returns:
        `PrecisionRecallResults` of `Result` "precision" and "recall" in [0, 1], without an uncertainty.

    Raises:
        UsageError: not [N, D], NaN or infinite, different D, k below 1, or N ≤ k.

    Reference: Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models", eq. 1
        and 2.
    """
    real, fake, protocol = _prepared(real, fake, k, strict)
    real_radii, fake_radii = _squared_radii(real, k), _squared_radii(fake, k)
    realistic, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for block in distance_blocks(fake, real):
        realistic[block.rows] |= block.within(real_radii[None, block.columns], strict=strict).any(axis=1)
        recalled[block.columns] |= block.within(fake_radii[block.rows, None], strict=strict).any(axis=0)
    return PrecisionRecallResults(
        Result("precision", realistic.mean(), None, protocol), Result("recall", recalled.mean(), None, protocol)
    )


def density_coverage(*, real, fake, k: int = 5, strict: bool = True) -> DensityCoverageResults:
    """How many real balls hold a sample on average, and how many real balls hold any sample.

        density = 1/(k·M) Σ_j Σ_i 1[‖y_j − x_i‖ < r_k(x_i)],   coverage = mean_i 1[∃j: ‖y_j − x_i‖ < r_k(x_i)]

    Only real points have balls, so that outliers among the samples do not matter. For equal distributions density is
    1 on average and coverage is 1 − Π_{l=0}^{k−1} (N − 1 − l)/(N + M − 1 − l), about 1 − 2^{−k} for N = M. Density can
    exceed 1.

    Args:
        real: features [N, D] of data, N > k.
        fake: features [M, D] of samples, at least 2.
        k: 5 in the paper.
        strict: as in `precision_recall`; the authors' code has `<`.

    Returns:
        `DensityCoverageResults` of `Result` "density" ≥ 0 and "coverage" in [0, 1], without an uncertainty.

    Raises:
        UsageError: as `precision_recall`; the fake set need not exceed k.

    Reference: Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models", eq. 3-4.
    """
    real, fake, protocol = _prepared(real, fake, k, strict, fake_at_least=2)
    radii = _squared_radii(real, k)
    count, covered = 0, np.zeros(len(real), bool)
    for block in distance_blocks(fake, real):
        inside = block.within(radii[None, block.columns], strict=strict)
        count += int(inside.sum())
        covered[block.columns] |= inside.any(axis=0)
    return DensityCoverageResults(
        Result("density", count / (k * len(fake)), None, protocol), Result("coverage", covered.mean(), None, protocol)
    )


class _Manifolds(Metric):
    """A measure of balls that reach the k-th nearest neighbour, of equally many real test images and samples."""

    default = False
    measure: Callable[..., Iterable[Result]]

    def __init__(self, k: int, strict: bool):
        self.k, self.strict = check_whole(f"{type(self).__name__}.k", k), strict

    def __call__(self, subject):
        def measure(real, fake):
            real, fake = equally_many(subject, real, fake)
            require_at_least("images on both sides", len(real), self.k + 1)
            return type(self).measure(real=real, fake=fake, k=self.k, strict=self.strict)

        return against_real(subject, measure)


@gin.register
class PrecisionRecall(_Manifolds):
    """Precision and recall by nearest neighbours, of equally many real test images and samples.

    Args:
        k: of the neighbours, at least 1.
        strict: whether the surface of a ball is outside.
    """

    name = "precision_recall"
    measure = staticmethod(precision_recall)

    def __init__(self, k: int = 3, strict: bool = False):
        super().__init__(k, strict)


@gin.register
class DensityCoverage(_Manifolds):
    """Density and coverage, of equally many real test images and samples.

    Args:
        k: of the neighbours, at least 1.
        strict: whether the surface of a ball is outside.
    """

    name = "density_coverage"
    measure = staticmethod(density_coverage)

    def __init__(self, k: int = 5, strict: bool = True):
        super().__init__(k, strict)


def _prepared(real, fake, k: int, strict: bool, fake_at_least: int | None = None):
    k = check_whole("k", k, 1)
    real, fake = checked_sets(real, fake)
    for name, features, at_least in (("real", real, k + 1), ("fake", fake, fake_at_least or k + 1)):
        if len(features) < at_least:
            raise UsageError(
                f"{name} has {len(features)} examples and k={k}; a point's k-th neighbour needs at least k + 1"
            )
    protocol = {
        "num_real": len(real),
        "num_fake": len(fake),
        "dimensions": real.shape[1],
        "k": k,
        "inside": "<" if strict else "<=",
        "dtype": "float64",
    }
    return real, fake, protocol


def _squared_radii(features: np.ndarray, k: int) -> np.ndarray:
    return nearest(features, k=k)[0][:, -1]
