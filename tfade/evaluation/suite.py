"""Chosen metrics applied to one subject: a report that can be printed and saved."""

import dataclasses
import difflib
import inspect
import math
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gin

from tfade.errors import NonFiniteError, UsageError, one_line
from tfade.evaluation.metrics import REAL, Metric
from tfade.evaluation.records import Record, named_results
from tfade.evaluation.result import Figure, Result
from tfade.evaluation.subject import NotApplicable, Subject

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
        """Writes `folder`/<metric>.json for every metric, each whole or not at all.

        A file holds the metric's name, its seconds, its results (name, value, std, protocol), its figures' names and
        captions (they are `folder`/figures/<name>.png), `not_applicable`: null or the reason why there are none, and
        `origin`: what `evaluate` was told of the subject.

        Returns:
            The files' paths.
        """
        return [outcome.save(folder) for outcome in self.outcomes]

    def table(self) -> str:
        """The numbers as plain text, real data beside the model; then how they were made, and what was not."""
        results = self.results
        rows = [("", "model", "real data")]
        for name, result in results.items():
            if name.endswith(REAL) and name.removesuffix(REAL) in results:
                continue  # it stands beside the model's
            beside = results.get(name + REAL)
            rows.append((words(name), number(result), number(beside) if beside else ""))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}".rstrip() for row in rows]
        lines.insert(1, "-" * (sum(widths) + 4))
        notes = _footnotes(results)
        notes += [f"{', '.join(names)}: {reason}" for reason, names in left_out(self.outcomes).items()]
        return "\n".join(
            [*lines, *(part for note in notes for part in textwrap.wrap(note, WIDTH, subsequent_indent="  "))]
        )


def left_out(records: Sequence[Record]) -> dict[str, list[str]]:
    """Why metrics gave nothing: "not applicable, …" or "failed, …" → the metrics, as words."""
    reasons: dict[str, list[str]] = {}
    for record in records:
        for kind, reason in (("not applicable", record.not_applicable), ("failed", record.failed)):
            if reason is not None:
                reasons.setdefault(f"{kind}, {reason}", []).append(words(record.metric))
    return reasons


def select(names: str | None = None) -> list[Metric]:
    """Metrics by name, each with the settings that gin binds to its class.

    Args:
        names: names with commas between, such as "mode_coverage,reconstruction_error"; "all"; None for the quick ones,
            those whose class says `default`.

    Returns:
        One instance each, in the order given.

    Raises:
        UsageError: an unknown name; the message has the nearest known ones.
    """
    known = {metric.name: metric for metric in Metric.__subclasses__() if not inspect.isabstract(metric)}
    if names is None:
        wanted = [name for name, metric in known.items() if metric.default]
    else:
        wanted = list(known) if names == "all" else list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
            raise UsageError(f"metrics={names!r} has the unknown metric {name!r}; {hint}")
    return [gin.get_configurable(known[name])() for name in wanted]


@gin.configurable
def evaluate(
    subject: Subject,
    metrics: Sequence[Metric] | None = None,
    extractor: Any = None,
    origin: dict | None = None,
    finished: Callable[[Record], object] = lambda record: None,
) -> Report:
    """Applies metrics to a subject, with a line of progress for each.

    Args:
        subject: the model and its data.
        metrics: instances of `Metric`, of which no two have one name; None for the quick ones.
        extractor: the feature network of sample metrics, in place of the subject's; see `Subject.extractor`. In gin:
            `evaluate.extractor = @ItsName()`.
        origin: what is to be kept with every outcome, such as the checkpoint; JSON values.
        finished: called with each outcome when it is there, so that it can be saved before the next is begun.

    Returns:
        A `Report` with an outcome for every metric: its results, or why it does not apply. A method that the model does
        not have (NotImplementedError) is such a reason.

    Raises:
        UsageError: something that is no metric or no extractor, or a name that comes twice.
    """
    if extractor is not None:
        subject = dataclasses.replace(subject, extractor=extractor)
    metrics = select() if metrics is None else list(metrics)
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise UsageError(f"metrics has {metric!r}, which is no Metric; `select` makes metrics from names")
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise UsageError(f"metrics={names} names one twice; give each once, as each has one file")
    outcomes = []
    for position, metric in enumerate(metrics, 1):
        subject.progress(f"[{position}/{len(metrics)}] {metric.name} …")
        started = time.perf_counter()
        found, reason, failed = (), None, None
        try:
            found = tuple(metric(subject))
        except (NotApplicable, NotImplementedError) as error:
            reason = str(error) or f"{type(subject.model).__name__} cannot answer what it asks"
        except (UsageError, NonFiniteError) as error:  # the other metrics are to be had all the same
            failed = one_line(error)
        # Samples and the classifier are made by the first metric that needs them, and count among its seconds.
        results = tuple(part for part in found if isinstance(part, Result))
        figures = tuple(part for part in found if isinstance(part, Figure))
        seconds = round(time.perf_counter() - started, 3)
        outcomes.append(Record(metric.name, seconds, results, figures, reason, dict(origin or {}), failed))
        finished(outcomes[-1])
        said = next(iter(left_out(outcomes[-1:])), f"{seconds:.1f} s")
        subject.progress(f"[{position}/{len(metrics)}] {metric.name}: {said}")
    return Report(tuple(outcomes))


def number(result: Result) -> str:
    """A result's value, with its uncertainty to two digits and itself to as many, as people read it."""
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


def _footnotes(results: dict[str, Result]) -> list[str]:
    """The protocol in words: what most results say on one line, and a line for those that say something else."""
    told = ("data", "split", "num_real", "num_fake", "seed", "temperature", "extractor", "extractor_accuracy", "resize")
    shared, lines = [], []
    for key in told:
        holders: dict[str, list[str]] = {}
        for name, result in results.items():
            model = results.get(name.removesuffix(REAL), result)  # what real data share with it need not be said twice
            if key in result.protocol and (result is model or result.protocol[key] != model.protocol.get(key)):
                value = result.protocol[key]
                text = f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value
                holders.setdefault(f"{words(key)} {text}", []).append(words(name))
        ordered = sorted(holders, key=lambda text: -len(holders[text]))
        shared += ordered[:1]
        lines += [f"{', '.join(holders[text])}: {text}" for text in ordered[1:]]
    if shared:
        lines.insert(0, ", ".join(shared) + (", except:" if lines else ""))
    return lines
