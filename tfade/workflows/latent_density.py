"""A density over the codes of a trained run, as a run of its own that needs the first one no more."""

from collections.abc import Sequence
from pathlib import Path

from tfade import data
from tfade.errors import UsageError
from tfade.evaluation import Report
from tfade.models.latent_density import LatentDensity
from tfade.training import configuration
from tfade.training.recipe import Recipe, recipe_of_data
from tfade.training.recorded_model import SourceRun, read_source
from tfade.training.run_directory import RunDirectory
from tfade.training.train import train
from tfade.workflows.evaluation import evaluate_run
from tfade.workflows.training import finish_run
from tfade.workflows.workspace import Workspace

METRICS = "code_likelihood"


def fit_latent_density(
    workspace: Workspace,
    run_dir: Path,
    out: Path,
    files: Sequence[str],
    bindings: Sequence[str] = (),
    *,
    codes: str = "centres",
    checkpoint: str = "latest",
    trust_imports: bool = False,
    train_only: bool = False,
) -> Report | None:
    """Fits a density to the codes of a run's training data; the result is a run that every launcher opens.

    Args:
        workspace: of the gin files.
        run_dir, checkpoint, trust_imports: of the run with codes, see `load_run`.
        out: the new run's directory; the same call again continues it.
        files, bindings: gin files and lines of the density, such as gin/ex_post/mixture.gin. They say nothing of the
            first model, whose own configuration is kept apart.
        codes: "centres" of the posteriors, or "samples".
        train_only: whether to leave out evaluation and export.

    Returns:
        The report of the likelihood of codes; None if it was left out.

    Raises:
        UsageError: a run without codes or of other data, or a directory of a density over other weights.
    """
    if Path(out).resolve() == Path(run_dir).resolve():
        raise UsageError(f"--out={str(out)!r} is the run itself; give another directory")
    source = read_source(run_dir, checkpoint, trust_imports)
    reports = []

    def finish(run: RunDirectory) -> None:
        if not train_only:
            finish_run(workspace, run)
            with workspace.open_run(run.path) as opened:
                reports.append(evaluate_run(opened, metrics=METRICS))
            print(reports[-1].table())

    with workspace.configured(files, [*lines_of(source, codes), *bindings], data_lines(source)):
        _require_density(files)
        _require_same_data(source)
        train(out, revision=workspace.revision, evaluated=not train_only, finish=finish)
    return next(iter(reports), None)


def lines_of(source: SourceRun, codes: str) -> list[str]:
    """The gin lines that put a density over a source run's codes."""
    return [
        f"LatentDensity.codes = {codes!r}",
        f"fit_prior_by_em.codes = {codes!r}",
        model_line(source.configuration),
        f"adopt_weights.run_dir = {str(source.path)!r}",
        f"adopt_weights.checkpoint = {source.checkpoint!r}",
        f"adopt_weights.fingerprint = {source.fingerprint!r}",
    ]


def model_line(lines: Sequence[str]) -> str:
    """The gin line that names the model to be wrapped: that of a recorded configuration."""
    return f"recorded_model.configuration_lines = {tuple(lines)!r}"


def data_lines(source: SourceRun) -> list[str]:
    """The gin lines that name the data of a source run, and how they are read."""
    known = configuration.values("\n".join(source.configuration))
    read = [f"{name} = {value}" for name, value in known.items() if name.startswith("load.")]
    name = known.get("data/macro.value", known["Recipe.data"])
    return [*read, f"data = {name}"]


def _require_density(files: Sequence[str]) -> None:
    if not issubclass(configuration.make(Recipe).model, LatentDensity):
        raise UsageError(
            f"gin_file={', '.join(map(repr, files)) or 'None'} describes no density of codes; give a file of "
            "gin/ex_post, such as gin/ex_post/mixture.gin"
        )


def _require_same_data(source: SourceRun) -> None:
    recipe, _, _ = recipe_of_data()
    found = data.load(recipe.data, "train").fingerprint()
    if source.data and found != source.data:
        raise UsageError(
            f"run_dir={str(source.path)!r} was trained on data that differ from what data={recipe.data!r} holds now; a "
            "density of codes is fitted to the codes of the data that the run was trained on"
        )
