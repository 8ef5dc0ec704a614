"""Measures density-ratio estimates against Gaussians of known divergence: a table, curves, and every run's numbers.

Runs that are done are not done again: the same command continues where it was stopped.
"""

from launch import common
from launch.flags import Parser, writable_folder


def main(arguments: list[str]) -> int | None:
    parser = Parser("density_ratio", __doc__)
    parser.add_gin_flags()
    parser.add_argument("--out", required=True, type=writable_folder, help="folder for table.md, curves.png and runs/")
    flags = parser.parse_args(arguments)
    if not flags.gin_file:
        parser.error("--gin_file is missing; give --gin_file=gin/tables/density_ratio.gin")
    workspace, out = common.workspace(), flags.out

    from tfade.workflows.density_ratio import run_study

    with workspace.configured(flags.gin_file, flags.gin_bindings):
        print(f"\n{run_study(out)}\ntable: {out / 'table.md'}\nplot:  {out / 'curves.png'}")


if __name__ == "__main__":
    common.launch(main)
