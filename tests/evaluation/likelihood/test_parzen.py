"""Kernel densities against closed forms, scipy and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import gaussian_kde, multivariate_normal
from sklearn.neighbors import KernelDensity

from tfade.errors import UsageError
from tfade.evaluation import parzen_log_likelihood
from tfade.evaluation.likelihood.parzen import log_densities


def draws(rows, columns=3, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns))


def exact_kernels(bandwidth, samples) -> KernelDensity:
    """scikit-learn's, in one leaf: with its default trees it is off by 9 nats in the tails."""
    return KernelDensity(bandwidth=bandwidth, leaf_size=len(samples)).fit(samples)


def test_one_sample_is_a_gaussian():
    real = draws(20, 5)
    result = parzen_log_likelihood(real=real, fake=np.ones((1, 5)), bandwidths=[0.7])
    expected = multivariate_normal(np.ones(5), 0.49 * np.eye(5)).logpdf(real)
    assert result.value == pytest.approx(expected.mean(), rel=1e-12)
    assert result.std == pytest.approx(expected.std(ddof=1) / np.sqrt(20))
    assert {"num_real": 20, "num_fake": 1, "dtype": "float64"}.items() <= result.protocol.items()
    assert result.diagnostics == {"bandwidth": 0.7}


def test_densities_are_those_of_scipy_and_scikit_learn():
    real, fake = draws(30), draws(200, seed=1)
    ours = log_densities(real, fake, np.array([0.1, 0.5]))
    for values, bandwidth in zip(ours, (0.1, 0.5)):
        theirs = exact_kernels(bandwidth, fake).score_samples(real)
        np.testing.assert_allclose(values, theirs, rtol=1e-9)
    white = fake @ np.linalg.inv(np.linalg.cholesky(np.cov(fake.T))).T  # unit covariance: scipy scales by it
    np.testing.assert_allclose(
        log_densities(real, white, np.array([0.3]))[0], gaussian_kde(white.T, 0.3).logpdf(real.T), rtol=1e-9
    )


def test_the_bandwidth_is_the_best_on_validation_data():
    """Test data that would choose otherwise have no say."""
    fake, validation = draws(100), draws(80, seed=1)
    real = fake + 1e-3  # so near the samples that the smallest bandwidth would be the best
    grid = [0.05, 0.2, 0.4, 0.8, 1.6]
    means = [exact_kernels(h, fake).score_samples(validation).mean() for h in grid]
    result = parzen_log_likelihood(real=real, fake=fake, validation=validation, bandwidths=grid)
    assert result.diagnostics["bandwidth"] == grid[int(np.argmax(means))] != 0.05
    assert result.diagnostics["validation_log_likelihood"] == pytest.approx(max(means))
    assert result.diagnostics["bandwidth_at_an_end"] is False
    assert result.value == pytest.approx(
        exact_kernels(result.diagnostics["bandwidth"], fake).score_samples(real).mean()
    )
    end = parzen_log_likelihood(real=real, fake=fake, validation=validation, bandwidths=grid[:2])
    assert end.diagnostics["bandwidth_at_an_end"] is True


def test_blocks_order_and_origin_do_not_matter():
    real, fake, validation = draws(50), draws(70, seed=1), draws(40, seed=2)
    value = parzen_log_likelihood(real=real, fake=fake, validation=validation).value
    for block in (1, 200, 71):
        other = parzen_log_likelihood(real=real[::-1], fake=fake[::-1], validation=validation, distances=block)
        assert other.value == pytest.approx(value, rel=1e-12)
    far = parzen_log_likelihood(real=real + 1e6, fake=fake + 1e6, validation=validation + 1e6)
    assert far.value == pytest.approx(value, rel=1e-6)


def test_far_data_have_a_finite_density():
    result = parzen_log_likelihood(real=np.full((2, 3), 1e3), fake=draws(5), bandwidths=[0.01])
    assert -2e10 < result.value < -1e10


@pytest.mark.parametrize("bandwidths", [[0.0], [-1.0], [0.1, 0.0], [np.nan], [np.inf], []])
def test_refuses_bandwidths_that_are_none(bandwidths):
    with pytest.raises(UsageError, match="bandwidths="):
        parzen_log_likelihood(real=draws(5), fake=draws(5), validation=draws(5, seed=1), bandwidths=bandwidths)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation": None}, "validation=None"),
        ({"validation": draws(5)}, "validation holds the test data"),
        ({"validation": draws(5, 2)}, "validation has 2 dimensions and real has 3"),
        ({"fake": draws(5, 2)}, "fake has 2 dimensions and real has 3"),
        ({"real": draws(5) * np.nan}, "real holds 15 NaN"),
        ({"fake": draws(5) * np.inf}, "fake holds 15 NaN or infinite"),
        ({"validation": draws(5) * np.nan}, "validation holds 15 NaN"),
        ({"real": np.zeros((5, 2, 3))}, r"real has shape \[5, 2, 3\]"),
    ],
)
def test_refuses(arguments, message):
    arguments = {"real": draws(5), "fake": draws(6, seed=1), "validation": draws(7, seed=2), **arguments}
    with pytest.raises(UsageError, match=message):
        parzen_log_likelihood(**arguments)
