"""The Fréchet distance of Gaussians that are fitted to features. It is an FID only when Inception made the features."""

import warnings

import numpy as np

from tfade.errors import UsageError
from tfade.evaluation.moments import Moments, check_same_protocol
from tfade.evaluation.result import Result


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
        UsageError: not [N, D], NaN or infinite, fewer than 2 examples, unlike D, or Moments of unlike protocols.

    Reference: Dowson and Landau 1982, eq. 4; Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", eq. 6.
    """
    real, fake = _moments("real", real), _moments("fake", fake)
    if real.dimensions != fake.dimensions:
        raise UsageError(
            f"fake has {fake.dimensions} features and real has {real.dimensions}; use one extractor for both"
        )
    check_same_protocol("fake", _origin(real), _origin(fake))
    offset = real.mean - fake.mean
    spread = np.trace(real.covariance) + np.trace(fake.covariance)
    trace = _trace_of_root(real.covariance, fake.covariance)
    # The exact value is never negative; for nearly equal sets rounding leaves about -1e-13 of the spread.
    value = max(float(offset @ offset + spread - 2 * trace), 0.0)
    return Result(
        "frechet_distance",
        value,
        None,
        {
            **_origin(real),
            "num_real": real.count,
            "num_fake": fake.count,
            "dimensions": real.dimensions,
            "dtype": "float64",
            "ddof": 1,
        },
    )


def _moments(name: str, features) -> Moments:
    if not isinstance(features, Moments):
        try:
            features = Moments(features)
        except UsageError as error:
            raise UsageError(str(error).replace("batch", name, 1)) from error
    if features.count < 2:
        raise UsageError(f"{name} has {features.count} example(s); a covariance needs at least 2")
    if features.count <= features.dimensions:
        warnings.warn(
            f"{name} has {features.count} examples of {features.dimensions} features, so its covariance is singular "
            "and the distance strongly biased; use more examples than features",
            stacklevel=3,
        )
    return features


def _origin(moments: Moments) -> dict:
    """What must agree on both sides: how the features were made, not of what."""
    return {key: moments.protocol[key] for key in sorted(moments.protocol) if key.startswith(("extractor", "resize"))}


def _trace_of_root(first: np.ndarray, second: np.ndarray) -> float:
    """tr (S₁S₂)^½ = Σ √λ(S₁^½ S₂ S₁^½) for positive semi-definite S₁ and S₂.

    S₁S₂ itself is not symmetric, so symmetric solvers do not apply to it, and `scipy.linalg.sqrtm` is slow and was
    wrong in several of its releases. Singular covariances are exact here: eigenvalues that are rounding are zeroed.
    """
    values, vectors = np.linalg.eigh(_symmetric(first))
    scaled = vectors * np.sqrt(_without_rounding(values))  # S₁ = scaled·scaledᵀ, and λ(scaledᵀ S₂ scaled) are the same
    return float(np.sqrt(_without_rounding(np.linalg.eigvalsh(_symmetric(scaled.T @ second @ scaled)))).sum())


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2


def _without_rounding(values: np.ndarray) -> np.ndarray:
    floor = len(values) * np.finfo(np.float64).eps * max(values.max(), 0.0)
    return np.where(values < floor, 0.0, values)
