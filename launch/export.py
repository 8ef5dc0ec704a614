"""Exports a run as a SavedModel that needs TensorFlow alone."""

from launch import common


def main(arguments: list[str]) -> int | None:
    parser = common.Parser("export", __doc__)
    parser.add_argument("--run_dir", required=True, help="directory of a trained run")
    parser.add_argument("--out", required=True, help="folder of the SavedModel; an earlier export there is replaced")
    common.add_checkpoint_flag(parser)
    flags = parser.parse_args(arguments)

    workspace = common.workspace()

    from tfade.export import export

    with workspace.open_run(flags.run_dir, flags.checkpoint) as run:
        names = export(run.model, flags.out)
    print(f"signatures: {', '.join(names)}\nexport: {flags.out}")


if __name__ == "__main__":
    common.launch(main)
