"""Gin without surprises: strict about unknown names."""

import contextlib
import copy
import difflib
import inspect
import io
import logging
import os
import re
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

import gin
from gin import config as gin_config

from tfade.errors import UsageError, one_line
from tfade.training.isolation import isolated

_UNQUOTED = re.compile(r"[^\W\d][^\"'()\[\]{}]*$|[/~.\\](?!\d)")  # a word, a path: no value that gin could read
_MALFORMED = re.compile(r"malformed node or string[^<]*<\S+ object at \w+> ")
_NO_PARAMETER = re.compile(r"Configurable '([\w./]+)' doesn't have a parameter")
_NO_VALUE = re.compile("Failed to parse token|Unable to parse value")


def parse(
    files: Sequence[str | Path],
    bindings: Sequence[str] = (),
    root: str | Path | None = None,
    defaults: Sequence[str] = (),
) -> None:
    """Parses gin files and then bindings into the current configuration, and locks it.

    Args:
        files: paths, the later ones overriding the earlier.
        bindings: lines such as "steps = 50", overriding the files.
        root: folder that `include` paths are relative to.
        defaults: lines that the files and bindings override.

    Raises:
        UsageError: a missing file, a syntax error, an unknown name, or a macro that nothing uses.
    """
    for file in files:
        if not Path(file).is_file():
            raise UsageError(f"gin_file={str(file)!r} does not exist; give the path of a recipe such as gin/vgh_pp.gin")
        _text(file)
    for line in bindings:
        _check_quotes(line)
    with _one_line(), _utf8_files(), _includes_of(root):
        gin.parse_config(list(defaults))
        gin.parse_config_files_and_bindings(
            [os.path.abspath(file) for file in files], [], skip_unknown=False, finalize_config=False
        )
    for line in bindings:
        with _one_line(f"gin_bindings={line!r}"):
            gin.parse_config(line, skip_unknown=False)
    with _one_line():
        gin.finalize()
    if any(statement.module == "__gin__.dynamic_registration" for statement in gin_config._IMPORTS):
        raise UsageError(
            "gin configuration: dynamic registration is not supported; register classes by @gin.register and leave out "
            "'from __gin__ import dynamic_registration'"
        )
    _check_macros()


@contextlib.contextmanager
def _includes_of(root: str | Path | None) -> Iterator[None]:
    """Inside, `include` looks in `root` before the current directory, which may hold another checkout."""
    before = list(gin_config._LOCATION_PREFIXES)
    if root is not None:
        gin_config._LOCATION_PREFIXES.insert(0, str(root))
    try:
        yield
    finally:
        gin_config._LOCATION_PREFIXES[:] = before


def bind(lines: Sequence[str]) -> None:
    """Puts lines such as "Thing.parameter = 3" over the current configuration.

    Raises:
        UsageError: a syntax error or an unknown name.
    """
    with _one_line(), gin.unlock_config():
        gin.parse_config(list(lines), skip_unknown=False)


def _check_quotes(line: str) -> None:
    """Rejects a path or a name without quotes, as the shell leaves of `--gin_bindings='data = folder:/images'`."""
    name, _, value = (part.strip() for part in line.partition("="))
    if _UNQUOTED.match(value) and value not in ("True", "False", "None"):
        raise UsageError(
            f"gin_bindings={line!r}: text needs quotes of its own inside those of the shell, as in "
            f"--gin_bindings='{name} = \"{value}\"'"
        )


def _text(file: str | Path) -> io.StringIO:
    """The text of a gin file, open under its name.

    Raises:
        UsageError: it is not UTF-8 text.
    """
    try:
        text = io.StringIO(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"gin_file={str(file)!r} cannot be read as UTF-8 text: {error}") from error
    if "\0" in text.getvalue():  # Python's tokenizers differ in what they say of one
        raise UsageError(f"gin_file={str(file)!r} holds null characters, as no gin configuration does")
    text.name = str(file)  # for gin's errors
    return text


@contextlib.contextmanager
def _utf8_files() -> Iterator[None]:
    """gin opens files with the encoding of the locale; inside, it gets the text of a file, included ones too."""
    callers = list(gin_config._FILE_READERS)
    gin_config._FILE_READERS.insert(0, (_text, os.path.isfile))
    try:
        yield
    finally:
        gin_config._FILE_READERS[:] = callers


@contextlib.contextmanager
def _one_line(source: str = "") -> Iterator[None]:
    """gin's errors as a UsageError of one line; what it logs of files that it does not find is left out.

    Args:
        source: of what is parsed, for the error, where gin does not tell it.
    """

    def is_wanted(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Path not found")

    logging.getLogger().addFilter(is_wanted)
    try:
        yield
    except UsageError:
        raise
    except RecursionError as error:
        raise UsageError("gin configuration: a file includes itself, or a name refers to itself") from error
    except (
        *(AttributeError, ImportError, KeyError, NameError, OSError),
        *(RuntimeError, SyntaxError, TypeError, ValueError, tokenize.TokenError),
    ) as error:
        text = _MALFORMED.sub("", one_line(error).split(" in config string: ")[0])  # a whole configuration would follow
        hint = "; write text in quotes, such as data = 'folder:/images'" if _NO_VALUE.search(text) else ""
        text, _, trail = text.partition(" In bindings string")
        unknown = _NO_PARAMETER.search(text)
        if unknown and (configurable := gin_config._REGISTRY.get_match(unknown[1])):
            hint = f"; it takes {', '.join(inspect.signature(configurable.wrapped).parameters)}"
        raise UsageError(f"gin configuration: {text}{f' ({source})' if source else ''}{hint}") from error
    finally:
        logging.getLogger().removeFilter(is_wanted)


def bound_by(line: str) -> list[str]:
    """Full names of what a line such as "scope/Thing.parameter = 3" binds: none for a macro, several if unclear."""
    name = line.split("=")[0].strip().rpartition("/")[2].rpartition(".")[0]
    return gin_config._REGISTRY.matching_selectors(name) if name else []


def references() -> set[tuple[str, str]]:
    """What the values that are bound refer to: (scope, full name), of macros (name of the macro, "gin.macro")."""
    found, queue = set(), list(gin_config._CONFIG.values())
    while queue:
        value = queue.pop()
        if isinstance(value, gin_config.ConfigurableReference):
            found.add((value.scoped_selector.rpartition("/")[0], value.configurable.selector))
        elif isinstance(value, dict):
            queue += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set)):
            queue += value
    return found


def _check_macros() -> None:
    """Rejects macros that nothing refers to: a misspelt one is legal gin and would be ignored."""
    used = {scope for scope, selector in references() if selector == "gin.macro"}
    defined = {scope for (scope, selector) in gin_config._CONFIG if selector == "gin.macro"}
    for name in sorted(defined - used):
        close = difflib.get_close_matches(name, used, 1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; the recipe uses {', '.join(sorted(used)) or 'none'}"
        raise UsageError(f"gin configuration: the macro {name!r} is defined but never used{hint}")


def make(configurable: type):
    """An instance of a registered class with what gin binds; what is missing or of a wrong type is a UsageError."""
    try:
        return gin.get_configurable(configurable)()
    except UsageError:
        raise
    except RecursionError as error:
        raise UsageError(f"gin configuration of {configurable.__name__}: a name refers to itself") from error
    except (RuntimeError, TypeError, ValueError) as error:
        selector = f"{configurable.__module__}.{configurable.__name__}"
        bound = gin_config._CONFIG.get(("", selector), {}).items()
        objects = [f"{configurable.__name__}.{name}={value}" for name, value in bound if str(value).endswith("()")]
        made = "required positional" in str(error) and objects
        hint = f"; {', '.join(objects)}: in gin @Name is a class, and @Name() an object of it" if made else ""
        raise UsageError(f"gin configuration of {configurable.__name__}: {one_line(error)}{hint}") from error


def value(name: str):
    """What a macro, such as "data", stands for; None if it is not defined."""
    parameters = gin_config._CONFIG.get((name, "gin.macro"), {})
    return parameters.get("value")


def query(parameter: str):
    """What is bound to a parameter such as "load.cache_dir", macros resolved; None where nothing is."""
    try:
        return copy.deepcopy(gin.query_parameter(parameter))  # copying a reference evaluates it
    except ValueError:
        return None


def binds(configurable: type) -> bool:
    """Whether anything of a registered class is bound."""
    return any(selector == f"{configurable.__module__}.{configurable.__name__}" for _, selector in gin_config._CONFIG)


def bound_scopes() -> set[str]:
    """The scopes that something is bound in."""
    return {scope for scope, _ in gin_config._CONFIG}


def text() -> str:
    """Everything that is bound, and everything that was used, defaults included: enough to rebuild the run."""
    merged = {key: dict(parameters) for key, parameters in gin_config._CONFIG.items()}
    for key, parameters in gin_config._OPERATIVE_CONFIG.items():
        merged.setdefault(key, {}).update(parameters)
    return gin_config._config_str(merged, max_line_length=100, continuation_indent=4)


def values(text: str) -> dict[str, str]:
    """The bindings of a configuration: "scope/Thing.parameter" → its value as gin writes it."""
    with isolated():
        with _one_line():
            gin.parse_config(text, skip_unknown=False)
        return {
            "/".join(filter(None, (scope, selector.rpartition(".")[2]))) + f".{parameter}": repr(value)
            for (scope, selector), parameters in gin_config._CONFIG.items()
            for parameter, value in parameters.items()
        }
