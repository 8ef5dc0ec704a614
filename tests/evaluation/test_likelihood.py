"""Nats and bits against hand cases."""

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation.likelihood import bits_per_dim, negative_log_likelihood


def test_the_uniform_density_takes_eight_bits():
    result = bits_per_dim(log_prob=np.zeros(5, np.float32), dimensions=784)
    assert (result.value, result.std) == (pytest.approx(8.0), 0.0)


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
