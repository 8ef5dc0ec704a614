"""Trains and evaluates every row of a table by one protocol, and writes it as Markdown and as a page with samples.

Rows that are done are not done again: the same command continues where it was stopped.
"""

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

from launch import common

METRICS = ("likelihood", "classifier_frechet_distance", "reconstruction_error")
SAMPLES_SHOWN = 64
GENERATIVE = ("generator", "decoder", "flow", "pixels", "prior")  # networks that p(x) is made of


def main(arguments: list[str]) -> int | None:
    parser = common.Parser("ablation", __doc__)
    common.add_gin_flags(parser)
    parser.add_argument("--run_dir", help="folder of the rows' runs and of the table; runs/<table> by default")
    parser.add_argument("--num_samples", type=common.whole(2), default=10_000, help="samples that are judged")
    flags = parser.parse_args(arguments)
    if not flags.gin_file:
        parser.error(
            "--gin_file is missing; give a table such as --gin_file=gin/ade_table1.gin, then what is laid over"
        )
    folder = Path(flags.run_dir or Path("runs") / Path(flags.gin_file[0]).stem)
    table, *over = flags.gin_file
    of_table = [line for line in flags.gin_bindings if is_of_table(line)]
    of_rows = [line for line in flags.gin_bindings if line not in of_table]
    if any(line.split("=")[0].strip() == "seed" for line in of_rows):
        parser.error("--gin_bindings='seed = …' would give every run the same; use 'Ablation.seeds = (0, 1)'")
    ablation = read_table(table, of_table)

    from launch.ablation_report import write_report
    from tfade.errors import NonFiniteError

    rows = {row.name: (laid_over(folder, row, ablation, over), of_rows) for row in ablation.rows}
    counts = {name: count_parameters(*row) for name, row in rows.items()}
    spread = ablation.check_parameters(counts)
    print(
        f"parameters of p(x): {', '.join(f'{name} {count:,}' for name, count in counts.items())} ({spread:.1%} apart)"
    )
    results = []
    for row in ablation.rows:
        files, bindings = rows[row.name]
        for seed in ablation.seeds:
            run_dir = folder / f"{row.slug}-seed{seed}"
            print(f"\n{row.name}, seed {seed}: {run_dir}")
            result = {"row": row.name, "seed": seed, "parameters": counts[row.name], "failed": None}
            try:
                result["minutes"] = train_row(run_dir, files, [*bindings, f"seed = {seed}"])
                result |= evaluate_row(run_dir, flags.num_samples, ablation.evaluation)
            except NonFiniteError as error:  # the same every time: the other rows are to be had all the same
                result |= {"failed": str(error), "results": {}, "minutes": None, "picture": None}
            if result["failed"]:
                print(f"failed: {result['failed']}")
            results.append(result)
            markdown = write_report(folder, ablation, results)  # what is there is readable while the rest trains
    print(f"\n{markdown}\ntable: {folder / 'table.md'}\npage:  {folder / 'table.html'}")
    return common.FAILED if any(result["failed"] for result in results) else common.OK


def is_of_table(line: str) -> bool:
    """Whether a binding is one of the table, of `Ablation` or of a `Row`, and not one of the rows' runs."""
    selector = line.split("=")[0].strip().split("/")[-1]
    return selector.rpartition(".")[0].split(".")[-1] in ("Ablation", "Row")


def read_table(file: str, bindings: list[str]):
    """The `Ablation` that a gin file describes."""
    from tfade.training import ablation, configuration

    with configuration.isolated():
        common.configure([file], bindings)
        return configuration.make(ablation.Ablation)


def laid_over(folder: Path, row, ablation, over: list[str]) -> list[str]:
    """The gin files of a row, the later over the earlier: its own, the table's, its bindings and the table's as a file
    in `folder`, and the user's.

    Raises:
        UsageError: a file that does not exist.
    """
    from tfade.files import write_atomically

    bindings = folder / "rows" / f"{row.slug}.gin"
    text = "\n".join([f"# {row.name}: what the table binds.", *row.bindings, *ablation.bindings]) + "\n"
    bindings.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(bindings, lambda file: file.write(text.encode()))
    named = [str(common.ROOT / file) for file in (*row.gin_files, *ablation.gin_files)]
    return [*named, str(bindings), *over]


def count_parameters(files: list[str], bindings: list[str]) -> int:
    """Trainable parameters of p(x) of a row's model."""
    import gin

    from tfade import data
    from tfade.training import configuration
    from tfade.training.recipe import Recipe

    with configuration.isolated():
        common.configure(files, bindings)
        source = data.load(configuration.make(Recipe).data, "train")
        with gin.unlock_config():
            gin.bind_parameter("Recipe.image_shape", source.spec.shape)
        recipe = configuration.make(Recipe)
        networks = recipe.model(recipe.image_shape).networks
    of_density = [network for name, network in networks.items() if name in GENERATIVE]
    return sum(
        _size(network.trainable_variables) - _size(getattr(network, "posterior_variables", ()))
        for network in of_density
    )


def _size(variables) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def train_row(run_dir: Path, files: list[str], bindings: list[str]) -> float | None:
    """Trains a row, or continues to; the minutes that it took, or None if it did not train without a break."""
    from tfade.files import write_atomically
    from tfade.training import configuration
    from tfade.training.train import train

    file = run_dir / "minutes.json"
    new, before = not run_dir.exists(), newest_checkpoint(run_dir)
    began = time.perf_counter()
    with configuration.isolated():
        common.configure(files, bindings)
        train(run_dir, revision=common.revision())
    if new:
        text = json.dumps((time.perf_counter() - began) / 60) + "\n"
        write_atomically(file, lambda handle: handle.write(text.encode()))
    elif newest_checkpoint(run_dir) != before:
        file.unlink(missing_ok=True)
    return json.loads(file.read_text()) if file.is_file() else None


def newest_checkpoint(run_dir: Path) -> str | None:
    """Its file's name."""
    return max((path.name for path in (run_dir / "checkpoints").glob("step-*.npz")), default=None)


def evaluate_row(run_dir: Path, num_samples: int, bindings: Sequence[str]) -> dict:
    """A trained row's numbers, from its file if it was evaluated before, with the same protocol and weights.

    Returns:
        {"results": {name: {value, std, protocol}}, "not_applicable": {metric: reason}, "picture": path of a grid of
        samples from the table's folder, "asked": what was asked for}. Where a metric failed {"failed": why, "results":
        {}, "picture": None}, which is not written, so that the same command tries again.
    """
    from launch.evaluate import evaluate_run
    from tfade import pictures
    from tfade.files import write_atomically

    asked = {
        "num_samples": num_samples,
        "bindings": list(bindings),
        "checkpoint": newest_checkpoint(run_dir),
        "metrics": list(METRICS),
    }
    file = run_dir / "ablation.json"
    known = json.loads(file.read_text()) if file.is_file() else {}
    if known.get("asked") == asked:
        return known
    with common.opened(run_dir, list(bindings)) as (recipe, model):
        names, flags = ",".join(METRICS), [f"--gin_bindings={line}" for line in bindings]
        report = evaluate_run(
            run_dir, model, recipe, metrics=names, bound=True, num_samples=num_samples, settings=flags
        )
        if report.failures:
            failed = "; ".join(f"{metric}: {reason}" for metric, reason in report.failures.items())
            return {"failed": failed, "results": {}, "picture": None}
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
    }
    text = json.dumps(result, indent=2) + "\n"
    write_atomically(file, lambda handle: handle.write(text.encode()))
    return json.loads(text)


if __name__ == "__main__":
    common.launch(main)
