"""Writes the codes of all of a run's data to a NumPy file, which is a data set of vectors: data = 'npz:FILE'."""

from launch import common
from launch.flags import Parser, writable


def main(arguments: list[str]) -> int | None:
    parser = Parser("encode", __doc__)
    parser.add_run_flags()
    parser.add_gin_flags()
    parser.add_argument("--out", required=True, type=writable, help="the .npz file")
    parser.add_argument(
        "--codes", choices=("centres", "samples"), default="centres", help="means of the posteriors, or draws of them"
    )
    given = parser.parse_args(arguments)
    if given.out.suffix != ".npz":
        parser.error(f"argument --out: {str(given.out)!r} does not end in .npz")
    workspace = common.workspace()

    from tfade.workflows.encoding import write_codes

    with workspace.open_run(
        given.run_dir, given.checkpoint, given.gin_file, given.gin_bindings, given.trust_imports
    ) as run:
        shapes = write_codes(run, given.out, given.codes)
    print(", ".join(f"{split} {count:,}×{size}" for split, (count, size) in shapes.items()))
    print(f"codes: {given.out}\nuse:   --gin_file=gin/density.gin --gin_bindings='data = \"npz:{given.out}\"'")


if __name__ == "__main__":
    common.launch(main)
