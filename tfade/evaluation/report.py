"""The outcomes of one evaluation: a table that people read, and files."""

import dataclasses
import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tfade.evaluation.records import Record, named_results
from tfade.evaluation.result import Result

WIDTH = 120  # of the lines below a table


@dataclasses.dataclass(frozen=True)
class Report:
    """The outcomes of one evaluation, in the order in which the metrics were asked for."""

    outcomes: tuple[Record, ...]

    @property
    def results(self) -> dict[str, Result]:
        """Every result by its name."""
        return named_results(self.outcomes)

    @property
    def failures(self) -> dict[str, str]:
        """What went wrong, by the name of the metric."""
        return {outcome.metric: outcome.failed for outcome in self.outcomes if outcome.failed is not None}

    def save(self, folder) -> list[Path]:
        """Writes `folder`/<metric>.json for every metric, each whole or not at all; see `Record.save`.

        Returns:
            The files' paths.
        """
        return [outcome.save(folder) for outcome in self.outcomes]

    def table(self) -> str:
        """The numbers as plain text, real data beside the model; then their protocols, and metrics without a result."""
        rows = [("", "model", "real data")]
        for name, result in self.results.items():
            rows.append((words(name), number(result), number(result.real) if result.real else ""))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}".rstrip() for row in rows]
        lines.insert(1, "-" * (sum(widths) + 4))
        notes = _footnotes(self.outcomes)
        notes += [f"{', '.join(names)}: {reason}" for reason, names in left_out(self.outcomes).items()]
        return "\n".join(
            [*lines, *(part for note in notes for part in textwrap.wrap(note, WIDTH, subsequent_indent="  "))]
        )


def left_out(records: Sequence[Record]) -> dict[str, list[str]]:
    """Why metrics gave no result: "not applicable, …" or "failed, …" → the metrics, as words."""
    reasons: dict[str, list[str]] = {}
    for record in records:
        for kind, reason in (("not applicable", record.not_applicable), ("failed", record.failed)):
            if reason is not None:
                reasons.setdefault(f"{kind}, {reason}", []).append(words(record.metric))
    return reasons


def number(result: Result) -> str:
    """A result's value and uncertainty as text: the uncertainty to two digits, the value to the same place."""
    value, std = result.value, result.std
    places = 1 - math.floor(math.log10(std)) if std else None
    if places is not None and places <= 8:
        places = max(places, 0)
        return f"{value:,.{places}f} ± {std:,.{places}f}"
    text = f"{int(value):,}" if value == int(value) and abs(value) >= 1 else f"{value:.4g}"
    return text if std is None else f"{text} ± {std:.2g}"


def words(name: str) -> str:
    """A metric's or a result's name as words."""
    return name.replace("_", " ")


def format_value(value) -> str:
    """A value of a protocol as text."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return "not stated" if value is None else str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return f"{value:,}" if isinstance(value, int) else json.dumps(value)


def _footnotes(records: Sequence[Record]) -> list[str]:
    """The protocol in words: what most results share on one line, and a line for those that differ from it.

    Keys that only one of several metrics states are left to the files, as are those without a value.
    """
    measured = [record for record in records if record.results]
    stated = [{key for result in record.results for key in result.protocol} for record in measured]
    holders: dict[str, dict[str, list[str]]] = {}
    for name, protocol in _protocols(measured):
        for key, value in protocol.items():
            if value is not None and sum(key in keys for keys in stated) >= min(2, len(measured)):
                holders.setdefault(key, {}).setdefault(f"{words(key)} {format_value(value)}", []).append(name)
    shared, lines = [], []
    for values in holders.values():
        ordered = sorted(values, key=lambda text: -len(values[text]))
        shared += ordered[:1]
        lines += [f"{', '.join(values[text])}: {text}" for text in ordered[1:]]
    if shared:
        lines.insert(0, ", ".join(shared) + (", except:" if lines else ""))
    return lines


def _protocols(records: Sequence[Record]) -> list[tuple[str, dict]]:
    """The name of each result, as words, and its protocol; of its real counterpart, the keys that differ."""
    found = []
    for result in (result for record in records for result in record.results):
        found.append((words(result.name), result.protocol))
        if result.real is not None:
            own = {key: value for key, value in result.real.protocol.items() if value != result.protocol.get(key)}
            found.append((f"{words(result.name)} of real data", own))
    return found
