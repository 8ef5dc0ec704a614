"""Examples that come more than once: the noise of their likelihoods, and what counts in a standard error."""

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.likelihood.test_likelihood_metrics import SMALL, LinearFlow
from tfade import numerics
from tfade.contract import Contract
from tfade.data.source import ArraySource
from tfade.evaluation import (
    AnnealedImportanceSampling,
    ImportanceWeightedBound,
    Likelihood,
    LikelihoodComparison,
    ParzenLogLikelihood,
    Subject,
)
from tfade.evaluation.likelihood.latent_model import dequantised
from tfade.evaluation.likelihood.nll import negative_log_likelihood
from tfade.evaluation.likelihood.repeats import Repeats
from tfade.evaluation.result import standard_error
from tfade.seeds import per_example_noise, per_example_normal_noise, repetition

SIGMA = 8.0  # nats, of the noise of a bound


class NoisyBound(Contract):
    """A bound of -10 nats on average, of one code of each image."""

    likelihood = "lower_bound"

    def log_prob(self, x, num_samples=1, labels=None):
        unit = numerics.checked_unit(x, x.shape[1:])
        return -10.0 + SIGMA * per_example_normal_noise(unit, 1, (num_samples,))[:, 0]


def distinct(count: int) -> np.ndarray:
    """Images [count, 2, 2, 1], no two of them alike."""
    levels = np.arange(count)
    return (
        np.stack([levels % 256, levels // 256, 7 * levels % 256, 0 * levels], 1).reshape(-1, 2, 2, 1).astype(np.uint8)
    )


def subject_of(model, images, **settings):
    source = ArraySource("few", "test", images)
    train = ArraySource("few", "train", distinct(300))
    return Subject(model, source, train, progress=lambda line: None, **{"num_samples": 50, **settings})


def test_many_draws_of_few_images():
    """20,000 draws of 256 images: 256 codes gave 0.5 nats of error (σ / 16) and claimed 0.06."""
    images = distinct(256)[np.random.default_rng(0).integers(256, size=20_000)]
    _, nats = Likelihood()(subject_of(NoisyBound(), images))
    assert nats.std == pytest.approx(SIGMA / np.sqrt(20_000), rel=0.15)
    assert abs(nats.value - 10) < 3 * nats.std
    assert (nats.protocol["num_real"], nats.protocol["num_distinct"]) == (20_000, 256)
    assert nats.protocol["repeats"] == "with noise of their own, one in the error"


def test_distinct_images_have_the_noise_of_their_own_values():
    images = distinct(30)
    subject = subject_of(NoisyBound(), images, batch_size=7)
    (_, nats) = Likelihood()(subject)
    values = NoisyBound().log_prob(images).numpy().astype(np.float64)
    assert nats.value == pytest.approx(-values.mean(), rel=1e-6)
    assert nats.std == pytest.approx(values.std(ddof=1) / np.sqrt(30), rel=1e-6)
    assert nats.protocol["num_distinct"] == 30
    assert "repeats" not in nats.protocol


def test_a_repeated_value_is_no_further_evidence():
    generator = np.random.default_rng(0)
    values, groups = generator.normal(size=9), np.arange(9)
    assert standard_error(values, groups) == pytest.approx(standard_error(values), rel=1e-12)
    assert standard_error(values) == pytest.approx(values.std(ddof=1) / 3, rel=1e-12)
    assert standard_error(np.tile(values, 50), np.tile(groups, 50)) == pytest.approx(standard_error(values), rel=1e-12)
    assert standard_error(values, 0 * groups) is None
    result = negative_log_likelihood(log_prob=np.tile(values, 50), groups=np.tile(groups, 50))
    assert result.std == pytest.approx(standard_error(values), rel=1e-12)


def test_the_error_is_that_of_the_mean_over_groups_of_any_size():
    """Against the spread of the mean over many sets of 40 groups with values that groups share in part."""
    generator, means, errors = np.random.default_rng(1), [], []
    for _ in range(400):
        groups = np.repeat(np.arange(40), generator.integers(1, 8, 40))
        values = generator.normal(size=40)[groups] + 0.5 * generator.normal(size=len(groups))
        means.append(values.mean())
        errors.append(standard_error(values, groups))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(means), rel=0.1)


def test_repeats_are_found_and_numbered():
    a, b, c = distinct(3)
    repeats = Repeats([np.stack([a, b, a]), np.stack([c, a, b])])
    np.testing.assert_array_equal(repeats.groups, [0, 1, 0, 2, 0, 1])
    np.testing.assert_array_equal(repeats.numbers, [0, 0, 1, 0, 2, 1])
    assert [(number, rows.tolist()) for number, rows in repeats.parts(2)] == [
        *((0, [0, 1]), (0, [3]), (1, [2, 5]), (2, [4]))
    ]
    rows, doubled = repeats.apply(lambda rows: (rows, 2.0 * rows), 2)
    np.testing.assert_array_equal(rows, np.arange(6))
    np.testing.assert_array_equal(doubled, 2.0 * np.arange(6))


def test_so_many_repeats_that_noise_is_shared_take_few_calls():
    repeats = Repeats([np.zeros((2500, 2), np.float32)])
    assert len(list(repeats.parts(500))) == 1000
    assert Repeats([np.zeros((2500, 2), np.float32)]).protocol["num_distinct"] == 1


def test_dequantisation_of_repeats():
    """The first of equal images as ever, the next with other noise, each within its bin and whatever lies between."""
    a, b = distinct(2)
    y = dequantised(np.stack([a, b, a, a]))
    np.testing.assert_array_equal(y[:2], dequantised(np.stack([a, b])))
    assert len({row.tobytes() for row in y}) == 4
    np.testing.assert_array_equal(np.floor(256 * y[3]), a)
    np.testing.assert_array_equal(dequantised(np.stack([a, a, a]))[[0, 1, 2]], y[[0, 2, 3]])
    unit = tf.constant(a[None] / np.float32(255))
    with repetition(2):
        np.testing.assert_array_equal(y[3:], numerics.dequantised(unit, per_example_noise(unit)))
    np.testing.assert_array_equal(y[:1], numerics.dequantised(unit, per_example_noise(unit)))


@pytest.mark.every(3)
@pytest.mark.parametrize(
    "metric",
    [
        AnnealedImportanceSampling(num_real=40, num_simulated=0, **SMALL),
        ParzenLogLikelihood(num_real=40, num_validation=20, bandwidths=(0.1,)),
        LikelihoodComparison(num_real=40, num_validation=20, simulated=False, bandwidths=(0.1,), **SMALL),
    ],
    ids=lambda metric: metric.name,
)
def test_every_likelihood_states_how_many_images_are_distinct(metric):
    levels = np.random.default_rng(0).integers(40, 215, (5, 1, 2, 1)).astype(np.uint8)
    images = np.tile(levels, (8, 1, 1, 1))
    train = ArraySource("pairs", "train", np.random.default_rng(1).integers(40, 215, (60, 1, 2, 1)).astype(np.uint8))
    subject = Subject(
        LinearFlow((1, 2, 1)), ArraySource("pairs", "test", images), train, 50, progress=lambda line: None
    )
    for result in metric(subject):
        assert (result.protocol["num_real"], result.protocol["num_distinct"]) == (40, 5)


def test_the_importance_weighted_bound_of_repeats():
    images = np.tile(distinct(20), (10, 1, 1, 1))
    _, nats = ImportanceWeightedBound(k=2, num_real=200)(subject_of(NoisyBound(), images))
    assert nats.protocol["num_distinct"] == 20
    assert nats.std < 2 * SIGMA / np.sqrt(200)
    assert abs(nats.value + 10) < 4 * SIGMA / np.sqrt(200)
