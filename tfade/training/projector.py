"""Codes for TensorBoard's projector, which turns them round in three dimensions: its files, without its plugin."""

import math
from pathlib import Path

import numpy as np

from tfade import files, pictures
from tfade.data.source import Source
from tfade.models.base import GenerativeModel
from tfade.seeds import as_seed
from tfade.training.model_pictures import PICTURE_SEED, spread

FOLDER = "projector"
LARGEST_SPRITE = 8192  # pixels of a side that TensorBoard takes
LARGEST_CODE = 1024  # dimensions of a code; a browser cannot hold thousands of longer ones

CONFIG = """embeddings {{
  tensor_name: "codes"
  tensor_path: "{folder}/tensors.tsv"
  metadata_path: "{folder}/metadata.tsv"
{sprite}}}
"""
SPRITE = """  sprite {{
    image_path: "{folder}/sprite.png"
    single_image_dim: {width}
    single_image_dim: {height}
  }}
"""


def project(model: GenerativeModel, held_out: Source, logs: Path, count: int) -> bool:
    """Writes the codes of held-out images and as many of the prior, if the model has both and a code is not too long.

    Args:
        model: any; nothing is written for one that does not answer `encode`, `prior` and `decode`.
        held_out: images.
        logs: see `write_projector`.
        count: images at most, evenly spaced.

    Returns:
        Whether it did.
    """
    if not held_out.spec.is_image or not all(map(model.answers, ("encode", "prior", "decode"))):
        return False
    if model.latent_size > LARGEST_CODE:
        return False
    chosen = spread(held_out.spec.num_examples, count)
    images = held_out.fetch(chosen)
    labels = held_out.labels(chosen) if held_out.spec.num_classes else None
    condition = model.conditions(labels)
    codes = model.encode(images, **condition).sample(seed=as_seed(PICTURE_SEED))
    prior = model.draw_prior(len(images), seed=as_seed(PICTURE_SEED + 1), **condition)
    write_projector(logs, codes, images, labels, prior, model.decode(prior, **condition))
    return True


def write_projector(logs: Path, codes, images, labels, prior_codes, prior_images) -> None:
    """Writes `logs`/projector_config.pbtxt and what it names: codes of data and of the prior, with their images.

    Points say whether they are of data or of the prior, and their label where there is one ("–" for the prior's).
    Images are left out where all of them together are larger than TensorBoard takes.

    Args:
        logs: the folder that `tensorboard --logdir` is given, or one below it.
        codes, prior_codes: [n, D] and [m, D].
        images, prior_images: what they stand for, [n, H, W, C] and [m, H, W, C], uint8 or float in [0, 1].
        labels: integers [n], or None.
    """
    points = np.concatenate([np.asarray(codes), np.asarray(prior_codes)])
    lines = ["\t".join(f"{number:.6g}" for number in point) for point in points]
    files.write_text(logs / FOLDER / "tensors.tsv", "\n".join(lines) + "\n")
    labels = ["–"] * len(codes) if labels is None else [str(int(label)) for label in labels]
    rows = [f"data\t{label}" for label in labels] + ["prior\t–"] * len(prior_codes)
    files.write_text(logs / FOLDER / "metadata.tsv", "\n".join(["kind\tlabel", *rows]) + "\n")
    pixels = np.concatenate([pictures.to_uint8(images), pictures.to_uint8(prior_images)])
    sprite = _sprite(pixels)
    text = ""
    if sprite is not None:
        pictures.save(logs / FOLDER / "sprite.png", sprite)
        text = SPRITE.format(folder=FOLDER, height=pixels.shape[1], width=pixels.shape[2])
    files.write_text(logs / "projector_config.pbtxt", CONFIG.format(folder=FOLDER, sprite=text))


def _sprite(images: np.ndarray) -> np.ndarray | None:
    """All images row by row in a square of as many rows as columns, white where there are none; None if too large."""
    count, height, width, channels = images.shape
    side = math.ceil(math.sqrt(count))
    if side * max(height, width) > LARGEST_SPRITE:
        return None
    tiles = np.full((side * side, height, width, channels), 255, np.uint8)
    tiles[:count] = images
    rows = tiles.reshape(side, side, height, width, channels).swapaxes(1, 2)
    return rows.reshape(side * height, side * width, channels)
