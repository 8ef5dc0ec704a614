"""A number with its protocol; what no number may be."""

import json

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation import Result


def test_json_round_trip_of_numpy_numbers():
    result = Result("distance", np.float32(1.5), np.float64(0.25), {"num_real": 3, "shape": (2, 2)})
    assert Result(**json.loads(json.dumps(result.to_json()))) == result
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


@pytest.mark.parametrize("protocol", [{"seed": np.nan}, {"model": object()}, {"array": np.zeros(2)}])
def test_refuses_a_protocol_that_json_cannot_hold(protocol):
    with pytest.raises(UsageError, match="protocol="):
        Result("distance", 1.0, None, protocol)


def test_what_a_result_says_already_stays():
    result = Result("distance", 1.0, None, {"dtype": "float64"}).with_protocol(dtype="uint8", seed=3)
    assert result.protocol == {"dtype": "float64", "seed": 3}
