"""Notes below a comparison: where protocols differ, what is missing and what is stale, with the commands that help."""

from collections.abc import Sequence

from tfade.evaluation.report import format_value, left_out, words
from tfade.reporting.comparison import Column, Run, is_stale, keys_of, newest_origin
from tfade.reporting.evaluation_report import describe

OF_THE_DATA = ("data", "split", "shape")  # no flag makes these agree, and what else differs follows from them


def differences(runs: Sequence[Run], columns: Sequence[Column]) -> list[str]:
    """For numbers of different protocols: which keys differ, and what would make them agree."""
    first: dict[str, Column] = {}
    notes: dict[str, list[str]] = {}
    for column in columns:
        one, two = first.setdefault(column.name, column).protocol, column.protocol
        if keys := [key for key in keys_of(one, two) if one.get(key) != two.get(key)]:
            others = [key for key in keys if key in OF_THE_DATA]
            parts = "; ".join(
                f"{words(key)} {format_value(one.get(key))} or {format_value(two.get(key))}" for key in others or keys
            )
            whose = f"{', '.join(first[column.name].values)} against {', '.join(column.values)}"
            remedy = "No command makes these agree." if others else _remedy(runs, first[column.name], column)
            notes.setdefault(f"{whose}: {parts}. {remedy}", []).append(words(column.name))
    return [f"different protocols of {', '.join(names)}, {note}" for note, names in notes.items()]


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
        old = [record.metric for record in run.records if record.results and is_stale(run, record.metric)]
        for metric in old:
            whose = describe(run.record(metric).origin)
            newest = describe(newest_origin(run))
            command = run.command(metric, run.record(metric).origin.get("settings", []))
            notes.append(f"† {run.label}: {words(metric)} is of {whose}, other numbers are of {newest}: {command}")
    return notes


def _remedy(runs: Sequence[Run], first: Column, other: Column) -> str:
    by_label = {run.label: run for run in runs}

    def settings(label: str) -> list[str]:
        return by_label[label].record(first.metric).origin.get("settings", [])

    wanted = settings(next(iter(first.values)))
    if all(settings(label) == wanted for label in other.values):
        return "The flags were the same; a setting that the runs' configurations bind can be bound by --gin_bindings."
    commands = [by_label[label].command(first.metric, wanted) for label in other.values]
    return f"They agree after: {'; '.join(commands)}"
