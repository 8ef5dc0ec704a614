"""Nats and bits against hand cases."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError
from tfade.evaluation.likelihood.nll import bits_per_dim, negative_log_likelihood


def test_the_uniform_density_takes_eight_bits():
    result = bits_per_dim(log_prob=np.zeros(5, np.float32), dimensions=784)
    assert (result.value, result.std) == (pytest.approx(8.0, abs=1e-12), 0.0)
    assert result.protocol["value_range"] == [0.0, 1.0]


def test_the_uniform_density_takes_eight_bits_in_any_range():
    """On [-1, 1]^D it is 2^-D; the levels' own pmf, 256^-D, needs no range."""
    wide = bits_per_dim(log_prob=np.full(5, -784 * np.log(2)), dimensions=784, value_range=(-1.0, 1.0))
    assert (wide.value, wide.protocol["value_range"]) == (pytest.approx(8.0, abs=1e-12), [-1.0, 1.0])
    pmf = bits_per_dim(log_prob=np.full(5, -784 * np.log(256)), dimensions=784, continuous=False)
    assert pmf.value == pytest.approx(8.0, abs=1e-12)
    assert "value_range" not in pmf.protocol


def test_a_mixture_of_normals_takes_the_bits_of_its_entropy():
    """Three components that do not overlap: log 3 + D/2 log 2πe σ² nats."""
    generator, scale, dimensions = np.random.default_rng(0), 0.01, 4
    means = np.array([[0.2] * 4, [0.5] * 4, [0.8] * 4])
    x = means[generator.integers(3, size=2000)] + scale * generator.normal(size=(2000, dimensions))
    layer = GaussianMixture(3)
    layer.build((dimensions,))
    layer.load(np.ones(3), means, np.stack(3 * [scale**2 * np.eye(dimensions)]))
    log_prob = layer.distribution().log_prob(x.astype(np.float32)).numpy()
    np.testing.assert_allclose(
        log_prob,
        np.logaddexp.reduce([multivariate_normal(mean, scale**2).logpdf(x) for mean in means]) - np.log(3),
        rtol=1e-4,
        atol=1e-3,
    )
    entropy = np.log(3) + dimensions / 2 * np.log(2 * np.pi * np.e * scale**2)
    result = bits_per_dim(log_prob=log_prob, dimensions=dimensions)
    assert abs(result.value - (entropy / (dimensions * np.log(2)) + 8)) < 4 * result.std < 0.1


def test_published_nats_are_published_bits():
    """papers.md §0: Flow-GAN's -3334.56 nats on [0, 1]^784 are 1.86 bits per dimension, -1604.09 are 5.05."""
    for nats, bits in ((3334.56, 1.86), (1604.09, 5.05), (-26350.30, 56.5)):
        assert bits_per_dim(log_prob=np.array([nats]), dimensions=784).value == pytest.approx(bits, abs=0.02)


def test_a_mean_has_its_standard_error():
    values = np.random.default_rng(0).normal(size=1000)
    result = negative_log_likelihood(log_prob=values)
    assert result.value == pytest.approx(-values.mean())
    assert result.std == pytest.approx(values.std(ddof=1) / np.sqrt(1000))
    assert bits_per_dim(log_prob=values, dimensions=10).std == pytest.approx(result.std / (10 * np.log(2)))
    assert negative_log_likelihood(log_prob=values[:1]).std is None


@pytest.mark.parametrize(
    "values", [np.array([1.0, np.nan]), np.array([-np.inf]), np.array([]), np.zeros((2, 2)), [1, 2]]
)
def test_no_mean_of_what_is_not_finite(values):
    with pytest.raises(UsageError, match="log_prob"):
        negative_log_likelihood(log_prob=values)


def test_dimensions_are_counted():
    with pytest.raises(UsageError, match="dimensions=0"):
        bits_per_dim(log_prob=np.zeros(3), dimensions=0)


@pytest.mark.parametrize("value_range", [(1.0, 1.0), (1.0, 0.0), (0.0, np.inf), (np.nan, 1.0)])
def test_a_range_has_a_width(value_range):
    with pytest.raises(UsageError, match="value_range="):
        bits_per_dim(log_prob=np.zeros(3), dimensions=1, value_range=value_range)
