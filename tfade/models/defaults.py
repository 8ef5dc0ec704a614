"""Constructors that differ from a base class's in their default arguments alone."""

import inspect
from types import FunctionType


def with_defaults(constructor: FunctionType, **defaults) -> FunctionType:
    """The same constructor for a subclass, where some arguments have other defaults."""
    parameters = inspect.signature(constructor).parameters
    if unknown := defaults.keys() - parameters.keys():
        raise TypeError(f"{constructor.__qualname__} has no arguments {unknown}")
    positional = [each for each in parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD]
    values = tuple(defaults.get(each.name, each.default) for each in positional if each.default is not each.empty)
    result = FunctionType(
        constructor.__code__, constructor.__globals__, constructor.__name__, values, constructor.__closure__
    )
    result.__annotations__ = dict(constructor.__annotations__)
    result.__kwdefaults__ = constructor.__kwdefaults__
    return result
