"""Densities fitted to draws from densities whose entropy is known."""

import functools
import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp

from tfade.data.toy import Gaussian, Moons, Pinwheel, grid, ring
from tfade.distributions.autoregressive_networks import AutoregressiveLSTM, AutoregressiveMADE
from tfade.distributions.flow_densities import IAFDensity, MAFDensity, RealNVPDensity, SplineDensity
from tfade.distributions.gaussian import FullNormal
from tfade.distributions.mixture import GaussianMixture
from tfade.networks.conditioner import MLPConditioner
from tfade.networks.made import MADE
from tfade.training.fit_density import fit_density

MLP = functools.partial(MLPConditioner, width=64)
MASKED = functools.partial(MADE, width=64)
MADE_MIXTURE = functools.partial(AutoregressiveMADE, 10, conditioner=MASKED)
LSTM_MIXTURE = functools.partial(AutoregressiveLSTM, 64, 10, head=MLP)
GAUSSIAN = {  # every density that can represent a Gaussian with a full covariance
    "full": FullNormal,
    "mixture": functools.partial(GaussianMixture, 3),
    "made": functools.partial(AutoregressiveMADE, conditioner=MASKED),
    "made_mixture": functools.partial(AutoregressiveMADE, 3, conditioner=MASKED),
    "lstm": functools.partial(AutoregressiveLSTM, 64, head=MLP),
    "real_nvp": functools.partial(RealNVPDensity, 4, conditioner=MLP),
    "spline": functools.partial(SplineDensity, 2, bins=8, conditioner=MLP),
    "maf": functools.partial(MAFDensity, 2, conditioner=MASKED),
    "iaf": functools.partial(IAFDensity, 1, conditioner=MASKED),
}
OVER_MIXTURE = functools.partial(MAFDensity, 3, conditioner=MASKED, base=functools.partial(GaussianMixture, 10))
PLANE = [  # toy, density, steps, learning rate, limit in nats: short fits, without XLA; one Gaussian ends 0.9 above the moons
    ("moons", "real_nvp", functools.partial(RealNVPDensity, 4, conditioner=MLP), 250, 1e-2, 0.6),
    ("moons", "maf_over_mixture", OVER_MIXTURE, 250, 5e-3, 0.1),
    ("moons", "spline", functools.partial(SplineDensity, 2, conditioner=MLP), 250, 1e-2, 0.1),
    ("moons", "made_mixture", MADE_MIXTURE, 300, 1e-2, 0.1),
    ("pinwheel", "made_mixture", MADE_MIXTURE, 700, 1e-2, 0.1),
    ("ring", "made_mixture", MADE_MIXTURE, 500, 1e-2, 0.1),
    ("ring", "lstm_mixture", LSTM_MIXTURE, 400, 1e-2, 0.1),
    ("grid", "made_mixture", MADE_MIXTURE, 700, 1e-2, 0.1),
]
TOYS = {"moons": Moons, "pinwheel": Pinwheel, "ring": ring, "grid": grid}


def above_entropy(toy, distribution, steps: int, learning_rate: float = 1e-2) -> float:
    """Held-out nats above those of the truth on the same 10,000 draws, whose mean differs from the entropy by chance."""
    model = fit_density(
        toy.sample(20_000, 0), distribution, steps=steps, learning_rate=learning_rate, progress=lambda line: None
    )
    held_out = toy.sample(10_000, 1)
    return float(np.mean(toy.log_density(held_out)) - np.mean(model.log_prob(held_out)))


@pytest.mark.full("a curved one is fitted by default")
@pytest.mark.parametrize("name", GAUSSIAN)
def test_a_correlated_gaussian_in_eight_dimensions(name):
    assert -0.01 < above_entropy(Gaussian(8), GAUSSIAN[name], 300) < 0.1


@pytest.mark.every(8, 3)
@pytest.mark.parametrize("fit", PLANE, ids=lambda fit: f"{fit[1]} on {fit[0]}")
def test_curved_and_many_modes(fit):
    toy, _, distribution, steps, learning_rate, limit = fit
    assert -0.01 < above_entropy(TOYS[toy](), distribution, steps, learning_rate) < limit


@pytest.mark.parametrize("method", [pytest.param("gradient", marks=pytest.mark.full("seconds of steps")), "em"])
def test_a_mixture_of_ten_is_recovered(method):
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(10, 5.0))
    corners = [*itertools.product((-10.0, 10.0), repeat=3), (0.0, 0.0, 20.0), (0.0, 0.0, -20.0)]
    means = np.array(corners) + generator.normal(0, 1, (10, 3))  # apart, so that k-means tells them apart
    factors = np.eye(3) + np.tril(generator.normal(0, 0.4, (10, 3, 3)))

    def draws(count):
        chosen = generator.choice(10, count, p=weights)
        return means[chosen] + np.einsum("nij,nj->ni", factors[chosen], generator.normal(size=(count, 3)))

    def log_density(x):
        white = np.stack([np.linalg.solve(factor, (x - mean).T) for factor, mean in zip(factors, means)])
        logs = -0.5 * np.sum(white**2, 1) - 1.5 * np.log(2 * np.pi) - np.log(np.abs(np.linalg.det(factors)))[:, None]
        return logsumexp(logs, axis=0, b=weights[:, None])

    model = fit_density(
        draws(10_000), GaussianMixture, method=method, steps=500, learning_rate=1e-2, progress=lambda line: None
    )
    held_out = draws(10_000)
    assert abs(np.mean(log_density(held_out)) - np.mean(model.log_prob(held_out))) < 0.08
    fitted = model.distribution()
    found = fitted.components_distribution.mean().numpy()
    mine, theirs = linear_sum_assignment(np.linalg.norm(found[:, None] - means, axis=-1))
    np.testing.assert_allclose(found[mine], means[theirs], atol=0.4)
    shares = fitted.mixture_distribution.probs_parameter().numpy()
    np.testing.assert_allclose(shares[mine], weights[theirs], atol=0.03)
