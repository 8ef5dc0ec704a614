"""An object where a model wants the class of a part: one line that names the argument, from Python as from gin."""

import functools
import inspect

import keras
import pytest

from tests.models.cases import CASES
from tests.models.properties import source
from tfade.errors import UsageError
from tfade.training.building import parameters_of

# The arguments of each model whose default is a class or None, and those without a default, with the first case of the model.
PARTS = {
    (kind, name): case
    for case in reversed(CASES.values())
    if (kind := getattr(case.kind, "func", case.kind)).__module__.startswith("tfade.")
    for name, parameter in parameters_of(kind).items()
    if parameter.default is None or (name != "spec" and inspect.isclass(parameter.default))
}


@pytest.mark.every(3)
@pytest.mark.parametrize(("kind", "name"), PARTS, ids=lambda value: getattr(value, "__name__", value))
def test_an_object_where_a_class_is_wanted_is_refused_by_name(kind, name):
    case = PARTS[kind, name]
    with pytest.raises(UsageError, match=rf"^(\w+\.)?{name}=<Dense ") as raised:
        functools.partial(case.kind, **{name: keras.layers.Dense(2)})(source(case.domain).spec)
    assert "\n" not in str(raised.value)
