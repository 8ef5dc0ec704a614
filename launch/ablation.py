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


def main(arguments: list[str]) -> None:
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
    mine = [line for line in flags.gin_bindings if line.startswith("Ablation.")]
    rows = [line for line in flags.gin_bindings if line not in mine]
    ablation = read_table(table, mine)

    from launch.ablation_report import write_report

    results = []
    for row in ablation.rows:
        for seed in ablation.seeds:
            files = [str(common.ROOT / file) for file in (*row.gin_files, *ablation.gin_files)] + over
            bindings = [*row.bindings, *ablation.bindings, *rows, f"seed = {seed}"]
            run_dir = folder / f"{row.slug}-seed{seed}"
            print(f"\n{row.name}, seed {seed}: {run_dir}")
            trained = train_row(run_dir, files, bindings)
            results.append(
                {
                    "row": row.name,
                    "seed": seed,
                    **evaluate_row(run_dir, flags.num_samples, ablation.evaluation, trained),
                }
            )
            write_report(folder, ablation, results)  # what is there is readable while the rest trains
    markdown = write_report(folder, ablation, results)
    print(f"\n{markdown}\ntable: {folder / 'table.md'}\npage:  {folder / 'table.html'}")


def read_table(file: str, bindings: list[str]):
    """The `Ablation` that a gin file describes."""
    from tfade.training import ablation, configuration

    with configuration.isolated():
        common.configure([file], bindings)
        return configuration.make(ablation.Ablation)


def train_row(run_dir: Path, files: list[str], bindings: list[str]) -> float:
    """Trains a row, or continues to; the seconds that this took now."""
    from tfade.training import configuration
    from tfade.training.train import train

    began = time.perf_counter()
    with configuration.isolated():
        common.configure(files, bindings)
        train(run_dir, revision=common.revision())
    return time.perf_counter() - began


def evaluate_row(run_dir: Path, num_samples: int, bindings: Sequence[str], seconds: float) -> dict:
    """A trained row's numbers, from its file if it was evaluated before, with the same protocol and weights.

    Returns:
        {"results": {name: {value, std, protocol}}, "parameters": of p(x), "minutes": of training, "not_applicable":
        {metric: reason}, "picture": path of a grid of samples}.
    """
    from launch.evaluate import evaluate_run
    from tfade import pictures
    from tfade.files import write_atomically

    asked = {"num_samples": num_samples, "bindings": list(bindings), "checkpoint": newest(run_dir), "metrics": METRICS}
    file = run_dir / "ablation.json"
    known = json.loads(file.read_text()) if file.is_file() else {}
    if known.get("asked") == json.loads(json.dumps(asked)):
        return known
    minutes = known.get("minutes", 0.0) + seconds / 60
    with common.opened(run_dir, list(bindings)) as (recipe, model):
        report = evaluate_run(run_dir, model, recipe, metrics=",".join(METRICS), bound=True, num_samples=num_samples)
        picture = run_dir / "samples" / "ablation.png"
        pictures.save(picture, pictures.magnified(pictures.grid(model.sample(SAMPLES_SHOWN, seed=0))))
        parameters = sum(
            math.prod(variable.shape)
            for name in GENERATIVE
            if name in model.networks
            for variable in model.networks[name].trainable_variables
        )
    result = {
        "asked": asked,
        "results": {
            name: {"value": result.value, "std": result.std, "protocol": result.protocol}
            for name, result in report.results.items()
        },
        "not_applicable": {o.metric: o.not_applicable for o in report.outcomes if o.not_applicable is not None},
        "parameters": parameters,
        "minutes": minutes,
        "picture": str(picture.relative_to(run_dir.parent)),
    }
    write_atomically(file, lambda handle: handle.write((json.dumps(result, indent=2) + "\n").encode()))
    return json.loads(json.dumps(result))


def newest(run_dir: Path) -> str:
    """The name of the newest checkpoint."""
    return max(path.name for path in (run_dir / "checkpoints").glob("step-*.npz"))


if __name__ == "__main__":
    common.launch(main)
