"""Precision and recall for distributions: a curve of what two sets share, over clusters of their union."""

import dataclasses
from typing import NamedTuple

import gin
import numpy as np

from tfade.errors import UsageError, check_whole
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Result
from tfade.evaluation.samples.against_real import against_real, equally_many, require_at_least
from tfade.evaluation.samples.distances import checked_sets

BETA = 8.0


@dataclasses.dataclass(frozen=True)
class CurveResult(Result):
    """A number that summarises a curve, with the curve.

    Attributes:
        curve: (recall, precision) at every angle, float64 [angles, 2].
    """

    curve: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)


class DistributionResults(NamedTuple):
    """F_⅛, which weighs precision, and F_8, which weighs recall, each with the curve that both summarise."""

    precision: CurveResult
    recall: CurveResult


def precision_recall_distributions(
    *, real, fake, clusters: int = 20, runs: int = 10, angles: int = 1001, seed: int = 0
) -> DistributionResults:
    """Precision and recall of the fake set's distribution over clusters, and their F-scores.

        precision(λ) = Σ_c min(λ·p_c, q_c),   recall(λ) = precision(λ)/λ,   λ = tan(angle), angles in (0, π/2)
        F_β = max_λ (1 + β²)·precision·recall/(β²·precision + recall)

    where p and q are the shares of real and fake examples in each cluster of the union. Curves are averaged over runs
    of k-means, F-scores are taken of the average.

    Args:
        real: features [N, D] of data.
        fake: features [N, D] of samples, as many.
        clusters: of k-means, at least 1, at most 2N.
        runs: of k-means, each from new centres, at least 1.
        angles: points of the curve, at least 3; an odd number has λ = 1, where equal distributions reach 1.
        seed: of k-means.

    Returns:
        `DistributionResults` of `CurveResult` "prd_precision" (F_⅛) and "prd_recall" (F_8), both in [0, 1],
        with the spread of the F-scores of single runs, and `curve` [angles, 2] of recall and precision.

    Raises:
        UsageError: not [N, D], NaN or infinite, different D, sets of unequal size, or fewer examples than clusters.

    Reference: Sajjadi et al. 2018, "Assessing Generative Models via Precision and Recall", eq. 5-6 and section 4.
        Their code clusters by mini-batches; here k-means runs until it has converged.
    """
    clusters, runs = check_whole("clusters", clusters, 1), check_whole("runs", runs, 1)
    angles, seed = check_whole("angles", angles, 3), check_whole("seed", seed, 0)
    real, fake = checked_sets(real, fake)
    if len(real) != len(fake):
        raise UsageError(
            f"fake has {len(fake)} examples and real has {len(real)}; clusters favour the larger set, so give as many"
        )
    if clusters > 2 * len(real):
        raise UsageError(f"clusters={clusters} exceeds the {2 * len(real)} examples of real and fake; use fewer")
    curves = np.stack([_curve(*_shares(real, fake, clusters, seed, run), angles) for run in range(runs)])
    curve = curves.mean(axis=0)
    protocol = {
        "num_real": len(real),
        "num_fake": len(fake),
        "dimensions": real.shape[1],
        "clustering": "k-means",
        "clusters": clusters,
        "runs": runs,
        "angles": angles,
        "cluster_seed": seed,
        "std": "over runs",
        "dtype": "float64",
    }
    scores = []
    for name, beta in (("prd_precision", 1 / BETA), ("prd_recall", BETA)):
        spread = np.std([_f_score(one, beta) for one in curves]) if runs > 1 else None
        scores.append(CurveResult(name, _f_score(curve, beta), spread, {**protocol, "beta": beta}, curve=curve))
    return DistributionResults(*scores)


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
        self.clusters = check_whole("PrecisionRecallDistributions.clusters", clusters, 1)
        self.runs = check_whole("PrecisionRecallDistributions.runs", runs, 1)

    def __call__(self, subject):
        def measure(real, fake):
            real, fake = equally_many(subject, real, fake)
            require_at_least("images on both sides", len(real), self.clusters)
            return precision_recall_distributions(
                real=real, fake=fake, clusters=self.clusters, runs=self.runs, seed=subject.seed
            )

        return against_real(subject, measure)


def _shares(real: np.ndarray, fake: np.ndarray, clusters: int, seed: int, run: int) -> tuple[np.ndarray, np.ndarray]:
    """How the real and the fake set are spread over clusters of their union, each float64 [clusters]."""
    from sklearn.cluster import KMeans  # takes half a second to import

    state = int(np.random.SeedSequence([seed, run]).generate_state(1)[0])
    labels = KMeans(clusters, n_init=1, random_state=state).fit(np.concatenate([real, fake])).labels_
    counts = (np.bincount(part, minlength=clusters) for part in (labels[: len(real)], labels[len(real) :]))
    return tuple(count / len(real) for count in counts)


def _curve(real: np.ndarray, fake: np.ndarray, angles: int) -> np.ndarray:
    """(recall, precision) at evenly spaced angles, of two distributions over clusters: float64 [angles, 2]."""
    margin = 1e-10  # the ends themselves have slopes 0 and infinity
    slopes = np.tan(np.linspace(margin, np.pi / 2 - margin, angles))
    precision = np.minimum(slopes[:, None] * real, fake).sum(axis=1)
    return np.minimum(np.stack([precision / slopes, precision], axis=1), 1)  # rounding leaves 1 + 1e-16


def _f_score(curve: np.ndarray, beta: float) -> float:
    recall, precision = curve.T
    weighted = beta**2 * precision + recall
    scores = (1 + beta**2) * precision * recall / np.where(weighted > 0, weighted, 1)
    return float(scores.max())
