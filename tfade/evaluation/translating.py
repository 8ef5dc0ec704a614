"""Images of two domains translated to each other and back, with what is known of the exact translation."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfade.contract import Contract
from tfade.data.painted import paint
from tfade.data.source import Source
from tfade.evaluation.checks import checked_unit, to_uint8
from tfade.evaluation.choice import choose
from tfade.evaluation.progress import ticks
from tfade.evaluation.result import NotApplicable


@dataclasses.dataclass(frozen=True)
class Translated:
    """Images of one domain in the other.

    Attributes:
        indices: of the images in their source, int64 [n].
        images: their translations, uint8 [n, H, W, C].
        cycle_errors: mean absolute difference of each image from itself translated there and back, float64 [n], in
            units of the range [0, 1].
        errors: of each translation from the exact one, likewise; None where that is not known.
    """

    indices: np.ndarray
    images: np.ndarray
    cycle_errors: np.ndarray
    errors: np.ndarray | None


def both_ways(
    model: Contract,
    first: Source,
    second: Source | None,
    count: int,
    seed: int,
    batch_size: int,
    progress: Callable[[str], None],
) -> tuple[Translated, Translated]:
    """Images of the first domain in the second, and of the second in the first.

    Args:
        model: translates.
        first, second: the data of the domains; None where those of the second are not given.
        count, seed: how many images of each, and of their choice; all where there are fewer.
        batch_size, progress: as in `translated`.

    Raises:
        NotApplicable: the model does not translate both ways, or there are no data of the second domain.
    """
    name = type(model).__name__
    if not (model.answers("translate") and model.answers("translate_back")):
        raise NotApplicable(f"{name} does not translate between two domains")
    if second is None:
        raise NotApplicable(f"{name} translates, but the data of its second domain are not given")
    there, back = (choose(source, count, seed) for source in (first, second))
    return (
        translated(model.translate, model.translate_back, first, second, there, batch_size, progress),
        translated(model.translate_back, model.translate, second, first, back, batch_size, progress),
    )


def translated(
    translate: Callable,
    translate_back: Callable,
    source: Source,
    target: Source,
    indices: np.ndarray,
    batch_size: int,
    progress: Callable[[str], None],
) -> Translated:
    """Translates examples of a source, and translates them back.

    Args:
        translate, translate_back: images in [0, 1], or uint8, of one domain → images in [0, 1] of the other.
        source, target: the domain of the images, and the other one.
        indices: the examples, int64 [n].
        batch_size: images at a time.
        progress: receives lines of text.

    Raises:
        UsageError: translations that are not images of the other domain's shape, or not finite in [0, 1].
    """
    count, exact = len(indices), exact_translation(source, target)
    images, cycle_errors, errors = np.empty((count, *target.spec.shape), np.uint8), np.empty(count), np.empty(count)
    for start in ticks(progress, "translations", range(0, count, batch_size), count):
        rows = slice(start, start + batch_size)
        originals = source.fetch(indices[rows])
        there = checked_unit("translations", translate(originals))
        images[rows] = to_uint8("translations", there, target.spec.shape)
        back = translate_back(there)
        to_uint8("translations back", back, source.spec.shape)
        cycle_errors[rows] = _errors(originals, checked_unit("translations back", back))
        if exact is not None:
            errors[rows] = _errors(exact(indices[rows], originals), there)
    return Translated(indices, images, cycle_errors, errors if exact is not None else None)


def exact_translation(source: Source, target: Source) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    """(indices, images of the source) → their exact translations, uint8; None where these are not known.

    They are known of grey images and painted ones, whichever is the source.
    """
    if target.original is not None and target.original.spec.shape == source.spec.shape:
        return lambda indices, images: paint(images)
    if source.original is not None and source.original.spec.shape == target.spec.shape:
        return lambda indices, images: source.original.fetch(indices)
    return None


def _errors(levels: np.ndarray, unit: np.ndarray) -> np.ndarray:
    return np.abs(levels / 255.0 - unit).reshape(len(unit), -1).mean(1)
