"""A metric's settings are checked where it is made, before anything is trained or sampled."""

import inspect
import math

import pytest

from tfade.errors import UsageError
from tfade.evaluation.suite import known_metrics

METRICS = {name: kind.__init__ for name, kind in known_metrics().items() if kind.__module__.startswith("tfade.")}
NUMBERS = [
    pytest.param(name, argument, of.annotation, id=f"{name}-{argument}")
    for name, made in METRICS.items()
    for argument, of in inspect.signature(made).parameters.items()
    if of.annotation in (int, float)
]


@pytest.mark.parametrize(("name", "argument", "kind"), NUMBERS)
def test_a_wrong_number_is_one_line_with_class_argument_and_value(name, argument, kind):
    metric = known_metrics()[name]
    for value in (-1, "x", math.nan, *([1.5, True] if kind is int else [math.inf])):
        with pytest.raises(UsageError) as raised:
            metric(**{argument: value})
        message = str(raised.value)
        assert "\n" not in message
        assert f"{metric.__name__}.{argument}={value!r}" in message, message


def test_most_metrics_have_numbers():
    assert len(NUMBERS) > 40
    assert {name for name, *_ in (param.values for param in NUMBERS)} > {"marginal_kl", "likelihood", "kernel_distance"}
