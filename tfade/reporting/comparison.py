"""Evaluations side by side: a row for each run, and a column for each number of one protocol.

Numbers of one name that were made by unlike protocols never share a column: each protocol gets one of its own, headed
by what differs, and a note says which command would make them alike.
"""

import dataclasses
import json
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path

from tfade.errors import UsageError
from tfade.evaluation.records import Record, named_results, read_records
from tfade.evaluation.report import format_value, left_out, number, words
from tfade.evaluation.result import Result
from tfade.files import write_text
from tfade.reporting.comparison_page import html, markdown, plain
from tfade.reporting.evaluation_report import what

OF_THE_DATA = ("data", "split", "shape")  # no flag makes these alike, and what else differs follows from them


@dataclasses.dataclass
class Run:
    """An evaluated run, or an evaluated set of foreign images.

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
        base = [f"--run_dir={self.path}"] if (self.path / "config.gin").is_file() or not bases else bases[0]
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
        said = ", ".join(f"{words(key)} {_short(value)}" for key, value in self.differs.items())
        return words(self.name) + (f" ({said})" if said else "")


def compare(paths: Sequence[Path], out: Path) -> str:
    """Writes the comparison as a page, and as Markdown beside it.

    Args:
        paths: directories of runs, or of evaluations of foreign images; two or more, each once.
        out: the page, an .html file.

    Returns:
        The comparison as plain text.

    Raises:
        UsageError: a directory without a run or an evaluation, or given twice; or nothing was evaluated.
    """
    runs = _opened(paths)
    columns = find_columns(runs)
    if not columns:
        raise UsageError(f"none of the runs has numbers yet; first: {runs[0].command('all', [])}")
    header, rows = cells(runs, columns)
    notes = [*differences(runs, columns), *missing(runs, columns), *stale(runs)]
    write_text(out, html(runs, columns, header, rows, notes))
    write_text(out.with_suffix(".md"), markdown(header, rows, notes))
    return "\n".join([plain(header, rows), "", *(f"* {note}" for note in notes)]).rstrip()


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
                row.append(number(column.values[run.label]) + ("†" if _is_stale(run, column.metric) else ""))
            else:
                row.append("" if column.name in run.results else "–")
        rows.append(row)
    if any(column.real for column in columns):
        real = [" / ".join(dict.fromkeys(number(result) for result in column.real.values())) for column in columns]
        rows.append(["real data", *real])
    return ["", *(column.header for column in columns)], rows


def differences(runs: Sequence[Run], columns: Sequence[Column]) -> list[str]:
    """For numbers of unlike protocols: which keys differ, and what would make them alike."""
    first: dict[str, Column] = {}
    notes: dict[str, list[str]] = {}
    for column in columns:
        one, two = first.setdefault(column.name, column).protocol, column.protocol
        if keys := [key for key in _keys(one, two) if one.get(key) != two.get(key)]:
            others = [key for key in keys if key in OF_THE_DATA]
            parts = "; ".join(
                f"{words(key)} {format_value(one.get(key))} or {format_value(two.get(key))}" for key in others or keys
            )
            whose = f"{', '.join(first[column.name].values)} against {', '.join(column.values)}"
            remedy = "No command makes these alike." if others else _remedy(runs, first[column.name], column)
            notes.setdefault(f"{whose}: {parts}. {remedy}", []).append(words(column.name))
    return [f"unlike protocols of {', '.join(names)}, {note}" for note, names in notes.items()]


def missing(runs: Sequence[Run], columns: Sequence[Column]) -> list[str]:
    """What some runs have and others have not, with the command that makes it or the reason why there is none."""
    settings = {}
    for metric in dict.fromkeys(column.metric for column in columns):
        holder = next(run for run in runs if (record := run.record(metric)) and record.results)
        settings[metric] = holder.record(metric).origin.get("settings", [])
    notes = []
    for run in runs:
        absent: dict[tuple, list[str]] = {}
        for metric in settings:
            if run.record(metric) is None:
                absent.setdefault(tuple(settings[metric]), []).append(metric)
        for flags, metrics in absent.items():
            command = run.command(",".join(metrics), flags)
            notes.append(f"{run.label} has no {', '.join(map(words, metrics))} yet: {command}")
        reasons = left_out([record for record in run.records if record.metric in settings])
        notes += [f"{run.label}: {', '.join(names)} {reason}" for reason, names in reasons.items()]
    return notes


def stale(runs: Sequence[Run]) -> list[str]:
    """Which numbers are of an older state of their run than others beside them."""
    notes = []
    for run in runs:
        old = [record.metric for record in run.records if record.results and _is_stale(run, record.metric)]
        for metric in old:
            whose = what(run.record(metric).origin)
            newest = what(_newest(run))
            command = run.command(metric, run.record(metric).origin.get("settings", []))
            notes.append(f"† {run.label}: {words(metric)} is of {whose}, other numbers are of {newest}: {command}")
    return notes


def _opened(paths: Sequence[Path]) -> list[Run]:
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < 2 or len(set(resolved)) < len(resolved):
        raise UsageError(f"compare={[str(path) for path in paths]} needs two runs or more, each once")
    names = [path.name for path in resolved]
    runs = []
    for path, name in zip(paths, names):
        records = read_records(path / "evaluation")
        if not records and not (path / "config.gin").is_file():
            raise UsageError(f"compare={str(path)!r} holds neither a run nor an evaluation")
        runs.append(Run(name if names.count(name) == 1 else str(path), path, records))
    return runs


def _telling(protocol: dict, all_protocols: list[dict]) -> dict:
    """The fewest leading keys, of those that differ, by which every protocol can be told from the others."""

    def kinds(*keys: str) -> int:
        return len({json.dumps([p.get(key) for key in keys], sort_keys=True) for p in all_protocols})

    chosen: list[str] = []
    for key in _keys(*all_protocols):
        if kinds(*chosen) < len(all_protocols) and kinds(key) > 1:
            chosen.append(key)
    return {key: protocol.get(key) for key in chosen}


def _remedy(runs: Sequence[Run], first: Column, other: Column) -> str:
    by_label = {run.label: run for run in runs}

    def settings(label: str) -> list[str]:
        return by_label[label].record(first.metric).origin.get("settings", [])

    wanted = settings(next(iter(first.values)))
    if all(settings(label) == wanted for label in other.values):
        return "The flags were the same; a setting that the runs' configurations bind can be bound by --gin_bindings."
    commands = [by_label[label].command(first.metric, wanted) for label in other.values]
    return f"Alike with: {'; '.join(commands)}"


def _is_stale(run: Run, metric: str) -> bool:
    return run.record(metric).origin.get("weights") != _newest(run).get("weights")


def _newest(run: Run) -> dict:
    """Of which state of the run the newest numbers are."""
    return max(run.records, key=lambda record: (record.origin.get("checkpoint", -1), record.saved)).origin


def _keys(*protocols: dict) -> list[str]:
    return list(dict.fromkeys(key for protocol in protocols for key in protocol))


def _short(value) -> str:
    return textwrap.shorten(format_value(value), 24, placeholder="…")
