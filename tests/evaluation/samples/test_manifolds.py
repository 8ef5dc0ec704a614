"""Precision, recall, density and coverage: hand cases, SciPy's distances, ties, blocks, and expectations."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tfade.errors import UsageError
from tfade.evaluation import density_coverage, precision_recall
from tfade.evaluation.samples import distances

REAL, FAKE = np.array([[0.0], [1], [2], [10]]), np.array([[2.5], [3], [20]])  # radii at k = 1: 1 1 1 8 and ½ ½ 17


def both(measure, real, fake, **settings):
    return tuple(result.value for result in measure(real=np.asarray(real), fake=np.asarray(fake), **settings))


@pytest.mark.parametrize(
    ("measure", "strict", "expected"),
    [
        (precision_recall, False, (2 / 3, 2 / 4)),  # 2.5 and 3 are realistic; 2 (on a surface) and 10 are recalled
        (precision_recall, True, (2 / 3, 1 / 4)),
        (density_coverage, True, (3 / 3, 2 / 4)),  # 2.5 is in the balls of 2 and 10, 3 in that of 10
        (density_coverage, False, (4 / 3, 2 / 4)),  # and 3 on the surface of that of 2
    ],
)
def test_hand_case(measure, strict, expected):
    np.testing.assert_allclose(both(measure, REAL, FAKE, k=1, strict=strict), expected, rtol=1e-12)


def test_hand_case_of_two_neighbours():
    """Radii at k = 2: 2 1 2 9; sums of the balls that hold a sample: 2.5 in those of 2, 10; 3 in those of 2, 10."""
    assert both(density_coverage, REAL, FAKE, k=2) == (4 / 6, 2 / 4)


def test_identical_disjoint_and_half():
    points = np.random.default_rng(0).normal(size=(50, 3))
    assert both(precision_recall, points, points) == (1, 1)
    assert both(precision_recall, points, points + 100) == (0, 0)
    assert both(density_coverage, points, points + 100) == (0, 0)
    mixed = np.concatenate([points, points + 100])
    assert both(precision_recall, points, mixed)[0] == 0.5
    assert both(precision_recall, mixed, points) == (1, 0.5)
    assert both(density_coverage, mixed, points)[1] <= 0.5


@pytest.mark.parametrize(
    ("measure", "strict", "expected"),
    [
        (precision_recall, False, (1, 1)),
        (precision_recall, True, (0, 0)),
        (density_coverage, False, (40 / 5, 1)),
        (density_coverage, True, (0, 0)),
    ],
)
def test_duplicates_flip_the_answer(measure, strict, expected):
    """All points equal: every distance and every radius is 0, whatever the rounding of products."""
    points = np.tile(np.random.default_rng(1).normal(1000, 300, size=(1, 70)), (40, 1))
    assert both(measure, points, points, strict=strict, k=5) == expected


def test_a_collapsed_model():
    """Samples that all equal one real point: precise, and only that point is recalled."""
    real = np.random.default_rng(2).normal(size=(300, 40))
    fake = np.tile(real[:1], (200, 1))
    assert both(precision_recall, real, fake) == (1, 1 / 300)
    assert both(precision_recall, real, fake, strict=True)[1] == 0


@pytest.fixture(scope="module")
def sets():
    generator = np.random.default_rng(3)
    return generator.normal(size=(220, 6)), generator.normal(0.2, 0.8, size=(180, 6))


def reference(real, fake, k, below):
    inner = [np.partition(cdist(points, points), k, axis=1)[:, k] for points in (real, fake)]
    between = cdist(real, fake)
    in_real, in_fake = below(between, inner[0][:, None]), below(between, inner[1])
    precision_and_recall = in_real.any(0).mean(), in_fake.any(1).mean()
    return precision_and_recall, (in_real.sum() / (k * len(fake)), in_real.any(1).mean())


@pytest.mark.parametrize("k", [1, 3, 5, 17])
def test_against_scipy(sets, k):
    at_most, below = reference(*sets, k, np.less_equal), reference(*sets, k, np.less)
    for strict, expected in ((False, at_most), (True, below)):
        np.testing.assert_allclose(both(precision_recall, *sets, k=k, strict=strict), expected[0], rtol=1e-12)
        np.testing.assert_allclose(both(density_coverage, *sets, k=k, strict=strict), expected[1], rtol=1e-12)


def test_ties_on_a_grid_far_from_the_origin():
    """Whole numbers have exact distances in SciPy too, and many are equal; products of them around 1e6 are rounded."""
    generator = np.random.default_rng(4)
    real, fake = (generator.integers(-2, 3, size=(n, 3)) / 4 + 1e6 for n in (150, 120))
    for strict, below in ((False, np.less_equal), (True, np.less)):
        expected = reference(real, fake, 3, below)
        np.testing.assert_allclose(both(precision_recall, real, fake, strict=strict), expected[0], rtol=1e-12)
        np.testing.assert_allclose(both(density_coverage, real, fake, strict=strict, k=3), expected[1], rtol=1e-12)


@pytest.mark.parametrize("measure", [precision_recall, density_coverage])
def test_invariances(sets, measure, monkeypatch):
    real, fake = sets
    expected = both(measure, real, fake)
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(6, 6)))[0]
    assert both(measure, 3 * real @ rotation + 5, 3 * fake @ rotation + 5) == expected
    generator = np.random.default_rng(6)
    assert both(measure, generator.permutation(real), generator.permutation(fake)) == expected
    blocks = distances.distance_blocks
    for module in ("distances", "manifolds"):
        monkeypatch.setattr(f"tfade.evaluation.samples.{module}.distance_blocks", lambda x, y, *_: blocks(x, y, 32, 19))
    assert both(measure, real, fake) == expected


def test_precision_and_recall_swap_with_the_sets(sets):
    real, fake = sets
    assert both(precision_recall, fake, real) == both(precision_recall, real, fake)[::-1]


def test_expectations_under_equal_distributions():
    """E density = 1, E coverage = 1 − Π (N − 1 − l)/(N + M − 1 − l)."""
    draws = np.random.default_rng(7).normal(size=(40, 2, 60, 2))
    found = np.array([both(density_coverage, real, fake) for real, fake in draws])
    error = found.std(axis=0) / np.sqrt(len(found))
    steps = np.arange(5)
    coverage = 1 - np.prod((59 - steps) / (119 - steps))
    assert (np.abs(found.mean(axis=0) - [1, coverage]) < 4 * error).all()
    assert (error < 0.02).all()


def test_protocol(sets):
    precision, recall = precision_recall(real=sets[0], fake=sets[1])
    assert (precision.name, recall.name, precision.std) == ("precision", "recall", None)
    expected = {"num_real": 220, "num_fake": 180, "dimensions": 6, "k": 3, "inside": "<=", "dtype": "float64"}
    assert precision.protocol == recall.protocol == expected
    density, coverage = density_coverage(real=sets[0], fake=sets[1])
    assert (density.name, coverage.name) == ("density", "coverage")
    assert density.protocol == {**expected, "k": 5, "inside": "<"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 180}, "fake has 180 examples and k=180"),
        ({"k": 0}, "k=0 must be an integer ≥ 1"),
        ({"k": 1.0}, "k=1.0"),
        ({"real": np.zeros((3, 6))}, "real has 3 examples and k=3"),
        ({"real": np.zeros((1, 6))}, r"real has 1 example\(s\)"),
        ({"fake": np.zeros((9, 5))}, "fake has 5 features and real has 6"),
        ({"fake": np.zeros(9)}, r"fake has shape \[9\]"),
        ({"fake": np.full((9, 6), np.nan)}, "fake holds 54 NaN"),
        ({"real": np.full((9, 6), -np.inf)}, "real holds 54 NaN or infinite"),
    ],
)
def test_refusals(sets, changes, message):
    with pytest.raises(UsageError, match=message):
        precision_recall(**{"real": sets[0], "fake": sets[1], **changes})
    if changes != {"k": 180}:  # density has no balls around samples
        with pytest.raises(UsageError, match=message):
            density_coverage(**{"real": sets[0], "fake": sets[1], "k": 3, **changes})


@pytest.mark.parametrize("measure", [precision_recall, density_coverage])
def test_sets_are_named(sets, measure):
    with pytest.raises(TypeError):
        measure(*sets)
