"""Data sets that are made of another one, by a prefix of its name: `stacked:`, `painted:`, `first_half:`, …"""

from tfade.data.halves import HALVES, HalfSource
from tfade.data.painted import PaintedSource
from tfade.data.source import Source
from tfade.data.stacked import StackedSource
from tfade.errors import UsageError

GREY = ("stacked", "painted")  # made of grey images only
DERIVATIONS = (*GREY, *HALVES)
ALIASES = {"color_digits": "stacked:digits", "color_mnist": "stacked:tfds:mnist"}


def split_prefixes(name: str) -> tuple[list[str], str]:
    """The derivations that a name begins with, the last to be done first, and the name of the set that they are of."""
    derivations, name = [], ALIASES.get(name, name)
    first, _, rest = name.partition(":")
    while first in DERIVATIONS and rest:
        derivations.append(first)
        name = ALIASES.get(rest, rest)
        first, _, rest = name.partition(":")
    return derivations, name


def derived(source: Source, derivations: list[str], name: str, stacked_examples: int) -> Source:
    """A data set made of another one.

    Args:
        source: what it is made of.
        derivations: as `split_prefixes` returns them.
        name: of the result, and of the data in errors.
        stacked_examples: examples of a stacked set in this split.

    Raises:
        UsageError: images that are not grey are to be stacked or painted, or a half has no examples.
    """
    for depth in reversed(range(len(derivations))):
        kind, own = derivations[depth], name if depth == 0 else f"{derivations[depth]}:{source.spec.name}"
        if kind in GREY and (not source.spec.is_image or source.spec.shape[2] != 1):
            raise UsageError(f"data={name!r}: only grey images can be {kind}; use a grey set, or load.channels = 1")
        if kind == "stacked":
            source = StackedSource(own, source, stacked_examples)
        elif kind == "painted":
            source = PaintedSource(own, source)
        else:
            source = HalfSource(own, source, kind)
    return source
