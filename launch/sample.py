"""Draws samples from a run, as one picture, a folder of images, or arrays."""

from pathlib import Path

from launch import common

CHUNK = 500  # images at a time


def main(arguments: list[str]) -> int | None:
    parser = common.Parser("sample", __doc__)
    parser.add_argument("--run_dir", required=True, help="directory of a trained run")
    parser.add_argument(
        "--out", required=True, help="FILE.png, FILE.npz for an array `images` (or `vectors`), or a folder"
    )
    parser.add_argument("--num_samples", type=common.whole(1), default=64, help="how many")
    parser.add_argument(
        "--temperature", type=common.temperature, default=1.0, help="factor on the prior's standard deviation"
    )
    parser.add_argument("--seed", type=common.whole(0), default=0, help="equal seeds give equal samples")
    parser.add_argument("--channels", action="store_true", help="show the channels of stacked digits in the grid")
    common.add_checkpoint_flag(parser)
    flags = parser.parse_args(arguments)
    out = Path(flags.out)
    if out.suffix not in ("", ".png", ".npz"):
        parser.error(f"argument --out: {flags.out!r} is neither a .png, a .npz nor a folder")
    if out.suffix == "" and (out.is_file() or (out.is_dir() and any(out.iterdir()))):
        parser.error(f"argument --out: {flags.out!r} is a file or not empty; nothing is overwritten there")

    with common.opened(flags.run_dir, checkpoint=flags.checkpoint) as (_, model):
        if out.suffix == "" and len(model.image_shape) == 1:
            parser.error(
                f"argument --out: {flags.out!r} is a folder for images, and this model draws vectors; use .npz"
            )
        images = draw(model, flags.num_samples, flags.temperature, flags.seed)
    write(out, images, flags.channels)
    print(f"samples: {out}")


def draw(model, count: int, temperature: float, seed: int):
    """uint8 samples [count, H, W, C], or vectors float32 [count, D], those that `launch.evaluate` judges.

    A larger count only continues them.
    """
    import numpy as np

    from tfade import pictures
    from tfade.evaluation.subject import batch_seed

    parts = []
    for start in range(0, count, CHUNK):
        images = model.sample(CHUNK, temperature=temperature, seed=batch_seed(seed, start // CHUNK))
        images = np.asarray(images) if len(model.image_shape) == 1 else pictures.to_uint8(images)
        parts.append(images[: count - start])
        if count > 10 * CHUNK:
            print(f"  {min(start + CHUNK, count):,} of {count:,}", flush=True)
    return np.concatenate(parts)


def write(out: Path, images, channels: bool) -> None:
    """Writes images as a grid, an array or a folder of PNG files; vectors as a scatter plot or an array."""
    import numpy as np

    from tfade import files, pictures

    vectors = images.ndim == 2
    if out.suffix == ".png" and vectors:
        pictures.save(out, pictures.scatter(samples=images))
    elif out.suffix == ".png":
        picture = pictures.grid(images, stacked=channels and images.shape[-1] == 3)
        pictures.save(out, pictures.magnified(picture))
    elif out.suffix == ".npz":
        named = {"vectors" if vectors else "images": images}
        files.write_atomically(out, lambda file: np.savez_compressed(file, **named))
    else:
        for place, image in enumerate(images):
            pictures.save(out / f"{place:06d}.png", image)


if __name__ == "__main__":
    common.launch(main)
