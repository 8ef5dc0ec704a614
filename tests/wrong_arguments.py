"""Every constructor argument that a shipped recipe reaches, with wrong values: a line, or a sensible model.

python -m tests.wrong_arguments [RECIPE…]        all pairs, or those of some recipes; a line for each that is neither
"""

import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gin import config as gin_config

from launch import common
from tests.helpers import ROOT, TINY
from tfade.errors import UsageError
from tfade.training import configuration
from tfade.training.recipe import Recipe, build_model, recipe_of_data

RECIPES = sorted((ROOT / "gin").glob("*.gin"))
VALUES = ("0", "-1", "1.5", "'x'", "None", "True", "(1, 2)", "1e400", "10**12", "[]", "{}", "@DCGANEncoder", "@R1()")
LITERALS = {"10**12": "1000000000000"}  # gin reads literals, no arithmetic
NOT_OF_A_MODEL = ("macro", "load", "Recipe")
PATIENCE = 60  # seconds; whatever takes longer is taken for hanging


class Pair(NamedTuple):
    """A binding of a wrong value."""

    name: str  # as in "couplings/Stack.repeat"
    value: str

    @property
    def line(self) -> str:
        return f"{self.name} = {LITERALS.get(self.value, self.value)}"


class Hanging(Exception):
    """A model that is not built in time."""


def files_of(recipe: Path) -> list[str]:
    return [str(recipe), TINY]


def reached(recipe: Path) -> tuple[dict[str, object], str]:
    """The arguments that building the recipe's model takes from gin, with their values; and a line that binds its data."""
    with common.workspace().configured(files_of(recipe), ["steps = 2"]):
        made, *_ = recipe_of_data()
        spec = f"Recipe.spec = {made.spec!r}"
        build_model(made)
        arguments = {
            f"{scope}/{selector}".lstrip("/").replace(selector, selector.rpartition(".")[2]) + f".{name}": value
            for (scope, selector), parameters in gin_config._OPERATIVE_CONFIG.items()
            if selector.startswith("tfade.") and selector.rpartition(".")[2] not in NOT_OF_A_MODEL
            for name, value in parameters.items()
        }
    return arguments, spec


def pairs(arguments: dict[str, object], known: set[str]) -> Iterator[Pair]:
    """The pairs of a recipe whose arguments, scopes aside, are not among `known`, which they join."""
    for name, value in sorted(arguments.items()):
        bare = name.rpartition("/")[2]
        if bare not in known:
            known.add(bare)
            yield from (Pair(name, wrong) for wrong in VALUES if wrong != repr(value))


def outcome(recipe: Path, spec: str, pair: Pair, besides: Sequence[str] = ()) -> str:
    """ "model", the line of a UsageError, or "!" and what else came."""

    def late(*_):
        raise Hanging

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    try:
        with common.workspace().configured(files_of(recipe), ["steps = 2", spec, *besides, pair.line]):
            build_model(configuration.make(Recipe))
    except UsageError as error:
        text = str(error).split("\n  In call to configurable")[0]
        return f"! several lines: {text!r}" if "\n" in text else text
    except Exception as error:
        return f"! {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return "model"


def names_the_argument(pair: Pair, line: str) -> bool:
    return re.search(rf"\b{re.escape(pair.name.rpartition('.')[2])}\b", line) is not None


def main(names: list[str]) -> None:
    known, counts, started = set(), {"line": 0, "model": 0, "unnamed": 0, "other": 0}, time.perf_counter()
    for recipe in [path for path in RECIPES if not names or path.stem in names]:
        arguments, spec = reached(recipe)
        for pair in pairs(arguments, known):
            found = outcome(recipe, spec, pair)
            named = found == "model" or names_the_argument(pair, found)
            kind = "other" if found[0] == "!" else "model" if found == "model" else "line" if named else "unnamed"
            counts[kind] += 1
            print(kind, recipe.stem, pair.line, "" if kind == "model" else found, sep="\t", flush=True)
    print(counts, f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
