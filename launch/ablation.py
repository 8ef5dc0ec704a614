"""Trains and evaluates every row of a table by one protocol, and writes it as Markdown and as a page with samples.

Rows that are done are not done again: the same command continues where it was stopped.
"""

from pathlib import Path

from launch import common

LOCK = ".table.lock"


def main(arguments: list[str]) -> int | None:
    parser = common.Parser("ablation", __doc__)
    common.add_gin_flags(parser)
    parser.add_argument("--run_dir", help="folder of the rows' runs and of the table; runs/<table> by default")
    parser.add_argument("--num_samples", type=common.whole(2), default=10_000, help="samples that are judged")
    flags = parser.parse_args(arguments)
    if not flags.gin_file:
        parser.error(
            "--gin_file is missing; give a table such as --gin_file=gin/tables/ade_table1.gin, then what is laid over"
        )
    folder = Path(flags.run_dir or Path("runs") / Path(flags.gin_file[0]).stem)
    for line in flags.gin_bindings:
        if line.split("=")[0].strip() in ("seed", "Recipe.seed"):
            parser.error(f"--gin_bindings={line!r} would give every run the same seed; use 'Ablation.seeds = (0, 1)'")
    common.import_configurables()

    from tfade.training.run_directory import held
    from tfade.workflows.ablation_rows import planned

    table, *over = flags.gin_file
    lines = sorted_lines(flags.gin_bindings)
    ablation = read_table(table, lines["table"])
    evaluation = [*ablation.evaluation, *lines["evaluation"]]
    with held(folder, LOCK):
        runs, counts = planned(folder, ablation, over, lines["runs"], evaluation)
        spread = ablation.check_parameters(counts)
        listed = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        print(f"parameters of p(x): {listed} ({spread:.1%} apart)")
        return filled(folder, ablation, runs, flags.num_samples, evaluation)


def sorted_lines(lines: list[str]) -> dict[str, list[str]]:
    """Gin lines by what they are for: "table", of `Ablation` or a `Row`; "evaluation", of finished runs; or "runs"."""
    from tfade.training import configuration

    found = {"table": [], "evaluation": [], "runs": []}
    for line in lines:
        names = configuration.bound_by(line)
        if any(name.startswith("tfade.workflows.ablation.") for name in names):
            found["table"].append(line)
        elif any(name.startswith(("tfade.evaluation.", "tfade.training.inference_bound.")) for name in names):
            found["evaluation"].append(line)
        else:
            found["runs"].append(line)
    return found


def read_table(file: str, bindings: list[str]):
    """The `Ablation` that a gin file describes.

    Raises:
        UsageError: the file is no table, or a binding is of a row that the table does not have.
    """
    from tfade.errors import UsageError
    from tfade.training import configuration
    from tfade.training.isolation import isolated
    from tfade.workflows import ablation

    with isolated():
        common.configure([file], [])
        known = configuration.bound_scopes()  # a table may name rows that the bindings leave out
        if not configuration.binds(ablation.Ablation):
            raise UsageError(f"gin_file={file!r} is no table but a recipe; train it with python -m launch.train")
    with isolated():
        common.configure([file], bindings)
        table = configuration.make(ablation.Ablation)
        configuration.refuse_strange_scopes(lambda selector: selector.startswith("tfade.workflows.ablation."), known)
    return table


def filled(folder: Path, ablation, runs: list, num_samples: int, evaluation: list[str]) -> int:
    """Trains and evaluates all runs, writing the table after each; the exit status."""
    from tfade.errors import NonFiniteError, UsageError, one_line
    from tfade.reporting.ablation_report import write_report
    from tfade.workflows.ablation_rows import evaluated, trained

    results = []
    for run in runs:
        print(f"\n{run.row}, seed {run.seed}: {run.path}")
        result = {"row": run.row, "seed": run.seed, "parameters": run.parameters, "minutes": None, "failed": None}
        try:
            result["minutes"] = trained(run)
            result |= evaluated(run.path, num_samples, ablation.metrics, evaluation)
        except (NonFiniteError, UsageError) as error:  # the other rows are to be had all the same
            result |= {"failed": one_line(error), "results": {}, "picture": None}
        if result["failed"]:
            print(f"failed: {result['failed']}")
        results.append(result)
        markdown = write_report(folder, ablation, results)  # what is there is readable while the rest trains
    print(f"\n{markdown}\ntable: {folder / 'table.md'}\npage:  {folder / 'table.html'}")
    return common.FAILED if any(result["failed"] for result in results) else common.OK


if __name__ == "__main__":
    common.launch(main)
