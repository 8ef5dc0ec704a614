"""The runs of an ablation table: what each is configured as, its training, and its evaluation."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tfade import data, pictures
from tfade.errors import UsageError
from tfade.evaluation import select
from tfade.evaluation.records import FORMAT
from tfade.evaluation.result import Result
from tfade.files import read_json, write_json, write_text
from tfade.networks.topdown_decoder import TopDownDecoder
from tfade.reporting.ablation_report import RunReport
from tfade.training import binding_use, configuration, model_pictures, recorded_configuration
from tfade.training.isolation import Frozen, frozen, isolated
from tfade.training.recipe import build_model, recipe_of_data
from tfade.training.recorded_model import read_source
from tfade.training.train import train
from tfade.workflows.ablation import Ablation, Row, slug
from tfade.workflows.evaluation import evaluate_run
from tfade.workflows.latent_density import lines_of, model_line
from tfade.workflows.workspace import OpenRun, Workspace

SAMPLES_SHOWN = 64
GENERATIVE = ("generator", "decoder", "flow", "density", "pixels", "prior")  # networks that p(x) is made of


class PlannedRun(NamedTuple):
    """One row with one seed.

    Attributes:
        row: its name.
        seed: of everything random in it.
        path: its directory.
        configuration: all that gin binds, as it was when the table began: later changes of files are not seen.
        parameters: trainable parameters of p(x).
        source: directory of the run whose codes it is a density of, with the kind of codes; None for others.
    """

    row: str
    seed: int
    path: Path
    configuration: Frozen
    parameters: int
    source: tuple[Path, str] | None = None


class Plan(NamedTuple):
    """What an ablation is about to do.

    Attributes:
        runs: in the order of the table.
        parameters: trainable parameters of p(x) by the rows' names.
        evaluation: gin lines that override a finished run's configuration when it is evaluated.
    """

    runs: list[PlannedRun]
    parameters: dict[str, int]
    evaluation: list[str]


def plan_runs(
    workspace: Workspace,
    folder: Path,
    ablation: Ablation,
    files: Sequence[str],
    bindings: Sequence[str],
    evaluation: Sequence[str],
) -> Plan:
    """The plan of an ablation; every configuration is tried before anything is trained.

    Args:
        workspace: of the gin files.
        folder: of the table.
        ablation: the table.
        files: gin files that override every row.
        bindings: gin lines that override these.
        evaluation: gin lines that override the table's own lines for finished runs.

    Raises:
        UsageError: the configuration of a row, or what overrides it, is wrong.
    """
    runs, counts, lines = [], {}, [*ablation.evaluation, *evaluation]
    files_of: dict[str, list[str]] = {}
    for row in ablation.rows:
        row_files = files_of[row.name] = gin_files_of(workspace, folder, row, ablation, files)
        wrapped = [] if row.codes_of is None else wrapped_model_bindings(workspace, files_of[row.codes_of], bindings)
        counts[row.name] = count_parameters(workspace, row_files, [*bindings, *wrapped])
        for seed in ablation.seeds:
            with workspace.configured(row_files, [*bindings, f"seed = {seed}"]):
                if configuration.binds(Ablation) or configuration.binds(Row):
                    raise UsageError(
                        f"{', '.join(files)} bind something of Ablation or Row, which only the first --gin_file may; "
                        "give it as --gin_bindings"
                    )
                content = frozen()
            with isolated(content):  # a slip here would be found only after hours of training
                configuration.bind(lines)
                select(",".join(ablation.metrics))
            source = None if row.codes_of is None else (_path(folder, row.codes_of, seed), row.codes)
            runs.append(PlannedRun(row.name, seed, _path(folder, row.name, seed), content, counts[row.name], source))
    return Plan(runs, counts, lines)


def _path(folder: Path, row: str, seed: int) -> Path:
    return folder / f"{slug(row)}-seed{seed}"


def wrapped_model_bindings(workspace: Workspace, files: Sequence[str], bindings: Sequence[str]) -> list[str]:
    """The gin lines that let a density wrap the model that these files describe, before there is a run of it."""
    with workspace.configured(files, bindings):
        recipe_of_data()  # binds the specification of the data
        return [model_line(tuple(recorded_configuration.recorded().splitlines()))]


def gin_files_of(workspace: Workspace, folder: Path, row: Row, ablation: Ablation, files: Sequence[str]) -> list[str]:
    """The gin files of a row, each overriding those before it: the row's own, the table's, the bindings of both as a
    file in `folder`, and the user's."""
    bindings = folder / "rows" / f"{row.slug}.gin"
    lines = [f"# {row.name}: what the table binds.", *row.bindings, *ablation.bindings]
    write_text(bindings, "\n".join(lines) + "\n")
    named = [str(workspace.root / file) for file in (*row.gin_files, *ablation.gin_files)]
    return [*named, str(bindings), *files]


def count_parameters(workspace: Workspace, files: Sequence[str], bindings: Sequence[str]) -> int:
    """Trainable parameters of p(x) of a row's model.

    Raises:
        UsageError: the configuration is wrong.
    """
    with workspace.configured(files, bindings):
        networks = build_model(recipe_of_data()[0]).networks
        binding_use.unused()  # rejects what is bound in a scope of nothing
    of_density = [network for name, network in networks.items() if name in GENERATIVE]
    of_posterior = [network.posterior_variables for network in of_density if isinstance(network, TopDownDecoder)]
    return sum(_size(network.trainable_variables) for network in of_density) - sum(map(_size, of_posterior))


def _size(variables) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def train_run(run: PlannedRun, revision: str | None) -> float | None:
    """Trains a run, or continues to; the minutes that it took, or None if its training was interrupted."""
    file = run.path / "minutes.json"
    new, before = not run.path.exists(), newest_checkpoint(run.path)
    began = time.perf_counter()
    with isolated(run.configuration):
        if run.source is not None:
            path, codes = run.source
            configuration.bind(lines_of(read_source(path), codes))
        train(run.path, revision=revision, evaluated=True)
    if new:
        write_json(file, (time.perf_counter() - began) / 60)
    elif newest_checkpoint(run.path) != before:
        file.unlink(missing_ok=True)
    minutes = read_json(file)
    return minutes if isinstance(minutes, float) else None


def newest_checkpoint(run_dir: Path) -> str | None:
    """Its file's name."""
    return max((path.name for path in (run_dir / "checkpoints").glob("step-*.npz")), default=None)


def _picture(run: OpenRun):
    """Samples: a grid of images, or vectors beside held-out ones."""
    if run.model.spec.is_image:
        return pictures.magnified(model_pictures.sample_picture(run.model, SAMPLES_SHOWN, seed=0))
    return model_pictures.scatter_picture(run.model, data.load(run.recipe.data, "test"), seed=0)


def evaluate_trained(
    workspace: Workspace, run: PlannedRun, num_samples: int, metrics: Sequence[str], bindings: Sequence[str]
) -> RunReport:
    """Evaluates a trained run, unless its file says that the same weights were evaluated by the same protocol before.

    A report with a failed metric is not written, so that the same command evaluates the run again.
    """
    asked = {
        "format": FORMAT,
        "num_samples": num_samples,
        "bindings": list(bindings),
        "checkpoint": newest_checkpoint(run.path),
        "metrics": list(metrics),
    }
    file = run.path / "ablation.json"
    known = read_json(file)
    of_run = {"row": run.row, "seed": run.seed, "parameters": run.parameters}
    if isinstance(known, dict) and known.get("asked") == asked:
        results = {result["name"]: Result.from_json(result) for result in known["results"]}
        return RunReport(**of_run, results=results, **known["others"])
    with workspace.open_run(run.path, bindings=bindings) as opened:
        report = evaluate_run(opened, metrics=",".join(metrics), bound=True, num_samples=num_samples)
        picture = run.path / "samples" / "ablation.png"
        with model_pictures.skip_on_failure("picture"):
            pictures.save(picture, _picture(opened))
    others = {
        "not_applicable": {o.metric: o.not_applicable for o in report.outcomes if o.not_applicable is not None},
        "picture": str(picture.relative_to(run.path.parent)),
        "revision": workspace.revision,
    }
    if not report.failures:
        results = [result.to_json() for result in report.results.values()]
        write_json(file, {"asked": asked, "results": results, "others": others})
    failed = "; ".join(f"{metric}: {reason}" for metric, reason in report.failures.items()) or None
    return RunReport(**of_run, results=report.results, **others, failed=failed)
