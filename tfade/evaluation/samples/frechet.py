"""The Fréchet distance of Gaussians that are fitted to features. It is an FID only when Inception made the features."""

import warnings
from collections.abc import Callable
from typing import Any

import gin
import numpy as np
from scipy.linalg import svdvals

from tfade.errors import UsageError, check_whole
from tfade.evaluation.checks import checked_features
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Result
from tfade.evaluation.samples.against_real import against_real, require_at_least
from tfade.evaluation.samples.distances import generator_of
from tfade.evaluation.samples.moments import Moments, check_same_protocol
from tfade.evaluation.subject import Subject

SMALLEST = 1e-8  # relative, of pivots and of squared singular values; smaller ones need care with rounding


def frechet_distance(*, real, fake) -> Result:
    """The squared 2-Wasserstein distance of Gaussians with the sets' means and covariances.

        d² = ‖m_r − m_f‖² + tr(S_r + S_f − 2·(S_r S_f)^½)

    It is biased upwards for finite sets, so compare only numbers of equal N.

    Args:
        real: features [N, D] of data, or their `Moments`.
        fake: features [M, D] of samples, or their `Moments`.

    Returns:
        `Result` "frechet_distance": d² ≥ 0, without an uncertainty.

    Raises:
        UsageError: not [N, D], NaN or infinite, fewer than 2 examples, different D, or Moments of different protocols.

    Reference: Dowson and Landau 1982, eq. 4; Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", eq. 6.
    """
    real, fake = _moments("real", real), _moments("fake", fake)
    _check_dimensions(real, fake.dimensions)
    check_same_protocol("fake", _origin(real), _origin(fake))
    return Result("frechet_distance", _distance_from(real)(fake), None, _protocol(real, fake.count))


def frechet_infinity(*, real, fake, sizes: int = 15, smallest: int | None = None, seed: int = 0) -> Result:
    """The Fréchet distance extrapolated to infinitely many samples.

        d²_n = d²_∞ + b/n

    by least squares over random subsets of n samples, n evenly spaced from `smallest` to M. This removes the bias that
    the number of samples causes (in which models differ), not the bias of the finite real set, which all models share.

    Args:
        real: features [N, D] of data, or their `Moments`: the same in every distance.
        fake: features [M, D] of samples; an array, since subsets are drawn from it.
        sizes: how many subsets, at least 3.
        smallest: size of the smallest, at least 2; None for the larger of M/10 and D + 1, but at most M/2.
        seed: of the subsets.

    Returns:
        `Result` "frechet_infinity" with the standard error of the fit's intercept, which sees the scatter of the
        subsets' distances, not that of the samples. A good model's value can be slightly negative.

    Raises:
        UsageError: as `frechet_distance`, Moments for the fake set, or too few samples for subsets of different sizes.

    Reference: Chong and Forsyth 2020, "Effectively Unbiased FID and Inception Score and where to find them", section 3.
    """
    if isinstance(fake, Moments):
        raise UsageError("fake=Moments has no samples to draw subsets from; give features [M, D]")
    sizes, generator = check_whole("sizes", sizes, 3), generator_of(seed)
    real, fake = _moments("real", real), checked_features("fake", fake)
    _check_dimensions(real, fake.shape[1])
    count, dimensions = fake.shape
    if smallest is None:
        smallest = max(2, count // 10, min(dimensions + 1, count // 2))
    smallest = check_whole("smallest", smallest, 2)
    counts = np.unique(np.linspace(smallest, count, sizes).astype(int)) if smallest < count else np.array([count])
    if len(counts) < sizes:
        raise UsageError(
            f"fake has {count} examples, too few for sizes={sizes} distinct subset sizes from smallest={smallest} up"
        )
    _warn_where_singular("fake's smallest subset", smallest, dimensions)
    distance = _distance_from(real)
    distances = np.array([distance(Moments(fake[generator.permutation(count)[:size]])) for size in counts])
    value, error = _intercept(1 / counts, distances)
    protocol = {
        **_protocol(real, count),
        "sizes": counts.tolist(),
        "subset_seed": seed,
        "std": "of the fit's intercept",
    }
    return Result("frechet_infinity", value, error, protocol)


@gin.register
class FrechetDistance(Metric):
    """Fréchet distance of real test images and samples in the features of the subject's extractor.

    The real-data counterpart is the distance of the same test images and as many training images: that of a model that
    repeats its training data.
    """

    name = "frechet_distance"
    default = False  # without an extractor of the user's it is classifier_frechet_distance

    def __call__(self, subject):
        return [distance_of_samples(subject, self._extractor(subject), frechet_distance).renamed(self.name)]

    def _extractor(self, subject) -> Any:
        return None


@gin.register
class ClassifierFrechetDistance(FrechetDistance):
    """`FrechetDistance` in the features of the classifier of the data, whatever extractor other metrics have."""

    name = "classifier_frechet_distance"
    default = True

    def _extractor(self, subject):
        return None if subject.extractor is None else subject.classifier  # by default it is the subject's


@gin.register
class FrechetInfinity(Metric):
    """Fréchet distance of real test images and samples, extrapolated to infinitely many samples.

    Args:
        sizes: how many subsets of the samples, at least 3.
    """

    name = "frechet_infinity"
    default = False

    def __init__(self, sizes: int = 15):
        self.sizes = check_whole("FrechetInfinity.sizes", sizes, 3)

    def __call__(self, subject):
        def measure(real, fake):
            require_at_least("samples", len(fake), 4 * self.sizes)
            return [frechet_infinity(real=real, fake=fake, sizes=self.sizes, seed=subject.seed)]

        return against_real(subject, measure)


def distance_of_samples(subject: Subject, extractor: Any, distance: Callable[..., Result]) -> Result:
    """`distance` of test images and samples in an extractor's features; the counterpart is of training images.

    Args:
        subject: the samples and the data.
        extractor: of the features; None for the subject's.
        distance: of `Moments`, such as `frechet_distance`.
    """
    if extractor is None or extractor is subject.extractor:
        extractor = subject.feature_extractor
        found = [subject.extracted_real, subject.extracted_samples, subject.extracted_train]
    else:
        images = (subject.real_images, subject.samples, subject.train_images)
        found = [subject.extract(each, extractor) for each in images]
    real, samples, train = (Moments(each.features, protocol=extractor.protocol) for each in found)
    result = distance(real=real, fake=samples).with_protocol(fake="samples")
    counterpart = distance(real=real, fake=train).with_protocol(fake=f"{subject.train.spec.split} split")
    return result.with_real(counterpart).with_protocol(**subject.protocol())


def _moments(name: str, features) -> Moments:
    if not isinstance(features, Moments):
        try:
            features = Moments(features)
        except UsageError as error:
            raise UsageError(str(error).replace("batch", name, 1)) from error
    if features.count < 2:
        raise UsageError(f"{name} has {features.count} example(s); a covariance needs at least 2")
    _warn_where_singular(name, features.count, features.dimensions)
    return features


def _warn_where_singular(name: str, count: int, dimensions: int) -> None:
    if count <= dimensions:
        warnings.warn(
            f"{name} has {count} examples of {dimensions} features, so its covariance is singular "
            "and the distance strongly biased; use more examples than features",
            stacklevel=4,
        )


def _check_dimensions(real: Moments, dimensions: int) -> None:
    if real.dimensions != dimensions:
        raise UsageError(f"fake has {dimensions} features and real has {real.dimensions}; use one extractor for both")


def _origin(moments: Moments) -> dict:
    """The part of the protocol that must agree on both sides: how the features were computed."""
    return {key: moments.protocol[key] for key in sorted(moments.protocol) if key.startswith(("extractor", "resize"))}


def _protocol(real: Moments, num_fake: int) -> dict:
    return {
        **_origin(real),
        "num_real": real.count,
        "num_fake": num_fake,
        "dimensions": real.dimensions,
        "dtype": "float64",
        "ddof": 1,
    }


def _distance_from(real: Moments) -> Callable[[Moments], float]:
    """d² to `real`, whose covariance is factorised once."""
    spread, root = np.trace(real.covariance), _root(real.covariance)

    def distance(fake: Moments) -> float:
        offset = real.mean - fake.mean
        trace = _sum_of_singular_values(root.T @ _root(fake.covariance))  # tr (S₁S₂)^½ with S = RRᵀ
        # The exact value is never negative; for nearly equal sets rounding leaves about -1e-13 of the spread.
        return max(float(offset @ offset + spread + np.trace(fake.covariance) - 2 * trace), 0.0)

    return distance


def _root(covariance: np.ndarray) -> np.ndarray:
    """R with RRᵀ = S: by Cholesky, or for a nearly singular S by its eigenvalues above rounding."""
    try:
        root = np.linalg.cholesky(covariance)
        pivots = np.square(np.diag(root))
        if pivots.min() > SMALLEST * pivots.max():
            return root
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    counted = values > len(values) * np.finfo(np.float64).eps * max(values.max(), 0.0)
    return vectors[:, counted] * np.sqrt(values[counted])


def _sum_of_singular_values(product: np.ndarray) -> float:
    """The sum for R₁ᵀR₂; the eigenvalues of its square take a quarter of the time, where none is lost in rounding.

    `scipy.linalg.sqrtm` of S₁S₂, which is not symmetric, is slow and was wrong in several of its releases.
    """
    if product.shape[0] < product.shape[1]:
        product = product.T
    if not product.size:
        return 0.0
    squares = np.linalg.eigvalsh(product.T @ product)
    if squares[0] > SMALLEST * squares[-1]:
        return np.sqrt(squares).sum()
    return svdvals(product, overwrite_a=True, check_finite=False).sum()


def _intercept(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """a of the least-squares line y = a + b·x, and its standard error."""
    centred = x - x.mean()
    slope = centred @ (y - y.mean()) / (centred @ centred)
    residual = y - y.mean() - slope * centred
    variance = residual @ residual / (len(x) - 2)
    return float(y.mean() - slope * x.mean()), float(
        np.sqrt(variance * (1 / len(x) + x.mean() ** 2 / (centred @ centred)))
    )
