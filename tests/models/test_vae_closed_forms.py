"""The bounds of a VAE against the likelihood in closed form: probabilistic PCA."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from tests.models.vaes import probabilistic_pca
from tfade.distributions.gaussian import full_normal_parameters
from tfade.objectives.bounds import importance_weighted_bound


def bound_terms(model, y, noise):
    return model.elbo.terms(tf.constant(y, tf.float32), tf.constant(noise, tf.float32), model.network)


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_the_bound_of_an_exact_posterior_is_the_likelihood(spread):
    """Probabilistic PCA (Tipping and Bishop 1999) of features f(y) = a ⊙ y, with log |det ∂f/∂y| = Σ log a.

    The posterior is a normal with a full covariance.
    """
    model, weights, bias, covariance, scale = probabilistic_pca()
    log_factor = spread * np.random.default_rng(4).normal(size=9)
    model.networks["flow"].trainable_variables[0].assign(log_factor.reshape(3, 3, 1))
    y, factor = np.random.default_rng(2).uniform(size=(7, 3, 3, 1)), np.exp(log_factor)
    # mean = covariance Wᵀ (a y - b) / σ², as a linear function of the encoder's 2y - 1, a diagonal
    to_mean = covariance @ weights.T / scale**2
    parameters = full_normal_parameters(np.zeros(2), covariance)
    kernel = np.zeros((9, 5))
    kernel[:, :2] = factor[:, None] * to_mean.T / 2
    offset = np.concatenate(parameters)
    offset[:2] = to_mean @ (0.5 * factor - bias)
    model.networks["posterior"].offset.assign(offset)
    model.networks["posterior"].conditioner.layers[0].set_weights([kernel, np.zeros(5)])
    result = bound_terms(model, y, np.random.default_rng(3).normal(size=(7, 20, 2)))
    marginal = multivariate_normal(bias, weights @ weights.T + scale**2 * np.eye(9))
    exact = marginal.logpdf(factor * y.reshape(7, 9)) + np.sum(log_factor)
    np.testing.assert_allclose(result.log_weight, np.repeat(exact[:, None], 20, 1), rtol=1e-5)


def test_the_importance_weighted_bound_rises_to_the_likelihood():
    model, weights, bias, covariance, scale = probabilistic_pca(1.0)
    y = np.random.default_rng(2).uniform(size=(4, 3, 3, 1))
    exact = multivariate_normal(bias, weights @ weights.T + scale**2 * np.eye(9)).logpdf(y.reshape(4, 9))
    gaps, errors = [], []
    for k in (1, 5, 50, 1000):  # of draws of their own: nested ones would rise whatever the weights are
        noise = np.random.default_rng(k).normal(size=(4, 40_000, 2))
        draws = importance_weighted_bound(tf.reshape(bound_terms(model, y, noise).log_weight, (4, -1, k)))
        gap = np.mean(exact[:, None] - draws.numpy(), 0)
        gaps.append(gap.mean())
        errors.append(gap.std() / np.sqrt(len(gap)))
    for place in range(2):
        assert gaps[place] - gaps[place + 1] > 3 * np.hypot(errors[place], errors[place + 1])
    assert abs(gaps[3]) < 0.02
