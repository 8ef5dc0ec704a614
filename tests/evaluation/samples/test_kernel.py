"""The kernel distance against hand cases, loops over scikit-learn's kernel, and its symmetries."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from tfade.errors import UsageError
from tfade.evaluation import kernel_distance
from tfade.evaluation.samples import kernel

ONES = np.ones((2, 1))


def value(real, fake, **settings):
    return kernel_distance(real=real, fake=fake, **{"subset_size": len(real), "subsets": 2, **settings}).value


@pytest.mark.parametrize(
    ("real", "fake", "unbiased", "biased"),
    [
        ([[1, 0], [0, 1]], [[1, 1], [0, 0]], -19 / 8, 0.5625),
        (ONES, -ONES, 16, 16),  # k(1, 1) = k(-1, -1) = 8, k(1, -1) = 0
        (0 * ONES, ONES, 7, 7),  # 1 + 8 − 2
        ([[1, 1], [1, 1]], [[-1, -1], [-1, -1]], 16, 16),  # the same as in one dimension: products are divided by D
        ([[1], [-1]], [[1], [-1]], -8, 0),  # k(1, -1) = 0 off the diagonal, and a mean of 4 between the sets
    ],
)
def test_hand_cases(real, fake, unbiased, biased):
    np.testing.assert_allclose(value(real, fake), unbiased, rtol=1e-12)
    np.testing.assert_allclose(value(real, fake, biased=True), biased, atol=1e-12)


@pytest.fixture(scope="module")
def sets():
    generator = np.random.default_rng(0)
    return generator.normal(size=(60, 5)), generator.normal(0.3, 1.2, size=(80, 5))


def test_against_an_independent_kernel(sets):
    real, fake = sets[0], sets[1][:60]
    x, y, between = (polynomial_kernel(*pair, degree=3) for pair in ((real, real), (fake, fake), (real, fake)))
    off = ~np.eye(60, dtype=bool)
    np.testing.assert_allclose(value(real, fake), x[off].mean() + y[off].mean() - 2 * between.mean(), rtol=1e-10)
    expected = x.mean() + y.mean() - 2 * between.mean()
    np.testing.assert_allclose(value(real, fake, biased=True), expected, rtol=1e-10)


def test_symmetry_rotation_repetition_of_features_and_order(sets):
    real, fake = sets[0], sets[1][:60]
    found = value(real, fake)
    np.testing.assert_allclose(value(fake, real), found, rtol=1e-10)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    np.testing.assert_allclose(value(real @ rotation, fake @ rotation), found, rtol=1e-10)
    np.testing.assert_allclose(value(np.tile(real, 3), np.tile(fake, 3)), found, rtol=1e-10)
    np.testing.assert_allclose(value(real[::-1], fake[::-1]), found, rtol=1e-10)


def test_block_size_does_not_matter(sets, monkeypatch):
    whole = value(*sets, subset_size=50)
    monkeypatch.setattr(kernel, "ROWS", 7)
    np.testing.assert_allclose(value(*sets, subset_size=50), whole, rtol=1e-10)


def test_unbiased_over_draws_where_the_biased_one_is_not():
    draws = np.random.default_rng(2).normal(size=(2, 200, 20, 4))
    found = [[value(x, y, subsets=1, biased=biased) for x, y in zip(*draws)] for biased in (False, True)]
    unbiased = np.array(found[0])
    assert abs(unbiased.mean()) < 4 * unbiased.std() / np.sqrt(len(unbiased))
    assert (unbiased < 0).any()  # negative values are valid
    assert np.mean(found[1]) > 10 * unbiased.std() / np.sqrt(len(unbiased))
    assert min(found[1]) > 0


def test_seed_and_protocol(sets):
    settings = {"real": sets[0], "fake": sets[1], "subset_size": 30, "subsets": 8}
    first = kernel_distance(**settings, seed=3)
    assert first == kernel_distance(**settings, seed=3)
    assert first.value != kernel_distance(**settings, seed=4).value
    assert first.std > 0
    assert kernel_distance(**{**settings, "subsets": 1}).std is None
    wanted = {
        "num_real": 60,
        "num_fake": 80,
        "dimensions": 5,
        "estimator": "unbiased",
        "subsets": 8,
        "subset_size": 30,
        "subset_seed": 3,
        "std": "over subsets",
        "dtype": "float64",
    }
    assert wanted.items() <= first.protocol.items()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subset_size": 61}, "real has 60 examples, fewer than subset_size=61"),
        ({}, "real has 60 examples, fewer than subset_size=1000"),
        ({"subset_size": 1}, "subset_size=1 must be an integer ≥ 2"),
        ({"subset_size": 2.5}, "subset_size=2.5"),
        ({"subsets": 0}, "subsets=0"),
        ({"subset_size": 30, "seed": -1}, "seed=-1"),
        ({"fake": np.zeros((60, 4))}, "fake has 4 features and real has 5"),
        ({"fake": np.zeros(60)}, r"fake has shape \[60\]"),
        ({"real": np.full((60, 5), np.inf)}, "real holds 300 NaN or infinite"),
        ({"fake": np.full((60, 5), np.nan)}, "fake holds 300 NaN or infinite"),
        ({"fake": np.zeros((1, 5))}, r"fake has 1 example\(s\); give at least 2"),
    ],
)
def test_refusals(sets, changes, message):
    with pytest.raises(UsageError, match=message):
        kernel_distance(**{"real": sets[0], "fake": sets[1], **changes})


def test_sets_are_named(sets):
    with pytest.raises(TypeError):
        kernel_distance(*sets)
