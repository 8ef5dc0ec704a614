"""The runs of a table: what each is configured as, its training, and its evaluation."""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from launch import common
from tfade.training.isolation import Frozen

SAMPLES_SHOWN = 64
GENERATIVE = ("generator", "decoder", "flow", "pixels", "prior")  # networks that p(x) is made of


class PlannedRun(NamedTuple):
    """One row with one seed.

    Attributes:
        row: its name.
        seed: of everything random in it.
        path: its directory.
        configuration: all that gin binds, as it was when the table began: what changes on disk meanwhile is not seen.
        parameters: trainable parameters of p(x).
    """

    row: str
    seed: int
    path: Path
    configuration: Frozen
    parameters: int


def planned(
    folder: Path, ablation, over: list[str], bindings: list[str], evaluation: list[str]
) -> tuple[list[PlannedRun], dict[str, int]]:
    """All runs of a table in its order, and the rows' parameters of p(x).

    Args:
        folder: of the table.
        ablation: the table.
        over: gin files over every row.
        bindings: gin lines over these.
        evaluation: gin lines over finished runs, which are only looked at.

    Raises:
        UsageError: a row's configuration, or what is laid over it, is wrong.
    """
    from tfade.errors import UsageError
    from tfade.evaluation import select
    from tfade.training import configuration
    from tfade.training.isolation import frozen, isolated
    from tfade.workflows.ablation import Ablation, Row

    runs, counts = [], {}
    for row in ablation.rows:
        files = laid_over(folder, row, ablation, over)
        counts[row.name] = count_parameters(files, bindings)
        for seed in ablation.seeds:
            with isolated():
                common.configure(files, [*bindings, f"seed = {seed}"])
                if configuration.binds(Ablation) or configuration.binds(Row):
                    raise UsageError(
                        f"{', '.join(over)} bind something of Ablation or Row, which only the first --gin_file may; "
                        "give it as --gin_bindings"
                    )
                content = frozen()
            with isolated(content):  # what is to be done with the finished run is only looked at here
                configuration.bind(evaluation)
                select(",".join(ablation.metrics))
            path = folder / f"{row.slug}-seed{seed}"
            runs.append(PlannedRun(row.name, seed, path, content, counts[row.name]))
    return runs, counts


def laid_over(folder: Path, row, ablation, over: list[str]) -> list[str]:
    """The gin files of a row, the later over the earlier: its own, the table's, its bindings and the table's as a file
    in `folder`, and the user's."""
    from tfade.files import write_text

    bindings = folder / "rows" / f"{row.slug}.gin"
    lines = [f"# {row.name}: what the table binds.", *row.bindings, *ablation.bindings]
    write_text(bindings, "\n".join(lines) + "\n")
    named = [str(common.ROOT / file) for file in (*row.gin_files, *ablation.gin_files)]
    return [*named, str(bindings), *over]


def count_parameters(files: list[str], bindings: list[str]) -> int:
    """Trainable parameters of p(x) of a row's model.

    Raises:
        UsageError: the configuration is wrong, or the data are vectors.
    """
    from tfade.errors import UsageError
    from tfade.training.isolation import isolated
    from tfade.training.recipe import recipe_of_data

    with isolated():
        common.configure(files, bindings)
        recipe, _ = recipe_of_data()
        if len(recipe.image_shape) != 3:
            raise UsageError(f"data={recipe.data!r} are vectors of shape {recipe.image_shape}; tables are of images")
        networks = recipe.model(recipe.image_shape).networks
    of_density = [network for name, network in networks.items() if name in GENERATIVE]
    return sum(
        _size(network.trainable_variables) - _size(getattr(network, "posterior_variables", ()))
        for network in of_density
    )


def _size(variables) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def trained(run: PlannedRun) -> float | None:
    """Trains a run, or continues to; the minutes that it took, or None if it did not train without a break."""
    from tfade.files import write_json
    from tfade.training.isolation import isolated
    from tfade.training.train import train

    file = run.path / "minutes.json"
    new, before = not run.path.exists(), newest_checkpoint(run.path)
    began = time.perf_counter()
    with isolated(run.configuration):
        train(run.path, revision=common.revision())
    if new:
        write_json(file, (time.perf_counter() - began) / 60)
    elif newest_checkpoint(run.path) != before:
        file.unlink(missing_ok=True)
    minutes = _known(file)
    return minutes if isinstance(minutes, float) else None


def newest_checkpoint(run_dir: Path) -> str | None:
    """Its file's name."""
    return max((path.name for path in (run_dir / "checkpoints").glob("step-*.npz")), default=None)


def _known(file: Path):
    """What a JSON file holds; None of one that is absent or damaged, so that it is made anew."""
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None


def evaluated(run_dir: Path, num_samples: int, metrics: Sequence[str], bindings: Sequence[str]) -> dict:
    """A trained run's numbers, from its file if it was evaluated before, with the same protocol and weights.

    Returns:
        {"results": {name: {value, std, protocol}}, "not_applicable": {metric: reason}, "picture": path of a grid of
        samples from the table's folder, "asked": what was asked for, "revision": of the source that evaluated}, and
        "failed" where a metric failed: why. This is not written, so that the same command tries again.
    """
    from launch.evaluate import evaluate_run
    from tfade import pictures
    from tfade.files import write_json

    asked = {
        "num_samples": num_samples,
        "bindings": list(bindings),
        "checkpoint": newest_checkpoint(run_dir),
        "metrics": list(metrics),
    }
    file = run_dir / "ablation.json"
    known = _known(file)
    if isinstance(known, dict) and known.get("asked") == asked:
        return known
    with common.opened(run_dir, list(bindings)) as (recipe, model):
        names, flags = ",".join(metrics), [f"--gin_bindings={line}" for line in bindings]
        report = evaluate_run(
            run_dir, model, recipe, metrics=names, bound=True, num_samples=num_samples, settings=flags
        )
        picture = run_dir / "samples" / "ablation.png"
        pictures.save(picture, pictures.magnified(pictures.grid(model.sample(SAMPLES_SHOWN, seed=0))))
    result = {
        "asked": asked,
        "results": {
            name: {"value": result.value, "std": result.std, "protocol": result.protocol}
            for name, result in report.results.items()
        },
        "not_applicable": {o.metric: o.not_applicable for o in report.outcomes if o.not_applicable is not None},
        "picture": str(picture.relative_to(run_dir.parent)),
        "revision": common.revision(),
    }
    if report.failures:
        failed = "; ".join(f"{metric}: {reason}" for metric, reason in report.failures.items())
        return {**result, "failed": failed}
    write_json(file, result)
    return result
