"""The aggregate posterior's KL and the bound's terms, against closed forms and numerical integrals."""

import numpy as np
import pytest
import tensorflow_probability as tfp
from scipy.integrate import quad
from scipy.stats import norm

from tfade.errors import UsageError
from tfade.evaluation import DiagonalPosteriors, PointPosteriors, active_units, elbo_surgery, marginal_kl
from tfade.evaluation.latents.aggregate_posterior import log_prior, mixture_draws
from tfade.evaluation.latents.marginal_kl import density_model_kl

tfd = tfp.distributions
ONE = 0.5 * (0.25 + 1 - 1 - np.log(0.25))  # KL(N(1, ¼) ‖ N(0, 1))


def within(result, truth, errors=4):
    assert abs(result.value - truth) < errors * result.std, (result, truth)


def values(**arguments):
    return {result.name: result for result in elbo_surgery(**arguments)}


def test_one_gaussian():
    result = marginal_kl(posteriors=DiagonalPosteriors(means=[[1.0]], scales=[[0.5]]), num_samples=200_000)
    within(result, ONE)
    assert result.std < 0.003


def test_a_mixture_of_two_against_the_integral():
    """E KL = I + KL(q(z) ‖ p(z)), and each term is what numerical integration gives."""
    means, scales = np.array([[-1.0], [1.5]]), np.array([[0.6], [0.8]])
    posteriors = DiagonalPosteriors(means=means, scales=scales)
    found = values(posteriors=posteriors, num_samples=100_000)

    def mixture(z):
        return norm.pdf(z, means[:, 0], scales[:, 0]).mean()

    marginal = quad(lambda z: mixture(z) * (np.log(mixture(z)) - norm.logpdf(z)), -8, 8)[0]
    average = np.mean(0.5 * (scales**2 + means**2 - 1) - np.log(scales))
    within(found["elbo_marginal_kl"], marginal)
    within(found["average_kl"], average)
    within(found["mutual_information"], average - marginal)
    total = found["mutual_information"].value + found["elbo_marginal_kl"].value
    assert found["average_kl"].value == pytest.approx(total, abs=1e-12)


def test_equal_posteriors_tell_nothing_of_the_example():
    found = values(posteriors=DiagonalPosteriors(means=np.ones((20, 2)), scales=np.full((20, 2), 0.5)))
    assert found["mutual_information"].value == pytest.approx(0, abs=1e-12)
    within(found["elbo_marginal_kl"], 2 * ONE)


def test_distant_posteriors_tell_the_example():
    means = 100.0 * np.arange(20)[:, None] * np.ones((1, 2))
    found = values(posteriors=DiagonalPosteriors(means=means, scales=np.ones((20, 2))))
    assert found["mutual_information"].value == pytest.approx(np.log(20), abs=1e-9)


def test_a_model_that_matches_its_prior_has_none():
    """q(z | x) = N(√(1 - s²) u, s² I) with u ~ N(0, I) has the aggregate N(0, I), in the limit of many examples."""
    codes = np.random.default_rng(0).normal(size=(20_000, 1))
    posteriors = DiagonalPosteriors(means=np.sqrt(0.75) * codes, scales=np.full_like(codes, 0.5))
    result = marginal_kl(posteriors=posteriors, num_samples=2000)
    assert abs(result.value) < 0.01


def test_the_bound_and_its_reconstruction():
    posteriors = DiagonalPosteriors(means=np.zeros((3, 2)), scales=np.full((3, 2), 0.5))
    draws = mixture_draws(posteriors=posteriors, num_samples=300)
    found = values(draws=draws, bound=-5.0 * np.ones(300))
    assert found["elbo"].value == -5
    assert found["elbo_reconstruction"].value - found["average_kl"].value == pytest.approx(-5, abs=1e-12)
    with pytest.raises(UsageError, match=r"bound has shape \[3\]"):
        elbo_surgery(draws=draws, bound=np.ones(3))
    with pytest.raises(UsageError, match="bound has shape"):
        elbo_surgery(draws=draws, bound=np.full(300, np.nan))


def test_the_prior_may_be_a_distribution():
    codes = np.random.default_rng(0).normal(size=(12_000, 2))
    plain = log_prior(None, codes)
    np.testing.assert_allclose(plain, norm.logpdf(codes).sum(1), atol=1e-12)
    given = log_prior(tfd.MultivariateNormalDiag(np.zeros(2), np.ones(2)), codes)
    np.testing.assert_allclose(given, plain, atol=1e-12)
    with pytest.raises(UsageError, match="prior gave 24000"):
        log_prior(tfd.Normal(np.float64(0), 1.0), codes)


def test_a_fitted_density_is_a_lower_bound():
    codes = 1 + 0.5 * np.random.default_rng(0).normal(size=(50_000, 1))
    exact = density_model_kl(codes=codes, density=tfd.MultivariateNormalDiag([1.0], [0.5]))
    within(exact, ONE)
    worse = density_model_kl(codes=codes, density=tfd.MultivariateNormalDiag([0.8], [0.7]))
    gap = 0.5 * (0.25 / 0.49 + 0.04 / 0.49 - 1 - np.log(0.25 / 0.49))
    within(worse, ONE - gap)
    with pytest.raises(UsageError, match="codes has 1 code"):
        density_model_kl(codes=[[0.0]], density=tfd.MultivariateNormalDiag([1.0], [0.5]))


def test_protocol_and_refusals():
    posteriors = DiagonalPosteriors(means=np.zeros((3, 2)), scales=np.ones((3, 2)))
    result = marginal_kl(posteriors=posteriors, num_samples=50, seed=7)
    assert result.diagnostics == {"latent_size": 2, "posterior": "diagonal normal"}
    protocol, wanted = result.protocol, {"num_posteriors": 3, "num_samples": 50, "seed": 7}
    assert wanted.items() <= protocol.items()
    assert marginal_kl(posteriors=posteriors, seed=1) == marginal_kl(posteriors=posteriors, seed=1)
    with pytest.raises(UsageError, match="posteriors are deterministic and have no density"):
        marginal_kl(posteriors=PointPosteriors(codes=np.zeros((3, 2))))
    with pytest.raises(UsageError, match="either posteriors= or draws="):
        marginal_kl()


def test_active_units_by_hand():
    """Variances 1, 0.0101, 0.0099 and 0, with ddof = 1."""
    means = np.sqrt([1.0, 0.0101, 0.0099, 0.0]) * np.array([[1.0], [-1.0]]) / np.sqrt(2) + 5
    result = active_units(means=means)
    assert result.value == 2
    assert result.protocol == {"num_means": 2, "threshold": 0.01, "ddof": 1}
    assert active_units(means=means, threshold=1e-9).value == 3
    assert active_units(means=means[::-1]).value == 2
    for arguments, message in (
        ({"means": means[:1]}, "means has 1 example"),
        ({"means": means, "threshold": 0.0}, "threshold=0.0"),
        ({"means": means * np.nan}, "means holds"),
    ):
        with pytest.raises(UsageError, match=message):
            active_units(**arguments)
