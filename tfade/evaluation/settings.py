"""The settings of a function or a class, from gin or a user, for the protocol of a result that depends on them."""

import functools
import inspect
from collections.abc import Callable

import gin


def settings_of(function: Callable) -> dict:
    """Name and settings of a callable as it will be called: defaults, then what gin binds, then `functools.partial`'s.

    Args:
        function: a function or a class, a partial of one, or a reference of gin to one, in a scope or not.

    Returns:
        "name", and every parameter with a default except `progress`. Values fit into JSON: a function or a class among
        them is such a dictionary itself, another object its class's name.
    """
    given = {}
    while isinstance(function, functools.partial):
        given, function = {**function.keywords, **given}, function.func
    if not hasattr(function, "__name__"):
        return {"name": type(function).__name__, **_plain(given)}
    parameters = inspect.signature(function).parameters.values()
    defaults = {part.name: part.default for part in parameters if part.default is not inspect.Parameter.empty}
    return {"name": function.__name__, **_plain({**defaults, **_bound(function), **given})}


def _bound(function: Callable) -> dict:
    """The values that gin binds to its parameters."""
    scope = []
    if inspect.isfunction(function):
        scope = inspect.getclosurevars(function).nonlocals.get("scope_components", [])
    registered = function.__wrapped__ if scope else function
    try:
        with gin.config_scope(list(scope) or None):
            return gin.get_bindings(registered)
    except ValueError:  # gin does not know it
        return {}


def _plain(settings: dict) -> dict:
    return {name: _value(value) for name, value in settings.items() if name != "progress"}


def _value(value):
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_value(part) for part in value]
    if isinstance(value, dict):
        return _plain(value)
    return settings_of(value) if callable(value) else type(value).__name__
