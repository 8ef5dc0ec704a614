"""Evaluations side by side: a row for each run, and a column for each number of one protocol.

Numbers of one name that were made by different protocols never share a column: each protocol has one of its own, whose
header says what differs.
"""

import dataclasses
import json
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tfade.evaluation.records import Record, named_results
from tfade.evaluation.report import format_value, number, words
from tfade.evaluation.result import Result


@dataclasses.dataclass
class Run:
    """An evaluated run, or an evaluated set of external images.

    Attributes:
        label: its row's name.
        path: its folder.
        records: what its evaluation left there.
    """

    label: str
    path: Path
    records: list[Record]

    @property
    def results(self) -> dict[str, Result]:
        return named_results(self.records)

    def record(self, metric: str) -> Record | None:
        return next((record for record in self.records if record.metric == metric), None)

    def command(self, metric: str, settings: Sequence[str]) -> str:
        """What evaluates it with these flags."""
        bases = [record.origin["base"] for record in self.records if record.origin.get("base")]
        base = bases[0] if bases else [f"--run_dir={self.path}"]
        if (self.path / "config.gin").is_file():  # a run that may have been moved since
            base = [f"--run_dir={self.path}", *(flag for flag in base if not flag.startswith("--run_dir="))]
        return shlex.join(["python", "-m", "launch.evaluate", *base, f"--metrics={metric}", *settings])


@dataclasses.dataclass
class Column:
    """Numbers of one name and one protocol.

    Attributes:
        name: of the result.
        metric: that gave it.
        protocol: what its numbers share.
        differs: the part of the protocol that tells it from the other columns of this name; empty for the only one.
        values: label of a run → its result.
        real: the same number of real data, where the metric gives it: label → result.
    """

    name: str
    metric: str
    protocol: dict
    differs: dict
    values: dict[str, Result]
    real: dict[str, Result]

    @property
    def header(self) -> str:
        differing = ", ".join(f"{words(key)} {_short(value)}" for key, value in self.differs.items())
        return words(self.name) + (f" ({differing})" if differing else "")


def find_columns(runs: Sequence[Run]) -> list[Column]:
    """The columns: by metric and name in the order of the runs, those of more numbers first."""
    metrics = {result.name: record.metric for run in runs for record in run.records for result in record.results}
    columns = []
    for name, metric in sorted(metrics.items(), key=lambda item: item[1]):  # sorting keeps the order within a metric
        holders = [run for run in runs if name in run.results]
        groups: dict[str, list[Run]] = {}
        for run in holders:
            key = json.dumps(run.results[name].protocol, sort_keys=True)
            groups.setdefault(key, []).append(run)
        protocols = [json.loads(key) for key in groups]
        for protocol, group in sorted(zip(protocols, groups.values()), key=lambda pair: -len(pair[1])):
            values = {run.label: run.results[name] for run in group}
            real = {label: result.real for label, result in values.items() if result.real is not None}
            columns.append(Column(name, metric, protocol, _telling(protocol, protocols), values, real))
    return columns


def cells(runs: Sequence[Run], columns: Sequence[Column]) -> tuple[list[str], list[list[str]]]:
    """The header, and a row of texts for each run; the last row is that of real data, where any metric gives it."""
    rows = []
    for run in runs:
        row = [run.label]
        for column in columns:
            if run.label in column.values:
                row.append(number(column.values[run.label]) + ("†" if is_stale(run, column.metric) else ""))
            else:
                row.append("" if column.name in run.results else "–")
        rows.append(row)
    if any(column.real for column in columns):
        real = [" / ".join(dict.fromkeys(number(result) for result in column.real.values())) for column in columns]
        rows.append(["real data", *real])
    return ["", *(column.header for column in columns)], rows


def _telling(protocol: dict, all_protocols: list[dict]) -> dict:
    """The fewest leading keys, of those that differ, by which every protocol can be told from the others."""

    def kinds(*keys: str) -> int:
        return len({json.dumps([p.get(key) for key in keys], sort_keys=True) for p in all_protocols})

    chosen: list[str] = []
    for key in keys_of(*all_protocols):
        if kinds(*chosen) < len(all_protocols) and kinds(key) > 1:
            chosen.append(key)
    return {key: protocol.get(key) for key in chosen}


def is_stale(run: Run, metric: str) -> bool:
    """Whether a metric's numbers are of other weights than the run's newest numbers."""
    return run.record(metric).origin.get("weights") != newest_origin(run).get("weights")


def newest_origin(run: Run) -> dict:
    """The origin of the run's newest numbers: of which weights they are."""
    return max(run.records, key=lambda record: (record.origin.get("checkpoint", -1), record.saved)).origin


def keys_of(*protocols: dict) -> list[str]:
    """The keys of all protocols, in the order in which they come."""
    return list(dict.fromkeys(key for protocol in protocols for key in protocol))


def _short(value) -> str:
    return textwrap.shorten(format_value(value), 24, placeholder="…")
