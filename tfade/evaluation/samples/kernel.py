"""The kernel distance: a maximum mean discrepancy of features. It is a KID only when Inception made the features."""

import gin
import numpy as np

from tfade.errors import UsageError, check_whole
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Result
from tfade.evaluation.samples.against_real import against_real, require_at_least
from tfade.evaluation.samples.distances import ROWS, checked_sets, generator_of


def kernel_distance(
    *, real, fake, subsets: int = 100, subset_size: int = 1000, biased: bool = False, seed: int = 0
) -> Result:
    """The squared maximum mean discrepancy under a cubic kernel, averaged over random subsets.

        k(x, y) = (x·y/D + 1)³
        d² = Σ_{i≠j} k(x_i, x_j)/(m(m−1)) + Σ_{i≠j} k(y_i, y_j)/(m(m−1)) − 2·Σ_{i,j} k(x_i, y_j)/m²

    Unlike a Fréchet distance its expectation does not depend on the sizes of the sets. Of equal distributions it is 0
    on average, so negative values are valid.

    Args:
        real: features [N, D] of data.
        fake: features [M, D] of samples.
        subsets: how many pairs of subsets, at least 1.
        subset_size: m ≥ 2, at most N and M; drawn without replacement.
        biased: include the diagonal i = j and divide by m², which gives values ≥ 0 that fall with m.
        seed: of the subsets.

    Returns:
        `Result` "kernel_distance"; its uncertainty is the spread over subsets (which overlap: no standard error), None
            where there is one subset only, or all are the whole of both sets.

    Raises:
        UsageError: not [N, D], NaN or infinite, different D, or fewer examples than `subset_size`.

    Reference: Bińkowski et al. 2018, "Demystifying MMD GANs", section 4.1; Gretton et al. 2012, "A Kernel Two-Sample
        Test", eq. 3 (unbiased) and eq. 5 (biased).
    """
    subsets, subset_size = check_whole("subsets", subsets, 1), check_whole("subset_size", subset_size, 2)
    real, fake = checked_sets(real, fake)
    for name, features in (("real", real), ("fake", fake)):
        if len(features) < subset_size:
            raise UsageError(
                f"{name} has {len(features)} examples, fewer than subset_size={subset_size}; give more, or smaller "
                "subsets for both sides of every comparison"
            )
    generator = generator_of(seed)
    values = np.empty(subsets)
    for index in range(subsets):
        x, y = (features[generator.permutation(len(features))[:subset_size]] for features in (real, fake))
        values[index] = _discrepancy(x, y, biased)
    protocol = {
        "num_real": len(real),
        "num_fake": len(fake),
        "dimensions": real.shape[1],
        "kernel": "(x.y/D + 1)^3",
        "estimator": "biased" if biased else "unbiased",
        "subsets": subsets,
        "subset_size": subset_size,
        "subset_seed": seed,
        "std": "over subsets",
        "dtype": "float64",
    }
    vary = subsets > 1 and subset_size < max(len(real), len(fake))
    return Result("kernel_distance", values.mean(), values.std() if vary else None, protocol)


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
        self.subsets = check_whole("KernelDistance.subsets", subsets, 1)
        self.subset_size = check_whole("KernelDistance.subset_size", subset_size, 2)

    def __call__(self, subject):
        def measure(real, fake):
            require_at_least("images on both sides", min(len(real), len(fake)), self.subset_size)
            sizes = {"subsets": self.subsets, "subset_size": self.subset_size}
            return [kernel_distance(real=real, fake=fake, seed=subject.seed, **sizes)]

        return against_real(subject, measure)


def _discrepancy(x: np.ndarray, y: np.ndarray, biased: bool) -> float:
    within = 0.0
    for points in (x, y):
        total, count = _kernel_sum(points, points), len(points)
        if biased:
            within += total / count**2
        else:
            within += (total - _cubed(np.square(points).sum(axis=1), points.shape[1]).sum()) / (count * (count - 1))
    return within - 2 * _kernel_sum(x, y) / (len(x) * len(y))


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    return sum(float(_cubed(x[start : start + ROWS] @ y.T, x.shape[1]).sum()) for start in range(0, len(x), ROWS))


def _cubed(products: np.ndarray, dimensions: int) -> np.ndarray:
    base = products / dimensions
    base += 1
    return base * base * base  # a power of floats is ten times slower
