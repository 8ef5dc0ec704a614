"""A number with its protocol; what no number may be."""

import json

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation import Result
from tfade.evaluation.result import threshold_error


def test_json_round_trip_of_numpy_numbers():
    real = Result("distance", 1.25, None, {"num_real": 5}, {"rounds": np.float64(2.0)})
    result = Result("distance", np.float32(1.5), np.float64(0.25), {"shape": (2, 2)}, {"acceptance": 0.5}, real)
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert type(result.value) is float
    assert type(result.std) is float


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None, "high"])
def test_refuses_what_is_no_finite_number(value):
    with pytest.raises(UsageError, match="value="):
        Result("distance", value)


@pytest.mark.parametrize("std", [np.nan, np.inf, -0.1])
def test_refuses_an_uncertainty_that_is_none(std):
    with pytest.raises(UsageError, match="std="):
        Result("distance", 1.0, std)


@pytest.mark.parametrize("field", ["protocol", "diagnostics"])
@pytest.mark.parametrize("content", [{"seed": np.nan}, {"model": object()}, {"array": np.zeros(2)}])
def test_rejects_fields_that_json_cannot_hold(field, content):
    with pytest.raises(UsageError, match=f"{field}="):
        Result("distance", 1.0, None, **{field: content})


def test_the_error_of_a_share_counts_that_of_its_threshold():
    """Against repetitions; the binomial error is 0.016, and a third of it is missing where both are equally many."""
    generator = np.random.default_rng(0)
    draws = generator.normal(size=(1000, 2, 1000))
    spread = np.std([(outside >= np.median(inside)).mean() for inside, outside in draws])
    found = [threshold_error(*draw, 0.5) for draw in draws[:40]]
    assert np.mean(found) == pytest.approx(spread, rel=0.1)
    assert spread > 1.3 * np.sqrt(0.25 / 1000)


def test_what_a_result_says_already_stays():
    result = Result("distance", 1.0, None, {"dtype": "float64"}).with_protocol(dtype="uint8", seed=3)
    assert result.protocol == {"dtype": "float64", "seed": 3}


def test_the_real_counterpart_shares_the_name_and_what_is_added():
    real = Result("", 2.0, None, {"fake": "train split"})
    result = Result("distance", 1.0, None, {"fake": "samples"}).with_real(real).with_protocol(seed=3).renamed("far")
    assert result.real == Result("far", 2.0, None, {"seed": 3, "fake": "train split"})
    assert result.protocol == {"seed": 3, "fake": "samples"}
