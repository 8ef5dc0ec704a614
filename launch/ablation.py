"""Trains and evaluates every row of a table by one protocol, and writes it as Markdown and as a page with samples.

Rows that are done are not done again: the same command continues where it was stopped.
"""

from pathlib import Path

from launch import common
from launch.flags import Parser, whole, writable_folder


def main(arguments: list[str]) -> int | None:
    parser = Parser("ablation", __doc__)
    parser.add_gin_flags()
    parser.add_argument(
        "--run_dir", type=writable_folder, help="folder of the rows' runs and of the table; runs/<table> by default"
    )
    parser.add_argument("--num_samples", type=whole(2), help="samples that are evaluated; the table's by default")
    flags = parser.parse_args(arguments)
    if not flags.gin_file:
        parser.error(
            "--gin_file is missing; give a table such as --gin_file=gin/tables/ade_table1.gin, "
            "then files that override every row"
        )
    for line in flags.gin_bindings:
        if line.split("=")[0].strip() in ("seed", "Recipe.seed"):
            parser.error(f"--gin_bindings={line!r} would give every run the same seed; use 'Ablation.seeds = (0, 1)'")
    table, *files = flags.gin_file
    folder = Path(flags.run_dir or Path("runs") / Path(table).stem)
    workspace = common.workspace()

    from tfade.workflows.ablation_command import run_ablation

    failures = run_ablation(workspace, folder, table, files, flags.gin_bindings, flags.num_samples)
    return common.FAILED if failures else common.OK


if __name__ == "__main__":
    common.launch(main)
