"""Training a recipe to its results: checkpoints, then a picture, TensorBoard's projector, an evaluation, an export."""

from pathlib import Path

from tfade import data
from tfade.errors import UsageError
from tfade.evaluation import Report
from tfade.export import export
from tfade.stopwatch import Stopwatch
from tfade.training import configuration
from tfade.training.model_pictures import skip_on_failure, write_overview
from tfade.training.projector import project
from tfade.training.recipe import Recipe
from tfade.training.run_directory import RunDirectory
from tfade.training.train import train
from tfade.training.visualisation import Visualisation
from tfade.workflows.evaluation import evaluate_run
from tfade.workflows.workspace import Workspace


def train_recipe(
    workspace: Workspace, run_dir: Path, train_only: bool = False, stopwatch: Stopwatch | None = None
) -> Report | None:
    """Trains the recipe that gin holds, or continues its run, and prints where the results are.

    Args:
        workspace: of the gin files.
        run_dir: the run directory.
        train_only: whether to leave out evaluation and export.
        stopwatch: records how long each phase takes.

    Returns:
        The report of the evaluation; None if there was none, or if another process of the cluster has it.

    Raises:
        UsageError: gin holds no recipe; and as `train`.
    """
    if not configuration.binds(Recipe):
        raise UsageError(
            "the gin files bind no parameter of Recipe, so there is nothing to train; tables are for python -m "
            "launch.ablation, gin/tables/density_ratio.gin is for python -m launch.density_ratio"
        )
    reports, stopwatch = [], stopwatch or Stopwatch()

    def finish(run: RunDirectory) -> None:
        if train_only:
            print(f"trained: {run.path}")
        else:
            reports.append(finish_run(workspace, run, stopwatch))

    train(run_dir, revision=workspace.revision, evaluated=not train_only, finish=finish, stopwatch=stopwatch)
    return next(iter(reports), None)


def finish_run(workspace: Workspace, run: RunDirectory, stopwatch: Stopwatch | None = None) -> Report:
    """Shows, evaluates and exports what lies on disk, as anybody would who opens the run later."""
    stopwatch = stopwatch or Stopwatch()
    with workspace.open_run(run.path) as opened:
        settings, recipe = configuration.make(Visualisation), opened.recipe
        held_out = data.load(recipe.data, "test")
        other = None if recipe.other_data is None else data.load(recipe.other_data, "test")
        picture = run.samples / "overview.png"
        shown = ""
        with skip_on_failure("pictures"):
            if settings.samples and write_overview(
                opened.model, held_out, picture, settings.samples, settings.reconstructions, other
            ):
                shown = f"picture:     {picture}\n"
            project(opened.model, held_out, run.logs, settings.codes)
        stopwatch.end("pictures")
        report = evaluate_run(opened)
        stopwatch.end("evaluation")
        export(opened.model, run.export)
        stopwatch.end("export")
    print(
        f"\n{report.table()}\n\n{shown}tensorboard: tensorboard --logdir {run.logs}\n"
        f"numbers:     {run.evaluation}\nreport:      {run.evaluation / 'report.html'}\nexport:      {run.export}"
    )
    return report
