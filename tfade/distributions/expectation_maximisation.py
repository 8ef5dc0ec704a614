"""Expectation-maximisation for mixtures of Gaussians: scikit-learn's, with restarts on a part of many vectors."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfade.distributions.gaussian import REGULARISATION
from tfade.errors import check_seed, check_whole

PART = 10_000  # vectors at most that a restart is tried on
REPORT = 10  # iterations between two lines of progress


class Mixture(NamedTuple):
    """Weights [K], means [K, D], and covariances [K, D, D], or variances [K, D]; nats of a vector, on average."""

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    nats: float


def fitted_mixture(
    vectors: np.ndarray,
    components: int,
    covariance: str,
    *,
    seed: int = 0,
    restarts: int = 5,
    iterations: int = 200,
    progress: Callable[[str], None] = lambda line: None,
) -> Mixture:
    """Maximum likelihood of a mixture, by EM from several starts.

    Every restart begins with k-means on the same part of at most 10,000 vectors and is fitted to that part; the most
    likely of them is fitted to all vectors. Beyond the part, restarts therefore cost the same for any number of
    vectors.

    Args:
        vectors: [N, D] in units of their deviation, N ≥ K; to every variance a millionth is added.
        components: K.
        covariance: "full" or "diagonal".
        seed: of the part and of the initial means.
        restarts: 1 or more.
        iterations: at most, of every fit; EM stops where a vector gains less than 1e-3 nats.
        progress: receives lines of text.

    Raises:
        UsageError: restarts, iterations or a seed that are not whole numbers in range.
    """
    check_whole("restarts", restarts)
    check_whole("iterations", iterations)
    check_seed("seed", seed)
    generator = np.random.Generator(np.random.Philox(key=seed))
    part = vectors if len(vectors) <= PART else vectors[generator.choice(len(vectors), PART, replace=False)]
    best = None
    for number in range(restarts):
        found = _fit(part, components, covariance, iterations, seed=(seed + number) % 2**32)
        if best is None or found.nats > best.nats:
            best = found
        progress(f"  EM: restart {number + 1} of {restarts} on {len(part):,} vectors, {found.nats:.4f} nats")
    if part is vectors:
        return best
    return _fit(vectors, components, covariance, iterations, start=best, progress=progress)


def _fit(vectors, components, covariance, iterations, seed=0, start=None, progress=lambda line: None) -> Mixture:
    """One run of EM, from k-means, or from a mixture."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture as Estimator  # scikit-learn takes a second to import

    given = {} if start is None else _start(start)
    estimator = Estimator(
        components,
        covariance_type={"diagonal": "diag", "full": "full"}[covariance],
        reg_covar=REGULARISATION,
        random_state=seed,
        init_params="kmeans" if start is None else "random_from_data",  # whose result the given start replaces
        warm_start=True,
        **given,
    )
    done = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of a stretch; the number of iterations is the user's
        while done < iterations:
            estimator.max_iter = min(REPORT, iterations - done)
            estimator.fit(vectors)
            done += estimator.n_iter_
            progress(f"  EM: iteration {done} on {len(vectors):,} vectors, {estimator.lower_bound_:.4f} nats")
            if estimator.converged_:
                break
    return Mixture(estimator.weights_, estimator.means_, estimator.covariances_, float(estimator.lower_bound_))


def _start(mixture: Mixture) -> dict:
    full = mixture.covariances.ndim == 3
    precisions = np.linalg.inv(mixture.covariances) if full else 1 / mixture.covariances
    return {"weights_init": mixture.weights, "means_init": mixture.means, "precisions_init": precisions}
