"""Trains a recipe, or continues its run; then evaluates, exports and shows what came out."""

import time
from pathlib import Path

from launch import common
from launch.flags import Parser, writable_folder


def argument_parser() -> Parser:
    """The flags of training."""
    parser = Parser("train", __doc__)
    parser.add_gin_flags()
    parser.add_argument("--run_dir", type=writable_folder, help="run directory; runs/<recipe> by default")
    parser.add_argument("--train_only", action="store_true", help="leave out evaluation and export at the end")
    parser.add_argument("--verbose", action="store_true", help="print at the end how long each phase took")
    return parser


def main(arguments: list[str]) -> int | None:
    started = time.perf_counter()
    parser = argument_parser()
    flags = parser.parse_args(arguments)
    if not flags.gin_file:
        parser.error("--gin_file is missing; give a recipe such as --gin_file=gin/vgh_pp.gin")
    run_dir = Path(flags.run_dir or Path("runs") / Path(flags.gin_file[0]).stem)
    workspace = common.workspace()

    from tfade.stopwatch import Stopwatch
    from tfade.workflows.training import train_recipe

    stopwatch = Stopwatch(started)
    stopwatch.end("imports")
    with workspace.configured(flags.gin_file, flags.gin_bindings):
        report = train_recipe(workspace, run_dir, flags.train_only, stopwatch)
    if flags.verbose:
        print(f"seconds:     {stopwatch}")
    return common.exit_status(report)


if __name__ == "__main__":
    common.launch(main)
