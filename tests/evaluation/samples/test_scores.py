"""Inception and MODE scores against closed forms, and the identity between two of them."""

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation import inception_score, mode_score

TWO = np.array([[0.9, 0.1], [0.1, 0.9]])
UNIFORM = np.full(4, 0.25)


def one_hot(*counts):
    """Rows of certain classes, `counts[k]` of class k."""
    return np.repeat(np.eye(len(counts)), counts, axis=0)


def score(probabilities, **settings):
    return inception_score(probabilities=np.asarray(probabilities), **{"splits": 1, **settings})


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        (TWO, 1.4449348111684153),
        (np.eye(10), 10),
        (one_hot(7, 7, 7), 3),
        (one_hot(2, 1, 1), 2**1.5),  # exp of the entropy of (½, ¼, ¼)
        (one_hot(5, 0, 0), 1),
        (np.full((6, 10), 0.1), 1),
        (np.tile([0.2, 0.5, 0.3], (4, 1)), 1),
        (
            [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5]],
            2**1.5,
        ),  # exp(H − E H) = exp(2 ln 2 − ½ ln 2)
    ],
)
def test_closed_forms(probabilities, expected):
    np.testing.assert_allclose(score(probabilities).value, expected, rtol=1e-12)


def test_splits_and_their_population_deviation():
    result = score(np.concatenate([one_hot(2, 2), one_hot(4, 0)]), splits=2, seed=None)
    np.testing.assert_allclose([result.value, result.std], [1.5, 0.5], rtol=1e-12)
    assert score(TWO).std is None


def test_splits_cover_every_example():
    """Of 11 examples in 3 splits: 3, 4 and 4."""
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 11)
    parts = [score(rows[start:stop], seed=None).value for start, stop in ((0, 3), (3, 7), (7, 11))]
    result = score(rows, splits=3, seed=None)
    np.testing.assert_allclose([result.value, result.std], [np.mean(parts), np.std(parts)], rtol=1e-12)


def test_sorted_classes_need_the_shuffle():
    rows = one_hot(*[100] * 10)
    assert score(rows, splits=10, seed=None).value == 1
    assert score(rows, splits=10).value > 8
    assert score(rows, splits=10, seed=1) == score(rows, splits=10, seed=1)
    assert score(rows, splits=10, seed=1).value != score(rows, splits=10, seed=2).value


def test_order_of_classes_and_float32():
    rows = np.random.default_rng(1).dirichlet(np.ones(10), 500)
    np.testing.assert_allclose(score(rows[:, ::-1]).value, score(rows).value, rtol=1e-12)
    np.testing.assert_allclose(score(rows.astype(np.float32)).value, score(rows).value, rtol=1e-6)
    np.testing.assert_allclose(score(rows[::-1]).value, score(rows).value, rtol=1e-12)


def mode(probabilities, reference=UNIFORM, variant="generated", **settings):
    settings = {"splits": 1, "variant": variant, **settings}
    return mode_score(probabilities=probabilities, reference=reference, **settings).value


@pytest.mark.parametrize(
    ("counts", "expected"), [((3, 3, 3, 3), 4), ((6, 6, 0, 0), 1), ((12, 0, 0, 0), 1 / 4), ((4, 4, 4, 0), 9 / 4)]
)
def test_default_of_certain_classes(counts, expected):
    """n of K classes evenly: log n − log(K/n)."""
    np.testing.assert_allclose(mode(one_hot(*counts)), expected, rtol=1e-12)


def test_all_variants_of_one_case():
    rows, train = one_hot(3, 1), np.array([0.5, 0.5])
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    forward = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    reverse = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    for variant, exponent in (
        ("generated", entropy - forward),
        ("generated_reversed", entropy - reverse),
        ("training", np.log(2) - forward),
        ("training_reversed", np.log(2) - reverse),
    ):
        np.testing.assert_allclose(mode(rows, train, variant), np.exp(exponent), rtol=1e-12, err_msg=variant)


def test_the_training_variant_is_the_inception_score():
    generator = np.random.default_rng(2)
    rows, train = generator.dirichlet(np.ones(6), 300), generator.dirichlet(np.ones(6))
    settings = {"splits": 10, "seed": 5}
    found = mode_score(probabilities=rows, reference=train, variant="training", **settings)
    wanted = inception_score(probabilities=rows, **settings)
    np.testing.assert_allclose([found.value, found.std], [wanted.value, wanted.std], rtol=1e-10)
    assert mode(rows, train) < 0.99 * mode(rows, train, "training")


def test_reference_as_probabilities_of_training_data():
    rows = np.random.default_rng(3).dirichlet(np.ones(4), 50)
    np.testing.assert_allclose(mode(one_hot(3, 2, 1, 1), rows), mode(one_hot(3, 2, 1, 1), rows.mean(0)), rtol=1e-12)
    own = one_hot(3, 2, 1, 1)
    np.testing.assert_allclose(mode(own, own), score(own).value, rtol=1e-12)  # nothing to pay


@pytest.mark.parametrize("variant", ["generated_reversed", "training_reversed"])
def test_a_class_without_sample_is_warned_of(variant):
    with pytest.warns(UserWarning, match="class of reference has probability 0 in all samples"):
        assert mode(one_hot(3, 3, 3, 0), variant=variant) == 0


def test_protocols():
    assert score(TWO, seed=3).protocol == {
        "num_fake": 2,
        "num_classes": 2,
        "splits": 1,
        "shuffle_seed": 3,
        "std": "over splits",
        "dtype": "float64",
    }
    result = mode_score(probabilities=TWO, reference=[0.5, 0.5], splits=1)
    assert result.name == "mode_score"
    assert result.protocol["variant"] == "generated"
    assert result.protocol["formula"] == "exp(E KL(p(y|x)||p_gen) - KL(p_gen||p_train))"


BAD = [
    (np.array([[2.0, -1.0], [0.5, 0.5]]), "probabilities lies in .* logits"),
    (np.array([[3.0, 8.0], [1.0, 0.5]]), "probabilities lies in .* logits"),
    (np.array([[0.9, 0.2], [0.5, 0.5]]), "sums to 1.1"),
    (np.array([[0.4, 0.2], [0.5, 0.5]]), "sums to 0.6"),
    (np.array([[np.nan, 0.2], [0.5, 0.5]]), "NaN"),
    (np.array([[np.inf, 0.2], [0.5, 0.5]]), "infinite"),
    (np.array([0.5, 0.5]), r"shape \[2\]"),
    (np.full((2, 3, 2), 0.5), r"shape \[2, 3, 2\]"),
    (np.zeros((0, 2)), r"shape \[0, 2\]"),
    (np.array([[0, 1], [1, 0]]), "int64"),
]


@pytest.mark.parametrize(("probabilities", "message"), BAD)
def test_refuses_what_are_no_probabilities(probabilities, message):
    for refusing in (inception_score, lambda **rows: mode_score(**rows, reference=[0.5, 0.5])):
        with pytest.raises(UsageError, match=message):
            refusing(probabilities=probabilities, splits=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": 3}, "probabilities has 2 rows, fewer than splits=3"),
        ({"splits": 0}, "splits=0"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"variant": "che"}, "variant='che' is unknown; give 'generated', "),
        ({"reference": [0.2, 0.3, 0.5]}, "reference has 3 classes and probabilities have 2"),
        ({"reference": [0.2, 0.3]}, "reference has a row that sums to 0.5"),
        ({"reference": [2.0, -1.0]}, "reference lies in"),
        ({"reference": [1.0, 0.0]}, r"reference gives 1 class\(es\), such as 1, probability 0"),
        ({"reference": [1.0, 0.0], "variant": "training_reversed"}, "reference gives 1"),
    ],
)
def test_mode_score_refuses(changes, message):
    with pytest.raises(UsageError, match=message):
        mode_score(**{"probabilities": TWO, "reference": [0.5, 0.5], "splits": 1, **changes})


def test_inception_score_refuses_fewer_rows_than_splits():
    with pytest.raises(UsageError, match="2 rows, fewer than splits=10"):
        inception_score(probabilities=TWO)
