"""Evaluating a run: its model, its data, the metrics; records and a report in the run directory."""

import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfade import data
from tfade.evaluation import Pictures, Report, Subject, evaluate, select
from tfade.evaluation.features.classifier_cache import weights_fingerprint
from tfade.evaluation.features.extractors import Extractor
from tfade.kernels import cpu_kernels
from tfade.reporting.evaluation_report import write_report
from tfade.training import configuration
from tfade.training.inference_bound import inference_bound
from tfade.training.train import PACKAGES, installed
from tfade.workflows.workspace import OpenRun, classifier_cache

NUM_SAMPLES = 10_000


def evaluate_run(
    run: OpenRun,
    *,
    metrics: str | None = None,
    num_samples: int = NUM_SAMPLES,
    temperature: float = 1.0,
    seed: int = 0,
    bound: bool = False,
    extractor: Extractor | None = None,
    out: Path | None = None,
) -> Report:
    """Evaluates a run on the test split; writes evaluation/<metric>.json and evaluation/report.html.

    Args:
        run: as `Workspace.open_run` gives it.
        metrics: comma-separated names, or None for those that gin binds to `evaluate`, the quick ones by default.
        num_samples, temperature, seed: of `Subject`.
        bound: whether to fit an inference network to a model without a likelihood, which gives a lower bound of one.
        extractor: the feature network of sample metrics; None for what gin binds to `evaluate.extractor`, by default
            the classifier.
        out: folder of what is written; None for the run directory. Several checkpoints are kept apart by it.

    Returns:
        The report.
    """
    model, recipe = run.model, run.recipe
    settings = {"num_samples": num_samples, "temperature": temperature, "seed": seed, "cache_dir": classifier_cache()}
    other = None
    if recipe.other_data is not None:
        splits = {role: data.load(recipe.other_data, split) for role, split in (("real", "test"), ("train", "train"))}
        other = Subject(model, **splits, **settings)
    subject = Subject(
        model,
        real=data.load(recipe.data, "test"),
        train=data.load(recipe.data, "train"),
        validation=data.load_if_there(recipe.data, "validation"),
        fit_bound=inference_bound if bound else None,
        other=other,
        **settings,
    )
    state, step = model.state(), int(model.step.numpy())
    sampling = {"num_samples": num_samples, "temperature": temperature, "seed": seed, "bound": bound}
    defaults = {"num_samples": NUM_SAMPLES, "temperature": 1.0, "seed": 0, "bound": False}
    changed = {name: value for name, value in sampling.items() if value != defaults[name]}
    base = [f"--run_dir={run.path}"]
    if out is not None or run.checkpoint != "latest":
        base.append(f"--checkpoint={step}")  # which step is the best may change
    origin = {
        "model": type(model).__name__,
        "checkpoint": step,
        "weights": weights_fingerprint([state[name].numpy() for name in sorted(state)]),
        "base": [*base, *([] if out is None else [f"--out={out}"])],
        "settings": [*as_flags(changed), *run.flags],
    }
    return evaluate_and_save(run.path if out is None else out, subject, metrics, origin, run.revision, extractor)


def evaluate_and_save(
    folder: Path,
    subject: Subject,
    metrics: str | None,
    origin: dict,
    revision: str | None,
    extractor: Extractor | None = None,
) -> Report:
    """Evaluates a subject: each metric is saved as soon as it is known, then the page of all that is known so far.

    Args:
        folder: the run directory, or the folder of an evaluation of external images.
        subject: what is evaluated.
        metrics, extractor: as for `evaluate_run`.
        origin: what is evaluated, and the flags of the command that evaluates it: "base" and "settings".
        revision: of the source, or None.
    """
    chosen = {}
    if metrics is not None:
        chosen["metrics"] = select(metrics)
        if not any(isinstance(metric, Pictures) for metric in chosen["metrics"]):
            chosen["metrics"].append(configuration.make(Pictures))  # who reads numbers wants to see what they are of
    if extractor is not None:
        chosen["extractor"] = extractor
    named = [] if metrics is None else [f"--metrics={metrics}"]
    command = shlex.join(["python", "-m", "launch.evaluate", *origin["base"], *named, *origin["settings"]])
    versions = {"python": platform.python_version(), **installed(PACKAGES)}
    origin = {**origin, "command": command, "versions": versions, "kernels": cpu_kernels(), "revision": revision}
    report = evaluate(subject, origin=origin, finished=lambda record: record.save(folder / "evaluation"), **chosen)
    write_report(folder, origin)
    return report


def as_flags(values: Mapping[str, Any]) -> list[str]:
    """Flags as they are typed: a name and its value, a value for each item of a sequence, or True for a bare flag."""
    flags = []
    for name, value in values.items():
        items: Sequence = value if isinstance(value, (list, tuple)) else [value]
        flags += [f"--{name}" if item is True else f"--{name}={item}" for item in items]
    return flags
