"""Errors that a user can fix: what was wrong, what was received, and what would be right."""

import functools
import inspect
import math
import numbers
import re
from collections.abc import Sequence


class UsageError(ValueError):
    """An argument, a configuration or an input file is wrong. Launchers print its one line and exit with status 2."""


NOT_CONVERGED = "has not converged after"  # of an iteration in a graph, whose failure a command shows in one line
ASSERTED = ("assertion failed: ", "to be true. Summarized data: ")  # before what a failed `tf.debugging.Assert` shows


def one_line(error: BaseException) -> str:
    """The error's message on one line, without the trail that gin adds to it; its kind if it has none."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if ASSERTED[0] in text:  # in a graph: the way there stands before it and the operation behind it
        text = text.partition(ASSERTED[0])[2].split("\n")[0].partition(" [Op:")[0]
    elif ASSERTED[1] in text:  # eagerly: a part a line, texts as bytes
        text = re.sub(r"\bb(['\"])(.*)\1", r"\2", text.partition(ASSERTED[1])[2])
    return " ".join(text.split("\n  In call to configurable")[0].split()) or type(error).__name__


LARGEST = 2**31 - 1  # of a size
MOST_LAYERS = 1000  # one after the other; more are a mistyped number, which would take for ever to make


def check_whole(name: str, value, least: int = 1, most: int | None = None) -> int:
    """`value` as an int; rejects what is not an integer ≥ `least` (and ≤ `most`)."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        raise UsageError(
            f"{name}={value!r} must be an integer {f'≥ {least}' if most is None else f'in [{least}, {most}]'}"
        )
    return int(value)


def check_layers(name: str, value) -> None:
    """Rejects what is not a number of layers, from 1 to `MOST_LAYERS`."""
    check_whole(name, value, most=MOST_LAYERS)


def check_sizes(owner: str, **sizes) -> None:
    """Rejects sizes of `owner`, such as a width and a depth, that are not integers ≥ 1."""
    for name, value in sizes.items():
        check_whole(f"{owner}.{name}", value, most=MOST_LAYERS if name in ("depth", "blocks", "halvings") else LARGEST)


def check_list(name: str, values) -> None:
    """Rejects what is not a sequence of integers ≥ 1; it may be empty."""
    try:
        for value in values:
            check_whole(name, value)
    except (TypeError, UsageError) as error:
        raise UsageError(f"{name}={values!r} must be a tuple of integers ≥ 1, such as (64, 128)") from error


def check_seed(name: str, value) -> None:
    """Rejects what is not an integer ≥ 0, or several of them."""
    for seed in value if isinstance(value, (tuple, list)) and value else (value,):
        check_whole(name, seed, 0)


def check_finite(name: str, value, least: float = 0.0) -> None:
    """Rejects what is not a finite number ≥ `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not least <= value < math.inf:
        raise UsageError(f"{name}={value!r} must be a finite number ≥ {least:g}")


def check_number(name: str, value) -> None:
    """Rejects what is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise UsageError(f"{name}={value!r} must be a finite number")


def check_positive(name: str, value) -> None:
    """Rejects what is not a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value < math.inf:
        raise UsageError(f"{name}={value!r} must be a finite number > 0")


def check_between(name: str, value, low: float, high: float) -> None:
    """Rejects what is not a number between `low` and `high`, both excluded."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low < value < high:
        raise UsageError(f"{name}={value!r} must be a number between {low:g} and {high:g}, both excluded")


def check_choice(name: str, value, choices: Sequence) -> None:
    """Rejects what is not one of the choices."""
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in choices):
        raise UsageError(f"{name}={value!r} is unknown; use one of {', '.join(map(repr, choices))}")


def check_class(name: str, value, optional: bool = False, base: type | None = None) -> None:
    """Rejects an object where a class is wanted: a part is made by its owner, with arguments of its own.

    Args:
        name: of the argument.
        value: a class, a function that returns an object of it, or `functools.partial` of either.
        optional: whether None is valid, too.
        base: what a class must be derived from; None for anything.
    """
    if value is None and optional:
        return
    if not (inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, functools.partial)):
        raise UsageError(
            f"{name}={value!r} is not a class; give the class itself (in gin @Name without parentheses), or "
            "functools.partial(Name, argument=value) for other arguments"
        )
    made = value
    while isinstance(made, functools.partial):
        made = made.func
    if base is not None and inspect.isclass(made) and not issubclass(made, base):
        raise UsageError(f"{name}={made.__name__} is not derived from {base.__name__}; give such a class")


class NonFiniteError(ArithmeticError):
    """Training met a loss or a gradient that is not a finite number."""
