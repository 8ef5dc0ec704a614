"""Trains a recipe, or continues its run; then evaluates, exports and shows what came out."""

from pathlib import Path

from launch import common


def argument_parser() -> common.Parser:
    """The flags of training."""
    parser = common.Parser("train", __doc__)
    common.add_gin_flags(parser)
    parser.add_argument("--run_dir", help="run directory; runs/<recipe> by default, so the same command continues")
    parser.add_argument("--train_only", action="store_true", help="leave out evaluation and export at the end")
    return parser


def main(arguments: list[str]) -> None:
    parser = argument_parser()
    flags = parser.parse_args(arguments)
    if not flags.gin_file:
        parser.error("--gin_file is missing; give a recipe such as --gin_file=gin/vgh_pp.gin")
    run_dir = Path(flags.run_dir or Path("runs") / Path(flags.gin_file[0]).stem)

    common.configure(flags.gin_file, flags.gin_bindings)
    from tfade.errors import UsageError
    from tfade.training import configuration
    from tfade.training.recipe import Recipe
    from tfade.training.train import train

    if not configuration.binds(Recipe):
        raise UsageError(
            f"--gin_file={' and '.join(flags.gin_file)} describe no run, for nothing of Recipe is bound; "
            "tables are for python -m launch.ablation, gin/tables/density_ratio.gin for launch.density_ratio"
        )

    statuses = []  # of the one process that writes
    finish = trained if flags.train_only else lambda run: statuses.append(finished(run))
    train(run_dir, revision=common.revision(), finish=finish)
    return max(statuses, default=common.OK)


def trained(run) -> None:
    """Says where the run is."""
    print(f"trained: {run.path}")


def finished(run) -> int:
    """Shows, evaluates and exports what lies on disk, as anybody else would who opens the run; the exit status."""
    from launch.evaluate import evaluate_run

    with common.opened(run.path) as (recipe, model):
        from tfade import data
        from tfade.export import export
        from tfade.training import configuration
        from tfade.training.projector import project
        from tfade.training.showing import Showing, write_overview

        showing, held_out = configuration.make(Showing), data.load(recipe.data, "test")
        picture = write_overview(model, held_out, run, showing, recipe.stacked)
        project(model, held_out, run.logs, showing.codes)
        report = evaluate_run(run.path, model, recipe)
        export(model, run.export)
    print(
        f"\n{report.table()}\n\npicture:     {picture}\ntensorboard: tensorboard --logdir {run.logs}\n"
        f"numbers:     {run.evaluation}\nreport:      {run.evaluation / 'report.html'}\nexport:      {run.export}"
    )
    return common.told(report)


if __name__ == "__main__":
    common.launch(main)
