"""Why a model cannot be built, in one line: which constructor failed, on which of its arguments."""

import dis
import inspect
import itertools
import re
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

import tensorflow as tf
from gin import config as gin_config

from tfade.errors import UsageError, one_line

# What wrong arguments end in; anything else, such as a failed assertion, is a defect of ours or of a user's class.
OF_ARGUMENTS = (
    *(TypeError, ValueError, ArithmeticError, LookupError, AttributeError, NotImplementedError),
    *(MemoryError, RuntimeError, tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError),
)
OF_SIZES = (MemoryError, tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError)
LONGEST = 300  # characters of a message
SHOWN = 12  # arguments, at most
HUGE = 10**6  # where a number so large is bound, it is the likely cause
CLOSE = 1000  # numbers within this factor of the largest may be the ones that were too large

_DEVICE = re.compile(r"^\{\{.*?\}\} ")  # that TensorFlow puts before its messages
_OWNER = re.compile(r"(\w+)\.__\w+__\(\)")  # in "MADE.__init__() missing 2 required positional arguments"

Made = TypeVar("Made")


class Argument(NamedTuple):
    """An argument of a constructor that an error came through."""

    name: str  # with the class's
    value: object


def parameters_of(made: Callable) -> Mapping[str, inspect.Parameter]:
    """The arguments of a function or of a class's constructor; none where they cannot be known.

    They are read off the constructor itself: Python 3.11.2 shows the metaclass's in place of a Keras class's.
    """
    try:
        found = inspect.signature(made.__init__ if inspect.isclass(made) else made).parameters
    except ValueError:
        return {}
    return {name: parameter for name, parameter in found.items() if name != "self"}


def check_boolean_bindings() -> None:
    """Rejects what gin binds to a flag and is neither True nor False: any other object would pass for one of them.

    Raises:
        UsageError: names the argument.
    """
    for (_, selector), bound in gin_config._CONFIG.items():
        known = gin_config._REGISTRY.get_match(selector) if selector != "gin.macro" else None
        if known is None or not selector.startswith("tfade."):
            continue
        parameters = parameters_of(known.wrapped)
        for name, value in bound.items():
            is_flag = name in parameters and parameters[name].annotation in (bool, "bool")
            is_macro = isinstance(value, gin_config.ConfigurableReference) and value.configurable.name == "macro"
            if is_flag and not is_macro and not isinstance(value, bool):
                shown = f"{selector.rpartition('.')[2]}.{name}={value!r}"
                raise UsageError(f"{shown} is neither True nor False; give one of them, without quotes")


def build_or_explain(name: str, build: Callable[[], Made]) -> Made:
    """What `build` returns; its errors as one line, where all classes are tfade's.

    The classes of a user's own modules may be at fault themselves, which a traceback tells better.

    Args:
        name: of the class that is built.
        build: builds it.

    Raises:
        UsageError: names the arguments in the expressions that failed, or all that gin binds of the class.
    """
    try:
        return build()
    except UsageError:
        raise
    except OF_ARGUMENTS as error:
        if gin_config._IMPORTS:
            raise
        arguments = list(_arguments(error, isinstance(error, OF_SIZES)))
        if not arguments or not _came_through_a_constructor(error):
            arguments = [*_bound(name), *arguments]
        found = {argument.name: argument.value for argument in reversed(arguments)}  # the innermost of a name
        shown = ", ".join(f"{key}={_short(value)}" for key, value in [*reversed(found.items())][:SHOWN]) or name
        text = one_line(error)
        lines = str(error).split("\n  In call to configurable")[0].strip().splitlines()
        reason = text if len(text) < LONGEST else lines[-1].strip()[:LONGEST]
        raise UsageError(f"{name} cannot be built with {shown}: {_DEVICE.sub('', reason)}") from error


def _came_through_a_constructor(error: BaseException) -> bool:
    """Whether a model or a part of one was being made; False of what its networks meet later."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_code.co_name == "__init__" and _is_ours(frame) for frame in frames)


def _is_ours(frame: types.FrameType) -> bool:
    return frame.f_globals.get("__name__", "").startswith("tfade.")


def _arguments(error: BaseException, of_sizes: bool) -> Iterator[Argument]:
    """Arguments of tfade's constructors in the expressions that the error came through, the innermost first.

    Args:
        error: with its traceback.
        of_sizes: give the largest integers of all these constructors instead, as something was too large.
    """
    trace, found, sizes, owners = error.__traceback__, [], [], {}
    while trace is not None:
        frame, trace_now, trace = trace.tb_frame, trace, trace.tb_next
        if not _is_ours(frame):
            continue
        owner = frame.f_locals.get("self")
        known, read = frame.f_locals, _names(frame.f_code, trace_now.tb_lasti)
        if owner is not None:
            parameters = _parameters(type(owner))
            if frame.f_code.co_name == "__init__":
                owners |= {name: f"{type(owner).__name__}.{name}" for name in parameters}
                integers = [name for name in parameters if type(known.get(name)) is int]
                sizes += [Argument(owners[name], known[name]) for name in integers]
            else:
                known = {name.lstrip("_"): value for name, value in getattr(owner, "__dict__", {}).items()}
                owners |= {name: f"{type(owner).__name__}.{name}" for name in parameters if name not in owners}
        # A function in a constructor, which makes a network later, has the arguments as free variables.
        names = [name for name in owners if name in known and name in read]
        found.append([Argument(owners[name], known[name]) for name in names])
    if of_sizes and sizes:
        largest = max(argument.value for argument in sizes)
        yield from (argument for argument in sizes if argument.value * CLOSE >= largest)
    else:
        innermost = next((arguments for arguments in reversed(found) if arguments), [])
        failed = {argument.name.partition(".")[0] for argument in innermost} | set(_OWNER.findall(str(error)))
        yield from innermost
        yield from _bindings(lambda value: _referred(value) in failed)  # whichever argument names the class
        yield from itertools.chain(*reversed(found))


def _parameters(kind: type) -> list[str]:
    """The arguments of a class's constructor, but the specification of the data."""
    defined = next((each for each in kind.__mro__ if "__init__" in vars(each)), object)
    return [name for name in inspect.signature(defined.__init__).parameters if name not in ("self", "spec")]


def _names(code: types.CodeType, failed: int) -> set[str]:
    """The names that the failed expression of a piece of code reads: variables, and attributes of objects."""
    positions = list(code.co_positions())

    def inside(part, whole) -> bool:
        return (
            None not in (*part, *whole)
            and (whole[0], whole[2]) <= (part[0], part[2])
            and (part[1], part[3])
            <= (
                whole[1],
                whole[3],
            )
        )

    region = positions[failed // 2]
    read = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE", "LOAD_ATTR"))
        and inside(positions[instruction.offset // 2], region)
    }
    return {name.lstrip("_") for entry in read for name in (entry if isinstance(entry, tuple) else (entry,))}


def _bound(kind: str) -> list[Argument]:
    """What gin binds of a class, huge numbers of any class first, classes last."""
    huge = list(_bindings(lambda value: type(value) is int and value >= HUGE))
    found = [argument for argument in _bindings(lambda value: True) if argument.name.startswith(f"{kind}.")]
    return [*huge, *sorted(found, key=lambda argument: str(argument.value).startswith("@"))]


def _referred(value) -> str | None:
    """The class that a binding refers to, as in "@scope/Name" or "@Name()"."""
    text = str(value)
    return text.rpartition("/")[2].strip("@()") if text.startswith("@") else None


def _bindings(wanted: Callable[[object], bool]) -> Iterator[Argument]:
    """The arguments that gin binds to a value that is wanted, whatever the scope."""
    for (_, selector), parameters in gin_config._CONFIG.items():
        for name, value in parameters.items():
            if wanted(value):
                yield Argument(f"{selector.rpartition('.')[2]}.{name}", value)


def _short(value) -> str:
    text = getattr(value, "__name__", None) or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
