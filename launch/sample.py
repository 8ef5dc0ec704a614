"""Draws samples from a run, as one picture, a folder of images, or arrays."""

from launch import common
from launch.flags import Parser, temperature, whole, writable


def main(arguments: list[str]) -> int | None:
    parser = Parser("sample", __doc__)
    parser.add_run_flags()
    parser.add_argument(
        "--out",
        required=True,
        type=writable,
        help="FILE.png, FILE.npz for an array `images` (or `vectors`), or a folder",
    )
    parser.add_argument("--num_samples", type=whole(1), default=64, help="how many")
    parser.add_argument("--temperature", type=temperature, default=1.0, help="factor on the prior's standard deviation")
    parser.add_argument("--seed", type=whole(0), default=0, help="equal seeds give equal samples")
    parser.add_argument("--channels", action="store_true", help="show the channels of stacked digits in the grid")
    flags = parser.parse_args(arguments)
    out = flags.out
    if out.suffix not in ("", ".png", ".npz"):
        parser.error(f"argument --out: {str(out)!r} is neither a .png, a .npz nor a folder")
    if out.suffix == "" and (out.is_file() or (out.is_dir() and any(out.iterdir()))):
        parser.error(f"argument --out: {str(out)!r} is a file or not empty; nothing is overwritten there")
    if out.suffix and out.is_dir():
        parser.error(f"argument --out: {str(out)!r} is a folder; give another name for the {out.suffix} file")

    workspace = common.workspace()

    from tfade.workflows.sampling import draw_to

    with workspace.open_run(flags.run_dir, flags.checkpoint) as run:
        draw_to(out, run.model, flags.num_samples, flags.temperature, flags.seed, flags.channels)
    print(f"samples: {out}")


if __name__ == "__main__":
    common.launch(main)
