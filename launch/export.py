"""Exports a run as a SavedModel that needs TensorFlow alone."""

from launch import common
from launch.flags import Parser, writable_folder


def main(arguments: list[str]) -> int | None:
    parser = Parser("export", __doc__)
    parser.add_run_flags()
    parser.add_argument(
        "--out",
        required=True,
        type=writable_folder,
        help="folder of the SavedModel; an earlier export there is replaced",
    )
    flags = parser.parse_args(arguments)

    workspace = common.workspace()

    from tfade.export import export

    with workspace.open_run(flags.run_dir, flags.checkpoint, trust_imports=flags.trust_imports) as run:
        names = export(run.model, flags.out)
    print(f"signatures: {', '.join(names)}\nexport: {flags.out}")


if __name__ == "__main__":
    common.launch(main)
