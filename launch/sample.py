"""Draws samples from a run, as one picture, a folder of images, or arrays."""

import itertools

from launch import common
from launch.flags import TEMPERATURE, Parser, labels, temperature, whole, writable


def main(arguments: list[str]) -> int | None:
    parser = Parser("sample", __doc__)
    parser.add_run_flags()
    parser.add_argument(
        "--out",
        required=True,
        type=writable,
        help="FILE.png, FILE.npz for an array `images` (or `vectors`), or a folder",
    )
    parser.add_argument(
        "--num_samples",
        type=whole(1),
        default=None,
        help="total number of samples; 64 by default, or 8 of each class of a conditional model",
    )
    parser.add_argument(
        "--label",
        type=labels,
        action="append",
        default=None,
        help="classes to draw from a conditional model, such as 3 or 3,5; all if it is not given",
    )
    parser.add_argument("--temperature", type=temperature, default=1.0, help=TEMPERATURE)
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

    with workspace.open_run(flags.run_dir, flags.checkpoint, trust_imports=flags.trust_imports) as run:
        count = draw_to(
            out,
            run.model,
            flags.num_samples,
            temperature=flags.temperature,
            seed=flags.seed,
            labels=None if flags.label is None else list(dict.fromkeys(itertools.chain(*flags.label))),
            show_channels=flags.channels,
        )
    print(f"samples: {out} ({count:,})")


if __name__ == "__main__":
    common.launch(main)
