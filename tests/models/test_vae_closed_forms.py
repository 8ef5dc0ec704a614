"""The terms of a VAE's bound in closed form, and the bound against the likelihood: probabilistic PCA."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.stats import multivariate_normal

from tests.models.vaes import model_of, probabilistic_pca
from tfade.data.loading import load
from tfade.distributions.gaussian import DiagonalNormal, full_normal_parameters
from tfade.distributions.layer import DistributionLayer
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


class OwnNormal(DistributionLayer):
    """A posterior of a user's own: means from the context, and one scale."""

    is_diagonal_normal = True

    def _distribution(self, context, temperature):
        return tfp.distributions.Independent(tfp.distributions.Normal(context[..., :5], 0.3 * temperature), 1)

    def _from_noise(self, noise, context):
        z = context[..., :5] + 0.3 * noise
        return z, self.distribution(context).log_prob(z)


@pytest.mark.parametrize("posterior", [DiagonalNormal, OwnNormal])
def test_the_divergence_of_two_normals_is_in_closed_form(posterior):
    """From a learned diagonal normal, too: by its formula, and a group for every latent."""
    model = model_of(prior=DiagonalNormal, posterior=posterior, spread=0.2)
    y = tf.constant(load("digits", "train").fetch(np.arange(6)), tf.float32) / 256
    kl = model.elbo.terms(y, tf.zeros((6, 1, 5)), model.network).kl
    q, p = model.networks["posterior"].distribution(model.elbo.context(y, model.network)), model.prior()
    ratio = q.variance() / p.variance()
    expected = 0.5 * (ratio + (q.mean() - p.mean()) ** 2 / p.variance() - 1 - np.log(ratio))
    np.testing.assert_allclose(kl, np.broadcast_to(expected, (6, 5)), rtol=1e-4, atol=1e-5)
