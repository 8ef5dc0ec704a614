"""Toy densities against quadrature, closed forms and their own samplers."""

import numpy as np
import pytest
from scipy import integrate, stats

from tfade.data import SPLITS, load
from tfade.data.toy import Checkerboard, Gaussian, Mixture, Moons, Pinwheel, grid, ring
from tfade.errors import UsageError

PLANE = {
    "ring": ring,
    "grid": grid,
    "moons": Moons,
    "pinwheel": Pinwheel,
    "checkerboard": Checkerboard,
    "gaussian": lambda: Gaussian(2),
    "overlapping": lambda: ring(8, 1.0, 0.5),
}
EVERY = {**PLANE, "gaussian8": Gaussian, "gaussian1": lambda: Gaussian(1)}


@pytest.mark.every(3, 2)
@pytest.mark.parametrize("name", PLANE)
def test_density_integrates_to_one(name):
    density = PLANE[name]()
    low, high = density.box
    step = density.scale / 4
    axes = [np.arange(a + step / 2, b, step) for a, b in zip(low, high)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    mass = np.exp(density.log_density(points)).sum() * step**2
    assert mass == pytest.approx(1, abs=1e-6)


@pytest.mark.every(3)
@pytest.mark.parametrize("name", EVERY)
def test_sampler_agrees_with_density(name):
    """The mean of -log p over samples estimates the entropy, which was found without the sampler."""
    density = EVERY[name]()
    surprise = -density.log_density(density.sample(40_000, seed=3))
    error = surprise.std() / np.sqrt(len(surprise))
    assert np.isfinite(surprise).all()
    assert abs(surprise.mean() - density.entropy) < 4 * error + 1e-9


@pytest.mark.every(2)
@pytest.mark.parametrize("name", PLANE)
def test_sampler_fills_space_as_the_density_says(name):
    """Shares of samples in the cells of a coarse grid against the density's mass there: a chi-squared test."""
    density = PLANE[name]()
    low, high = density.box
    cells, fine, count = 12, (12 if name == "moons" else 40), 40_000
    edges = [np.linspace(a, b, cells + 1) for a, b in zip(low, high)]
    found = np.histogram2d(*density.sample(count, seed=5).T, bins=edges)[0].reshape(-1)
    centres = [a + (np.arange(cells * fine) + 0.5) * (b - a) / (cells * fine) for a, b in zip(low, high)]
    points = np.stack(np.meshgrid(*centres, indexing="ij"), -1).reshape(-1, 2)
    mass = np.exp(density.log_density(points)).reshape(cells, fine, cells, fine).sum((1, 3)).reshape(-1)
    expected = count * mass / mass.sum()
    kept = expected > 5
    chi = ((found[kept] - expected[kept]) ** 2 / expected[kept]).sum()
    assert stats.chi2.sf(chi, kept.sum() - 1) > 1e-5


@pytest.mark.parametrize("name", EVERY)
def test_sampling_is_a_function_of_the_seed(name):
    density = EVERY[name]()
    np.testing.assert_array_equal(density.sample(10, 1), density.sample(10, 1))
    assert (density.sample(10, 1) != density.sample(10, 2)).any()


@pytest.mark.every(2)
@pytest.mark.parametrize("density", [ring(), grid(), Mixture([[0.5, -1]], 0.3)])
def test_mixture_entropy_in_closed_form(density):
    closed = np.log(len(density.centres)) + 1 + np.log(2 * np.pi * density.sigma**2)
    assert density.entropy == pytest.approx(closed, abs=1e-9)


def test_ring_has_eight_distinct_modes():
    """linspace with its endpoint would make seven."""
    gaps = np.linalg.norm(ring().centres[:, None] - ring().centres, axis=-1)[~np.eye(8, dtype=bool)]
    assert gaps.min() == pytest.approx(2 * 2 * np.sin(np.pi / 8))
    assert len(grid().centres) == len(np.unique(grid().centres, axis=0)) == 25


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.4])
def test_moons_against_adaptive_quadrature(sigma):
    points = np.array([[0.0, 1.0], [0.5, 0.25], [1.0, -0.5], [-1.2, -0.1], [0.3, 0.4], [2.5, 2.0], [1.0, 0.01]])

    def log_moon(x):
        def exponent(t):
            return -((x[0] - np.cos(t)) ** 2 + (x[1] - np.sin(t)) ** 2) / (2 * sigma**2)

        angle = np.arctan2(x[1], x[0])
        peak = min((0, angle, np.pi), key=lambda t: -exponent(t) if 0 <= t <= np.pi else np.inf)
        breaks = [t for width in (-8, -2, 2, 8) if 0 < (t := peak + width * sigma) < np.pi]
        mass = integrate.quad(lambda t: np.exp(exponent(t) - exponent(peak)), 0, np.pi, points=breaks, epsrel=1e-12)[0]
        return exponent(peak) + np.log(mass / np.pi / (2 * np.pi * sigma**2))

    expected = [np.logaddexp(log_moon(x), log_moon(Moons.SHIFT - x)) - np.log(2) for x in points]
    np.testing.assert_allclose(Moons(sigma).log_density(points), expected, rtol=0, atol=1e-8)


def test_the_twist_of_the_pinwheel_keeps_areas():
    assert Pinwheel(rate=0.25).entropy == pytest.approx(Pinwheel(rate=0.0).entropy, abs=1e-7)
    alone = Pinwheel(arms=1, rate=0.25).entropy
    assert alone == pytest.approx(1 + np.log(2 * np.pi * 0.3 * 0.1), abs=1e-7)


def test_gaussian_against_scipy():
    density = Gaussian(5, 0.6)
    reference = stats.multivariate_normal(np.zeros(5), density.covariance)
    x = np.random.default_rng(0).normal(size=(20, 5))
    np.testing.assert_allclose(density.log_density(x), reference.logpdf(x), atol=1e-10)
    assert density.entropy == pytest.approx(reference.entropy(), abs=1e-10)
    covariance = np.cov(density.sample(50_000, 0).T)
    np.testing.assert_allclose(covariance, density.covariance, atol=0.03)


def test_source():
    source = load("toy:gaussian", "test", toy_dimensions=3, toy_examples=(5, 6, 7))
    assert (source.spec.shape, source.spec.dtype, source.spec.num_examples) == ((3,), "float32", 7)
    assert source.spec.value_range is None
    assert not source.spec.is_image
    assert isinstance(source.density, Gaussian)


@pytest.mark.parametrize("name", ["ring", "checkerboard", "gaussian"])
def test_splits_are_other_draws(name):
    draws = [load(f"toy:{name}", split, toy_examples=(100,) * 3).fetch(np.arange(100)) for split in SPLITS]
    assert (draws[0] != draws[1]).all()
    assert (draws[0] != draws[2]).all()
    assert (draws[1] != draws[2]).all()


def test_float32_draws_stay_on_the_dark_squares():
    source = load("toy:checkerboard")
    assert np.isfinite(source.density.log_density(source.fetch(np.arange(60_000)))).all()


def test_pixel_options_and_wrong_dimensions_are_refused():
    with pytest.raises(UsageError, match="holds vectors, not images"):
        load("toy:ring", image_size=8)
    with pytest.raises(UsageError, match="dimensions=0"):
        load("toy:gaussian", toy_dimensions=0)
