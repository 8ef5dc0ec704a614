"""Mode coverage and divergence: hand cases, and the modes of stacked data."""

import numpy as np
import pytest

from tfade.contract import Contract
from tfade.data.digits import digits
from tfade.data.loading import load
from tfade.data.source import ArraySource
from tfade.data.stacked import StackedSource
from tfade.errors import UsageError
from tfade.evaluation import (
    ModeCoverage,
    NotApplicable,
    Subject,
    evaluate,
    high_quality_share,
    mode_coverage,
    mode_divergence,
    stacked_mode_distribution,
)
from tfade.evaluation.features.probabilities import modes_of

UNIFORM = np.full(10, 0.1)


def test_all_in_one_mode():
    modes = np.full(50, 3)
    assert mode_coverage(modes=modes, num_modes=10).value == 1
    np.testing.assert_allclose(mode_divergence(modes=modes, reference=UNIFORM).value, np.log(10), rtol=1e-12)


def test_perfectly_uniform():
    modes = np.tile(np.arange(10), 7)
    assert mode_coverage(modes=modes, num_modes=10).value == 10
    assert mode_divergence(modes=modes, reference=UNIFORM).value < 1e-15


def test_half_the_modes():
    """Modes without a sample contribute 0, not NaN."""
    modes = np.tile(np.arange(5), 4)
    assert mode_coverage(modes=modes, num_modes=10).value == 5
    np.testing.assert_allclose(mode_divergence(modes=modes, reference=UNIFORM).value, np.log(2), rtol=1e-12)


def test_uneven_case_tells_the_direction_of_the_divergence():
    """KL(p̂‖q) of p̂ = (¾, ¼), q = (¼, ¾) is ½ log 3; of q = (½, ½) the two directions differ."""
    modes = [0, 0, 0, 1]
    np.testing.assert_allclose(mode_divergence(modes=modes, reference=[0.25, 0.75]).value, 0.5 * np.log(3))
    forward = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    np.testing.assert_allclose(mode_divergence(modes=modes, reference=[0.5, 0.5]).value, forward)


def test_a_perfect_sampler_is_about_half_the_modes_over_n_away():
    modes = np.random.default_rng(0).integers(1000, size=10_000)
    found = mode_divergence(modes=modes, reference=np.full(1000, 1e-3)).value
    np.testing.assert_allclose(found, 999 / 20_000, rtol=0.2)


def test_order_does_not_matter():
    modes = np.random.default_rng(1).integers(10, size=200)
    shuffled = np.random.default_rng(2).permutation(modes)
    reference = np.arange(1, 11) / 55
    assert mode_coverage(modes=modes, num_modes=10) == mode_coverage(modes=shuffled, num_modes=10)
    assert mode_divergence(modes=modes, reference=reference) == mode_divergence(modes=shuffled, reference=reference)


def test_probabilities_of_classes_and_of_channels():
    flat = np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])
    assert modes_of(flat).tolist() == [1, 0, 1]
    channels = np.eye(10)[[[1, 2, 3], [0, 0, 9]]]
    assert modes_of(channels).tolist() == [123, 9]
    assert mode_coverage(probabilities=channels).protocol == {"num_fake": 2, "num_modes": 1000}
    np.testing.assert_allclose(mode_divergence(probabilities=flat, reference=[1 / 3, 2 / 3]).value, 0, atol=1e-15)


def test_distribution_of_stacked_modes_is_exact():
    """Counted over all triples of a tiny grey set, in the numbering of the source's own labels."""
    labels = np.array([0, 0, 1, 2])
    grey = ArraySource("grey", "train", np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), labels, 3)
    expected = np.zeros(27)
    for r in labels:
        for g in labels:
            for b in labels:
                expected[9 * r + 3 * g + b] += 1 / 64
    source = StackedSource("stacked", grey, 20_000)
    np.testing.assert_allclose(stacked_mode_distribution(source), expected, rtol=1e-12)
    shares = np.bincount(source.labels(np.arange(20_000)), minlength=27) / 20_000
    np.testing.assert_allclose(shares, expected, atol=0.01)
    np.testing.assert_allclose(stacked_mode_distribution(StackedSource("s", digits("test"), 5)).sum(), 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modes": [0, 10]}, "from 0 to 9"),
        ({"modes": [-1]}, "from 0 to 9"),
        ({"modes": [0.0, 1.0]}, "integers"),
        ({"modes": [[1]]}, "shape"),
        ({"modes": np.zeros(0, int)}, "empty"),
        ({}, "either"),
        ({"modes": [1], "probabilities": [UNIFORM]}, "not both"),
        ({"probabilities": [np.arange(10.0)]}, "softmax"),
        ({"probabilities": [np.full(10, 0.05)]}, "sums to 0.5"),
        ({"probabilities": [np.full(10, np.nan)]}, "NaN"),
        ({"probabilities": UNIFORM}, "rank"),
        ({"probabilities": [[0.5, 0.5]]}, "reference has 10 modes and probabilities have 2"),
    ],
)
def test_refuses_modes(arguments, message):
    with pytest.raises(UsageError, match=message):
        mode_divergence(**arguments, reference=UNIFORM)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ([0.5, 0.5, 0.0], "probability of 0"),
        ([1.5, -0.5], "probability of 0"),
        ([0.5, 0.4], "sums to 0.9"),
        ([0.5, np.nan], "finite"),
        ([[0.5, 0.5]], "shape"),
    ],
)
def test_refuses_references(reference, message):
    with pytest.raises(UsageError, match=message):
        mode_divergence(modes=[0, 1], reference=reference)


def test_refuses_a_missing_number_of_modes_and_data_without_modes():
    with pytest.raises(UsageError, match="num_modes=None"):
        mode_coverage(modes=[1])
    with pytest.raises(UsageError, match="not stacked"):
        stacked_mode_distribution(digits("test"))
    with pytest.raises(UsageError, match="no labels"):
        stacked_mode_distribution(StackedSource("s", ArraySource("g", "train", np.zeros((2, 1, 1, 1), np.uint8)), 5))


def test_points_of_a_mixture():
    """Of four centres at the corners of a square of side 2, two are reached; a point on the radius belongs to one."""
    given = {"centres": [[1, 1], [1, -1], [-1, 1], [-1, -1]], "radius": 0.5}
    points = [[1.0, 1.5], [1.0, 1.0], [-1.1, 1.0], [0.0, 0.0], [1.0, -1.6]]
    assert mode_coverage(points=points, **given).value == 2
    share = high_quality_share(points=points, **given)
    assert share.value == 0.6
    np.testing.assert_allclose(share.std, np.sqrt(0.6 * 0.4 / 5))
    assert mode_coverage(points=[[9.0, 9.0]], **given).value == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"radius": 0.0}, "radius=0.0"),
        ({"radius": None}, "radius=None"),
        ({"centres": None}, "centres"),
        ({"centres": [[1.0]]}, "centres has 1 features and points has 2"),
        ({"points": [[np.nan, 0.0]]}, "points holds 1 NaN"),
        ({"modes": [0]}, "one of modes"),
    ],
)
def test_wrong_points_are_refused(changed, message):
    with pytest.raises(UsageError, match=message):
        mode_coverage(**{"points": [[0.0, 0.0]], "centres": [[0.0, 0.0]], "radius": 1.0, **changed})


class Corners(Contract):
    """Draws from some of a mixture's components, and a tenth of its samples far from all of them."""

    def __init__(self, density, components: int):
        self.density, self.components = density, components

    def sample(self, n, temperature=1.0, seed=None):
        chosen = np.arange(n) % self.components
        points = self.density.centres[chosen] + self.density.sigma * np.random.default_rng(seed).normal(size=(n, 2))
        points[::10] += 100.0
        return points.astype(np.float32)


def test_modes_of_a_mixture():
    train, test = load("toy:ring", "train"), load("toy:ring", "test")
    subject = Subject(Corners(test.density, 5), real=test, train=train, num_samples=1000, batch_size=300)
    report = evaluate(subject, [ModeCoverage()])
    values = {name: result.value for name, result in report.results.items()}
    assert values["mode_coverage"] == 5
    assert report.results["mode_coverage"].real.value == 8
    within = 1 - np.exp(-4.5)  # χ² with two degrees of freedom, at 9
    np.testing.assert_allclose(values["high_quality_share"], 0.9 * within, atol=0.015)
    np.testing.assert_allclose(report.results["high_quality_share"].real.value, within, atol=0.005)
    assert report.results["mode_coverage"].protocol["radius"] == 3 * test.density.sigma
    with pytest.raises(UsageError, match=r"ModeCoverage\.deviations=0"):
        ModeCoverage(deviations=0)
    with pytest.raises(NotApplicable, match="not images"):
        _ = subject.samples
