"""Drawing samples of a model into a file or a folder."""

from pathlib import Path

import numpy as np

from tfade import files, pictures
from tfade.errors import UsageError
from tfade.evaluation.subject import batch_seed
from tfade.models.base import GenerativeModel

CHUNK = 500  # images at a time


def draw_to(
    out: Path, model: GenerativeModel, count: int, temperature: float, seed: int, show_channels: bool = False
) -> None:
    """Draws samples and writes them; the arguments are those of `draw` and `write`.

    Raises:
        UsageError: a folder for vectors.
    """
    if out.suffix == "" and len(model.image_shape) == 1:
        raise UsageError(f"out={str(out)!r} is a folder for images, and this model draws vectors; give a .npz file")
    write(out, draw(model, count, temperature, seed), show_channels)


def draw(model: GenerativeModel, count: int, temperature: float, seed: int) -> np.ndarray:
    """uint8 samples [count, H, W, C], or vectors float32 [count, D]: those that an evaluation with this seed judges.

    A larger count only continues them.
    """
    parts = []
    for start in range(0, count, CHUNK):
        images = model.sample(CHUNK, temperature=temperature, seed=batch_seed(seed, start // CHUNK))
        images = np.asarray(images) if len(model.image_shape) == 1 else pictures.to_uint8(images)
        parts.append(images[: count - start])
        if count > 10 * CHUNK:
            print(f"  {min(start + CHUNK, count):,} of {count:,}", flush=True)
    return np.concatenate(parts)


def write(out: Path, images: np.ndarray, show_channels: bool = False) -> None:
    """Writes images as a grid, an array or a folder of PNG files; vectors as a scatter plot or an array.

    Args:
        out: a .png, a .npz or a folder.
        images: uint8 [n, H, W, C], or vectors [n, D].
        show_channels: whether a grid of RGB images shows each channel beside its image.
    """
    vectors = images.ndim == 2
    if out.suffix == ".png" and vectors:
        pictures.save(out, pictures.scatter(samples=images))
    elif out.suffix == ".png":
        picture = pictures.grid(images, stacked=show_channels and images.shape[-1] == 3)
        pictures.save(out, pictures.magnified(picture))
    elif out.suffix == ".npz":
        named = {"vectors" if vectors else "images": images}
        files.write_atomically(out, lambda file: np.savez_compressed(file, **named))
    else:
        for place, image in enumerate(images):
            pictures.save(out / f"{place:06d}.png", image)
