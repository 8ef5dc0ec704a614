"""The importance-weighted bound of probabilistic PCA, from its exact posterior and from its prior."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.evaluation.likelihood.test_annealing import PCA
from tfade.errors import UsageError
from tfade.evaluation import importance_weighted_bound
from tfade.evaluation.likelihood import importance_weighted as module

tfd = tfp.distributions


@pytest.fixture(scope="module")
def pca():
    return PCA(scale=1.0, examples=3)


def bound(pca, posterior=None, **arguments):
    posterior = posterior or (lambda x: tfd.BatchBroadcast(pca.prior, x.shape[:1]))
    arguments = {"x": pca.x, "k": 1, "log_likelihood": pca.log_likelihood, "prior": pca.prior, **arguments}
    return importance_weighted_bound(posterior=posterior, **arguments)


@pytest.mark.parametrize("k", [1, 7])
def test_the_exact_posterior_gives_the_likelihood_without_variance(pca, k):
    exact = pca.exact(pca.x)
    result = bound(pca, pca.posterior, k=k, seed=3)
    assert result.value == pytest.approx(exact.mean(), abs=1e-9)
    assert result.std == pytest.approx(exact.std(ddof=1) / np.sqrt(3))
    assert result.diagnostics["effective_sample_size_min"] == pytest.approx(k)
    assert {"k": k, "seed": 3, "num_real": 3, "dtype": "float64"}.items() <= result.protocol.items()


def test_the_bound_from_the_prior_rises_to_the_likelihood(pca):
    wide = {"x": np.repeat(pca.x[:1], 50, 0)}  # fifty draws of codes for one example
    exact = pca.exact(pca.x)[0]
    gaps = [exact - bound(pca, k=k, **wide).value for k in (1, 10, 900)]
    assert gaps[0] > gaps[1] > gaps[2] > -0.05
    assert gaps[2] < 0.05


def test_codes_belong_to_the_seed_and_the_example(pca):
    """An example has its value whatever stands beside it, and another place or seed has other codes."""
    first, second = (bound(pca, k=5, x=pca.x[:1], log_det=np.array([shift])).value for shift in (0.0, 2.0))
    assert second == pytest.approx(first + 2)
    pair = bound(pca, k=5, x=pca.x[[0, 0]])
    assert pair.std > 1e-3
    assert first in (pytest.approx(pair.value - pair.std), pytest.approx(pair.value + pair.std))
    assert bound(pca, k=5, x=pca.x[:1], seed=1).value != pytest.approx(first, abs=1e-3)


def test_many_codes_are_decoded_in_parts(pca, monkeypatch):
    monkeypatch.setattr(module, "SAMPLES", 4)
    result = bound(pca, pca.posterior, k=10)
    assert result.value == pytest.approx(pca.exact(pca.x).mean(), abs=1e-9)
    assert result.diagnostics["effective_sample_size_mean"] == pytest.approx(10)


@pytest.mark.parametrize("k", [0, -1, 1.5])
def test_refuses_less_than_one_code(pca, k):
    with pytest.raises(UsageError, match=f"k={k}"):
        bound(pca, k=k)


def test_refuses_what_has_no_bound(pca):
    with pytest.raises(UsageError, match="x holds 12 NaN"):
        bound(pca, x=np.full((3, 4), np.nan))
    with pytest.raises(UsageError, match="log_likelihood"):
        bound(pca, log_likelihood=lambda z, x: tf.fill(tf.shape(z)[:1], tf.constant(np.nan, tf.float64)))
    with pytest.raises(UsageError, match="posterior gives .* no density"):
        bound(pca, lambda x: tfd.Independent(tfd.Deterministic(tf.zeros((len(x), 2), tf.float64)), 1))
    with pytest.raises(UsageError, match="log_det has 2 values for 3"):
        bound(pca, log_det=np.zeros(2))
