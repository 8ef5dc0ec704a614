"""Drawing samples of a model into a file or a folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfade import files, pictures
from tfade.errors import UsageError
from tfade.evaluation.sampling import BATCH, batch_seed, draw_batches
from tfade.flows.fixed_point import searches
from tfade.models.base import GenerativeModel

COUNT = 64  # samples where no number is asked for
PER_CLASS = 8  # of a conditional model, for each class


def draw_to(
    out: Path,
    model: GenerativeModel,
    count: int | None = None,
    *,
    temperature: float = 1.0,
    seed: int = 0,
    labels: Sequence[int] | None = None,
    show_channels: bool = False,
) -> int:
    """Draws samples and writes them, see `draw` and `write`.

    Args:
        out: a .png, a .npz or a folder.
        model: draws images or vectors.
        count: samples in all; None for 64, or for 8 for each class of a conditional model.
        temperature, seed: of the samples.
        labels: the classes to draw, equally often, from a conditional model; None for all.
        show_channels: whether a grid of RGB images shows each channel beside its image.

    Returns:
        How many were written.

    Raises:
        UsageError: a model that draws no samples, classes that it does not have, or a folder for vectors.
    """
    if not model.answers("sample"):
        raise UsageError(f"{type(model).__name__} draws no samples; open a run of another model")
    if out.suffix == "" and not model.spec.is_image:
        raise UsageError(f"out={str(out)!r} is a folder for images, and this model draws vectors; give a .npz file")
    classes = checked_classes(model, labels)
    each = None
    if classes is None:
        count = count or COUNT
    else:
        count = count or PER_CLASS * len(classes)
        each = np.repeat(classes, [len(part) for part in np.array_split(np.arange(count), len(classes))])
    write(out, draw(model, count, temperature, seed, each), each, show_channels)
    return count


def checked_classes(model: GenerativeModel, labels: Sequence[int] | None) -> Sequence[int] | None:
    """The classes to draw: those that are asked for, or all; None for an unconditional model.

    Raises:
        UsageError: classes of an unconditional model, or one that the model does not have.
    """
    name = type(model).__name__
    if not model.conditional:
        if labels is not None:
            raise UsageError(f"label={list(labels)} was given, but {name} is not conditional; leave it out")
        return None
    known = range(model.spec.num_classes)
    for label in labels or ():
        if label not in known:
            raise UsageError(f"label={label} is not a class of {name}, which has 0 to {len(known) - 1}")
    return labels or known


def draw(
    model: GenerativeModel, count: int, temperature: float, seed: int, labels: np.ndarray | None = None
) -> np.ndarray:
    """uint8 samples [count, H, W, C], or vectors float32 [count, D].

    Those of an unconditional model are the ones that an evaluation with this seed draws; a larger count only continues
    them. If the model inverts flows by fixed-point iteration, the largest number of iterations is printed.

    Args:
        model: draws images or vectors.
        count: how many.
        temperature, seed: of the samples.
        labels: of a conditional model, int [count].
    """
    # One batch has the size that is asked for: noise is drawn in order, so that a few samples are the first of many.
    # Several batches are all whole, with the surplus cut, so that one shape is traced.
    size, starts = min(BATCH, count), range(0, count, BATCH)
    chosen = (None if labels is None else np.resize(labels[start : start + size], size) for start in starts)
    arguments = [(batch_seed(seed, batch), model.conditions(each)) for batch, each in enumerate(chosen)]

    def sample(seed, condition):
        with searches() as found:
            images = model.sample(size, temperature=temperature, seed=seed, **condition)
        return images, [(each.iterations, each.tolerance) for each in found]

    parts, inverses = [], []
    for start, (images, found) in zip(starts, draw_batches(sample, arguments)):
        inverses.append(np.reshape(found, (-1, 2)))
        images = pictures.to_uint8(images) if model.spec.is_image else np.asarray(images)
        parts.append(images[: count - start])
        if count > 4 * BATCH:  # for fewer, a model may report progress within a batch
            print(f"  {min(start + BATCH, count):,} of {count:,}", flush=True)
    if inverses[0].size:
        iterations, tolerance = max(map(tuple, np.concatenate(inverses)))  # those of the slowest block
        print(f"  inverse by fixed-point iteration: at most {iterations:.0f} iterations (tolerance {tolerance:g})")
    return np.concatenate(parts)


def write(out: Path, images: np.ndarray, labels: np.ndarray | None = None, show_channels: bool = False) -> None:
    """Writes images as a grid, an array or a folder of PNG files; vectors as a scatter plot or an array.

    Images with labels are a grid with a row for each class, an array beside that of their labels, or sub-folders named
    by the classes.

    Args:
        out: a .png, a .npz or a folder.
        images: uint8 [n, H, W, C], or vectors [n, D].
        labels: int [n], equal ones side by side; or None.
        show_channels: whether a grid of RGB images shows each channel beside its image.
    """
    vectors = images.ndim == 2
    if out.suffix == ".png" and vectors:
        pictures.save(out, pictures.scatter(samples=images))
    elif out.suffix == ".png":
        rows, columns = (images, None) if labels is None else _rows(images, labels)
        picture = pictures.grid(rows, columns, stacked=show_channels and images.shape[-1] == 3)
        pictures.save(out, pictures.magnified(picture))
    elif out.suffix == ".npz":
        named = {"vectors" if vectors else "images": images, **({} if labels is None else {"labels": labels})}
        files.write_atomically(out, lambda file: np.savez_compressed(file, **named))
    else:
        for place, image in enumerate(images):
            folder = out if labels is None else out / str(labels[place])
            pictures.save(folder / f"{place:06d}.png", image)


def _rows(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Images with white ones behind each class that has fewer than the largest, and the images of a row."""
    _, starts, counts = np.unique(labels, return_index=True, return_counts=True)
    columns = counts.max()
    rows = []
    for place in np.argsort(starts):  # in the order in which the classes come
        white = np.full((columns - counts[place], *images.shape[1:]), 255, np.uint8)
        rows += [images[starts[place] : starts[place] + counts[place]], white]
    return np.concatenate(rows), int(columns)
