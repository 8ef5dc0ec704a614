"""Pictures of what a model answers: samples, reconstructions, interpolations, translations."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfade import pictures
from tfade.data.source import Source
from tfade.errors import NonFiniteError, one_line
from tfade.models.base import GenerativeModel

GAP = 6  # white rows between the parts of the overview, before magnification
SCATTERED = 2000  # vectors in a scatter plot
PICTURE_SEED = 12345  # the same latents at every look, so that one sees them change


def spread(total: int, count: int) -> np.ndarray:
    """At most `count` of the indices below `total`, evenly spaced: folders are often sorted by class."""
    return np.linspace(0, total - 1, min(total, count)).astype(np.int64)


def examples(model: GenerativeModel, source: Source, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Examples of a source, and their labels for a conditional model."""
    indices = spread(source.spec.num_examples, count)
    return source.fetch(indices), source.labels(indices) if model.conditional else None


@contextlib.contextmanager
def skip_on_failure(name: str, notify: Callable[[str], None] = print) -> Iterator[None]:
    """Turns an error of the model into a note: a picture that cannot be drawn does not end a run.

    Args:
        name: of what is drawn, for the note.
        notify: receives the note.
    """
    try:
        yield
    except (NonFiniteError, MemoryError, tf.errors.OpError) as error:  # an inverse not found, no memory
        notify(f"note: {name} left out: {one_line(error)}")


def sample_picture(model: GenerativeModel, count: int, seed: int = PICTURE_SEED) -> np.ndarray:
    """A grid of samples; of a conditional model with a row for each class."""
    columns, condition = _columns(model), {}
    if model.conditional:
        classes = model.spec.num_classes
        columns = max(1, round(count / classes))
        condition = {"labels": np.repeat(np.arange(classes), columns)}
        count = classes * columns
    return pictures.grid(model.sample(count, seed=seed, **condition), columns, stacked=model.spec.stacked)


def scatter_picture(model: GenerativeModel, held_out: Source, seed: int = PICTURE_SEED) -> np.ndarray:
    """Samples of a model of vectors beside held-out ones."""
    real, labels = examples(model, held_out, SCATTERED)
    return pictures.scatter(samples=model.sample(len(real), seed=seed, **model.conditions(labels)), data=real)


def reconstruction_picture(model: GenerativeModel, held_out: Source, count: int) -> np.ndarray:
    """Originals, and their reconstructions below them."""
    images, labels = examples(model, held_out, count)
    reconstructed = model.reconstruct(images, **model.conditions(labels))
    return pictures.before_and_after(images, reconstructed, _columns(model), stacked=model.spec.stacked)


def interpolation_picture(model: GenerativeModel, held_out: Source, pairs: int, steps: int) -> np.ndarray:
    """Rows of decoded points between held-out images, see `tfade.pictures.interpolations`."""
    ends, labels = examples(model, held_out, 2 * min(held_out.spec.num_examples // 2, pairs))
    condition = model.conditions(None if labels is None else labels[0::2])
    return pictures.interpolations(model, ends[0::2], ends[1::2], steps, condition)


def cycle_picture(translate: Callable, translate_back: Callable, held_out: Source, count: int) -> np.ndarray:
    """Images, their translations below them, and these translated back."""
    images = held_out.fetch(spread(held_out.spec.num_examples, count))
    translated = translate(images)
    return pictures.in_rows(images, translated, translate_back(translated))


def all_pictures(
    model: GenerativeModel,
    held_out: Source,
    other: Source | None = None,
    *,
    samples: int = 36,
    reconstructions: int = 12,
    interpolations: int = 0,
    interpolation_steps: int = 8,
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, picture) of everything that the model answers; `other` are examples of the second domain."""
    if not held_out.spec.is_image:
        if model.answers("sample"):
            yield "samples", scatter_picture(model, held_out)
        return
    if model.answers("sample"):
        yield "samples", sample_picture(model, samples)
    if model.answers("reconstruct"):
        yield "reconstructions", reconstruction_picture(model, held_out, reconstructions)
    if model.answers("translate") and model.answers("translate_back"):
        yield "cycle", cycle_picture(model.translate, model.translate_back, held_out, reconstructions)
        if other is not None:
            yield "cycle_back", cycle_picture(model.translate_back, model.translate, other, reconstructions)
    if interpolations and model.answers("interpolate") and held_out.spec.num_examples >= 2:
        yield "interpolation", interpolation_picture(model, held_out, interpolations, interpolation_steps)


def write_overview(
    model: GenerativeModel,
    held_out: Source,
    path: Path,
    samples: int,
    reconstructions: int,
    other: Source | None = None,
) -> bool:
    """One picture of samples and, below them, originals with their reconstructions, or translations there and back.

    Returns:
        Whether there was anything to show.
    """
    parts = [part for _, part in all_pictures(model, held_out, other, samples=samples, reconstructions=reconstructions)]
    if not parts:
        return False
    width = max(part.shape[1] for part in parts)
    white = [np.full((part.shape[0], width - part.shape[1], 3), 255, np.uint8) for part in parts]
    rows = [np.concatenate(pair, 1) for pair in zip(parts, white)]
    between = np.full((GAP, width, 3), 255, np.uint8)
    pictures.save(path, pictures.magnified(np.concatenate([rows[0], *(x for row in rows[1:] for x in (between, row))])))
    return True


def _columns(model: GenerativeModel) -> int:
    """Images in a row; a stacked one is four tiles wide."""
    return 4 if model.spec.stacked else 12
