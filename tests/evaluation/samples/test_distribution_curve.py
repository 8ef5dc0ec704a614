"""Precision and recall for distributions: curves that are known, and k-means' part in them."""

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation import precision_recall_distributions
from tfade.evaluation.samples.distribution_curve import _curve


def modes(*counts):
    """Points at far corners of a simplex, `counts[k]` at corner k."""
    return np.repeat(100 * np.eye(len(counts)), counts, axis=0)


def measured(real, fake, **settings):
    return precision_recall_distributions(real=real, fake=fake, **{"runs": 2, **settings})


@pytest.mark.parametrize(
    ("real", "fake", "precision", "recall"),
    [
        (modes(*[10] * 10), modes(*[20] * 5, *[0] * 5), 65 / 66, 65 / 129),  # 5 of 10 modes
        (modes(*[20] * 5, *[0] * 5), modes(*[10] * 10), 65 / 129, 65 / 66),  # half of the samples are of no real mode
        (modes(*[10] * 10), modes(100, *[0] * 9), 65 / 74, 65 / 641),  # 1 of 10
        (modes(*[10] * 10), modes(*[10] * 10), 1, 1),
        (modes(50, 50, 0, 0), modes(0, 0, 50, 50), 0, 0),
        (modes(50, 50, 0), modes(0, 50, 50), 0.5, 0.5),
    ],
)
def test_closed_forms(real, fake, precision, recall):
    """(1 + β²)·p·r/(β²·p + r) at the curve's best point, which lies up to 0.09° beside one of the 1,001 angles."""
    found = measured(real, fake, clusters=real.shape[1])
    np.testing.assert_allclose([result.value for result in found], [precision, recall], rtol=2e-3, atol=1e-12)


def test_curve_of_half_the_modes():
    """min(λ/2, 1) and min(1/2, 1/λ)."""
    found = measured(modes(*[10] * 4), modes(20, 20, 0, 0), clusters=4, angles=101).precision.curve
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, 101))
    np.testing.assert_allclose(found[:, 1], np.minimum(slopes / 2, 1), rtol=1e-9)
    np.testing.assert_allclose(found[:, 0], np.minimum(1 / 2, 1 / slopes), rtol=1e-9)


def test_curve_swaps_with_the_sets():
    real, fake = np.random.default_rng(0).dirichlet(np.ones(20), 2)
    np.testing.assert_allclose(_curve(fake, real, 201), _curve(real, fake, 201)[::-1, ::-1], atol=1e-9)
    assert (np.diff(_curve(real, fake, 201)[:, 1]) >= 0).all()
    np.testing.assert_allclose(_curve(real, fake, 201)[[0, -1], [0, 1]], 1, atol=1e-6)  # both have all clusters


def test_seed_runs_order_and_protocol():
    generator = np.random.default_rng(1)
    real, fake = generator.normal(size=(150, 4)), generator.normal(0.5, 1, size=(150, 4))
    first = measured(real, fake, seed=1, runs=3)
    assert first == measured(real, fake, seed=1, runs=3)
    assert first.precision.value != measured(real, fake, seed=2, runs=3).precision.value
    assert first.precision.std > 0
    assert measured(real, fake, runs=1).recall.std is None
    assert first.precision.curve.shape == (1001, 2)
    assert "curve" not in first.precision.to_json()
    renamed = first.recall.renamed("other").with_protocol(split="test")
    assert renamed.curve is first.recall.curve
    wanted = {"num_real": 150, "num_fake": 150, "clusters": 20, "runs": 3, "angles": 1001, "cluster_seed": 1, "beta": 8}
    assert wanted.items() <= first.recall.protocol.items()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fake": np.zeros((30, 2))}, "fake has 30 examples and real has 40"),
        ({"clusters": 81}, "clusters=81 exceeds the 80 examples"),
        ({"clusters": 0}, "clusters=0"),
        ({"runs": 0}, "runs=0"),
        ({"angles": 2}, "angles=2"),
        ({"seed": -1}, "seed=-1"),
        ({"fake": np.zeros((40, 3))}, "fake has 3 features and real has 2"),
        ({"fake": np.zeros(40)}, r"fake has shape \[40\]"),
        ({"real": np.full((40, 2), np.nan)}, "real holds 80 NaN"),
        ({"real": np.zeros((1, 2)), "fake": np.zeros((1, 2))}, "real has 1 example"),
    ],
)
def test_refusals(changes, message):
    points = np.random.default_rng(2).normal(size=(40, 2))
    with pytest.raises(UsageError, match=message):
        measured(**{"real": points, "fake": points, **changes})


def test_sets_are_named():
    with pytest.raises(TypeError):
        precision_recall_distributions(np.zeros((4, 2)), np.zeros((4, 2)))
