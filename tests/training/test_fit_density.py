"""A density of some vectors in one call."""

import functools

import numpy as np
import pytest

from tfade.data.toy import Gaussian
from tfade.distributions.autoregressive_networks import AutoregressiveMADE
from tfade.distributions.gaussian import DiagonalNormal, FullNormal
from tfade.distributions.mixture import GaussianMixture
from tfade.errors import NonFiniteError, UsageError
from tfade.training.fit_density import fit_density

TOY = Gaussian(3)
VECTORS = TOY.sample(2000, 0)
QUICK = {"batch_size": 64, "steps": 20, "jit_compile": False, "progress": lambda line: None}


def test_the_fit_and_what_it_says():
    lines = []
    model = fit_density(VECTORS, FullNormal, **{**QUICK, "progress": lines.append})
    assert model.image_shape == (3,)
    assert abs(-np.mean(model.log_prob(VECTORS)) - TOY.entropy) < 0.1
    assert len(lines) == 10
    assert lines[-1].startswith("  density: step 20 of 20, ")
    assert "density/nll" in lines[-1]


@pytest.mark.full("vectors of any scale are fitted in test_mixture.py")
def test_nothing_is_standardised():
    """The likelihood of a thousandth of the vectors is greater by the logarithm of the Jacobian."""
    nats = [np.mean(fit_density(x, FullNormal, **QUICK).log_prob(x)) for x in (VECTORS, VECTORS / 1000)]
    np.testing.assert_allclose(nats[1] - nats[0], 3 * np.log(1000), atol=0.05)


@pytest.mark.every(2)
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "make", [FullNormal, functools.partial(AutoregressiveMADE, components=2)], ids=["full", "made"]
)
def test_one_seed_gives_one_fit(make):
    """Of a full Gaussian, which has no random weights, the seed gives the order of the vectors."""
    one, same, other = (fit_density(VECTORS, make, seed=seed, **{**QUICK, "steps": 3}) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.log_prob(VECTORS), same.log_prob(VECTORS))
    assert np.any(one.log_prob(VECTORS) != other.log_prob(VECTORS))


def test_expectation_maximisation():
    model = fit_density(VECTORS, functools.partial(GaussianMixture, 1), method="em")
    best = fit_density(VECTORS, FullNormal, **QUICK)
    np.testing.assert_allclose(np.mean(model.log_prob(VECTORS)), np.mean(best.log_prob(VECTORS)), atol=2e-3)
    assert model.sample(5, seed=1).shape == (5, 3)
    with pytest.raises(UsageError, match="method='em' fits a GaussianMixture, not a DiagonalNormal"):
        fit_density(VECTORS, DiagonalNormal, method="em")


@pytest.mark.parametrize(
    ("vectors", "complaint"),
    [
        (np.zeros((3, 4, 4, 1)), r"shape \(3, 4, 4, 1\); give numbers \[N, D\]"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        (np.array([["a"]]), "give numbers"),
        (np.where(np.arange(6).reshape(3, 2) == 3, np.nan, 0), r"vectors\[1, 1\] is nan.*1 in all"),
        (np.where(np.arange(6).reshape(3, 2) > 3, 1e300, 0), r"vectors\[2, 0\] is 1e\+300.*2 in all"),
    ],
)
def test_vectors_that_are_none_are_refused(vectors, complaint):
    with pytest.raises(UsageError, match=complaint):
        fit_density(vectors)


def test_wrong_arguments_are_refused():
    for arguments, complaint in (
        ({"method": "mcmc"}, "method='mcmc' is unknown; use one of gradient, em"),
        ({"steps": 0}, "steps=0"),
        ({"batch_size": 5000}, "batch_size=5000"),
        ({"clip_norm": 0.0}, "clip_norm=0.0"),
    ):
        with pytest.raises(UsageError, match=complaint):
            fit_density(VECTORS, FullNormal, **{**QUICK, **arguments})


def test_a_fit_that_diverges_is_stopped():
    with pytest.raises(NonFiniteError, match="between steps 0 and .*lower learning_rate"):
        fit_density(VECTORS, AutoregressiveMADE, **{**QUICK, "learning_rate": 1e30, "clip_norm": None})
