"""Chosen metrics applied to one subject. How to add a metric: `tfade.evaluation.metric`."""

import dataclasses
import difflib
import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gin
import numpy as np
import tensorflow as tf
from gin import config as gin_config

from tfade.errors import NonFiniteError, UsageError, one_line
from tfade.evaluation.metric import Metric
from tfade.evaluation.records import Record
from tfade.evaluation.report import Report, left_out
from tfade.evaluation.result import Figure, NotApplicable, Result
from tfade.evaluation.subject import Subject

# What ends one metric, or one row of a table, and leaves the others.
FAILURES = (UsageError, NonFiniteError, MemoryError, np.linalg.LinAlgError, tf.errors.OpError)


def select(names: str | None = None) -> list[Metric]:
    """Metrics by name, each with the settings that gin binds to its class.

    Args:
        names: comma-separated names, such as "mode_coverage,reconstruction_error"; "all"; None for the quick ones,
            those whose class has `default = True`.

    Returns:
        One instance each, in the order given.

    Raises:
        UsageError: an unknown name; the message has the nearest known ones.
    """
    known = known_metrics()
    if names is None:
        wanted = [name for name, metric in known.items() if metric.default]
    else:
        wanted = list(known) if names == "all" else list(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
            if name in {getattr(metric, "name", None) for metric in _subclasses(Metric)}:
                hint = "its class is not registered; decorate it with @gin.register"
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
        origin: kept with every outcome, such as the checkpoint; JSON values.
        finished: called with each outcome as soon as it is known, so that it can be saved before the next metric.

    Returns:
        A `Report` with an outcome for every metric: its results, or why it does not apply; a question that the model
        does not answer (NotImplementedError) is such a reason.

    Raises:
        UsageError: an object that is not a metric or an extractor, or two metrics of one name.
    """
    if extractor is not None:
        subject = dataclasses.replace(subject, extractor=extractor)
    metrics = select() if metrics is None else list(metrics)
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise UsageError(f"metrics has {metric!r}, which is not a Metric; `select` makes metrics from names")
    names = [metric.name for metric in metrics]
    if len(set(names)) < len(names):
        raise UsageError(f"metrics={names} names a metric twice; give each once")
    _announce(subject, metrics)
    outcomes = []
    for position, metric in enumerate(metrics, 1):
        subject.progress(f"[{position}/{len(metrics)}] {metric.name} …")
        started = time.perf_counter()
        found, reason, failed = (), None, None
        try:
            found = tuple(metric(subject))
        except (NotApplicable, NotImplementedError) as error:
            reason = str(error) or f"{type(subject.model).__name__} does not support what this metric needs"
        except FAILURES as error:  # the others are still evaluated
            failed = one_line(error)
        # Samples and the classifier are made by the first metric that needs them, and count among its seconds.
        results = tuple(part for part in found if isinstance(part, Result))
        figures = tuple(part for part in found if isinstance(part, Figure))
        seconds = round(time.perf_counter() - started, 3)
        outcomes.append(Record(metric.name, seconds, results, figures, reason, dict(origin or {}), failed))
        finished(outcomes[-1])
        outcome = next(iter(left_out(outcomes[-1:])), f"{seconds:.1f} s")
        subject.progress(f"[{position}/{len(metrics)}] {metric.name}: {outcome}")
    return Report(tuple(outcomes))


def _announce(subject: Subject, metrics: Sequence[Metric]) -> None:
    """Says which metric will take longest, where one outweighs the samples that all share."""
    works = {metric.name: metric.work(subject) for metric in metrics}
    name = max(works, key=lambda name: works[name].passes, default=None)
    if name is not None and works[name].passes > subject.num_samples:
        passes, description = works[name]
        subject.progress(f"the slowest metric: {name}, {passes:,} passes of a network ({description})")


def known_metrics() -> dict[str, type[Metric]]:
    """Every class of a metric that was imported and is registered with gin, by its name."""
    registered = {entry.wrapped for _, entry in gin_config._REGISTRY.items()}
    return {
        metric.name: metric for metric in _subclasses(Metric) if metric in registered and not inspect.isabstract(metric)
    }


def _subclasses(base: type) -> Iterator[type]:
    for direct in base.__subclasses__():
        yield direct
        yield from _subclasses(direct)
