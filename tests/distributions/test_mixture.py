"""Mixtures of Gaussians: against an independent implementation, loaded, fitted by EM, and wrong input."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import linear_sum_assignment

from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError

WEIGHTS = np.array([0.5, 0.3, 0.2])
MEANS = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 4.0]])
COVARIANCES = np.array([[[1.0, 0.5], [0.5, 0.4]], [[0.3, 0.0], [0.0, 2.0]], [[0.05, -0.02], [-0.02, 0.05]]])


def built(*arguments, size=2, context_size=0, **keywords) -> GaussianMixture:
    layer = GaussianMixture(*arguments, **keywords)
    layer.build((size,), context_size)
    return layer


def draws(count: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    chosen = generator.choice(3, count, p=WEIGHTS)
    noise = generator.normal(size=(count, 2))
    return MEANS[chosen] + np.einsum("nij,nj->ni", np.linalg.cholesky(COVARIANCES)[chosen], noise)


def log_density(x: np.ndarray) -> np.ndarray:
    """By SciPy."""
    return np.log(sum(w * stats.multivariate_normal(m, c).pdf(x) for w, m, c in zip(WEIGHTS, MEANS, COVARIANCES)))


def test_a_loaded_mixture_is_that_mixture():
    layer = built(3)
    layer.initialise(5 * draws(100) + [1.0, 30.0])  # its units are those of the data it has seen
    layer.load(2 * WEIGHTS, MEANS, COVARIANCES)  # weights are normalised
    points = draws(200)
    np.testing.assert_allclose(layer.distribution().log_prob(points.astype("float32")), log_density(points), atol=2e-4)
    mean, covariance = WEIGHTS @ MEANS, np.einsum("k,kij->ij", WEIGHTS, COVARIANCES)
    centred = MEANS - mean
    np.testing.assert_allclose(layer.distribution().mean(), mean, atol=1e-4)
    np.testing.assert_allclose(
        layer.distribution().covariance(), covariance + (WEIGHTS[:, None] * centred).T @ centred, rtol=1e-3
    )
    diagonal = built(3, "diagonal")
    diagonal.initialise(5 * draws(100) + [1.0, 30.0])
    diagonal.load(WEIGHTS, MEANS, np.diagonal(COVARIANCES, axis1=1, axis2=2))
    full = built(3)
    full.load(WEIGHTS, MEANS, np.diagonal(COVARIANCES, axis1=1, axis2=2))
    np.testing.assert_allclose(*(one.distribution().log_prob(MEANS.astype("f")) for one in (diagonal, full)), rtol=1e-5)


def test_temperature_scales_the_components_and_leaves_the_weights():
    layer = built(3)
    layer.load(WEIGHTS, MEANS, COVARIANCES)
    cold = built(3)
    cold.load(WEIGHTS, MEANS, 0.49 * COVARIANCES)
    points = draws(50).astype("float32")
    np.testing.assert_allclose(
        layer.distribution(temperature=0.7).log_prob(points), cold.distribution().log_prob(points), atol=1e-4
    )


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_em_is_that_of_scikit_learn(covariance):
    from sklearn.mixture import GaussianMixture as Estimator

    vectors = draws(1000)
    layer = built(3, covariance)
    layer.fit_em(vectors, seed=1, restarts=2)
    other = Estimator(3, covariance_type="diag" if covariance == "diagonal" else "full", n_init=2, random_state=1)
    expected = other.fit(vectors).score(vectors)
    np.testing.assert_allclose(np.mean(layer.distribution().log_prob(vectors.astype("float32"))), expected, atol=2e-3)
    if covariance == "full":
        gap = np.mean(log_density(vectors)) - np.mean(layer.distribution().log_prob(vectors.astype("float32")))
        assert -0.03 < gap < 0.005  # of its own data, the fit is the more likely
        means = layer.distribution().components_distribution.mean().numpy()
        distances = np.linalg.norm(means[:, None] - MEANS, axis=-1)
        assert distances[linear_sum_assignment(distances)].max() < 0.4


def test_em_of_large_and_of_small_vectors():
    """Regularisation goes by the data's variance."""
    for scale in (1e-3, 1e3):
        vectors = scale * draws(500)
        layer = built(3)
        layer.fit_em(vectors, restarts=2)
        gap = np.mean(log_density(vectors / scale)) - 2 * np.log(scale)
        assert abs(gap - np.mean(layer.distribution().log_prob(vectors.astype("float32")))) < 0.1


def test_one_seed_gives_one_fit():
    fits = []
    for seed in (4, 4, 5):
        layer = built(7)
        layer.fit_em(draws(300), seed, restarts=1)
        fits.append(layer.offset.numpy())
    np.testing.assert_array_equal(fits[0], fits[1])
    assert np.any(fits[0] != fits[2])


@pytest.mark.full("fits are compared with scikit-learn")
def test_more_restarts_find_more_likely_fits():
    """The first of them is the only one; some other of three is better."""
    vectors, gains = draws(300).astype("float32"), []
    for seed in range(3):
        nats = []
        for restarts in (1, 3):
            layer = built(12)
            layer.fit_em(vectors, seed, restarts)
            nats.append(np.mean(layer.distribution().log_prob(vectors)))
        gains.append(nats[1] - nats[0])
    assert min(gains) > -1e-4
    assert max(gains) > 1e-3


def test_wrong_input_is_rejected():
    with pytest.raises(UsageError, match="without context"):
        built(3, context_size=2).fit_em(draws(50))
    for vectors, complaint in (
        (draws(2), "N ≥ 3"),
        (draws(50)[:, :1], r"shape \(50, 1\)"),
        (np.where(np.arange(50)[:, None] == 3, np.nan, draws(50)), "not finite"),
    ):
        for fit in (built(3).fit_em, built(3).initialise):
            with pytest.raises(UsageError, match=complaint):
                fit(vectors)
    with pytest.raises(UsageError, match=r"covariances \(2, 2, 2\)"):
        built(3).load(WEIGHTS, MEANS, COVARIANCES[:2])
    with pytest.raises(UsageError, match="diagonal mixture"):
        built(3, "diagonal").load(WEIGHTS, MEANS, COVARIANCES)
    with pytest.raises(UsageError, match=r"does not hold a standard deviation of 2e\+05"):
        built(3).load(WEIGHTS, MEANS, 4e10 * np.stack([np.eye(2)] * 3))
