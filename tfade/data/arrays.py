"""Images and vectors in NumPy files, `npz:PATH` and `npy:PATH`."""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from tfade.data.array_names import pair_arrays
from tfade.data.cache import Store
from tfade.data.checks import UNIT_TOLERANCE, check_full_range
from tfade.data.npy import StoredArray, read_headers
from tfade.data.source import ArraySource
from tfade.data.splits import MissingSplit, Part, plan
from tfade.data.transforms import Transform
from tfade.errors import UsageError

MOST_CLASSES = 1000  # labels below this may have gaps
RENUMBER = "save np.unique(labels, return_inverse=True)[1], the labels numbered from 0 without gaps"


def numpy_source(
    name: str, split: str, path: pathlib.Path, transform: Transform, store: Store, carve: int | None, max_bytes: int
) -> ArraySource:
    """Images or vectors from a NumPy file.

    The arrays may be `x_train`, `y_train`, `x_test`, `y_test`, `x_validation` (or `x_val`), `y_validation`; or
    `train_images`, `train_labels` and so on; or `images` and `labels`, `x` and `y`, `arr_0` and `arr_1`; or one array
    of any name; all in any case. Other arrays of the file are ignored. Missing splits are carved by position, every
    tenth image by default (`tfade.data.splits`), so a file sorted by class is carved evenly. Images are uint8, or
    floating point in [0, 1] (rounded to 256 levels), [N, H, W] or [N, H, W, C]; vectors are floating point [N, D],
    finite in float32; labels are integers [N] or [N, 1] from 0.

    Args:
        name, split: as in `Spec`.
        path: the file.
        transform: the preprocessing of images; vectors have none.
        store: where the examples are kept.
        carve: as in `tfade.data.splits.plan`.
        max_bytes: an array that declares more than this, decompressed, is rejected before it is read.

    Raises:
        UsageError: the file cannot be read, or holds neither images nor vectors.
    """
    stored = pair_arrays(name, read_headers(path))
    for array in itertools.chain(*stored.values()):
        if array is not None:
            array.check(name, max_bytes)
    part = plan(name, split, {key: key for key in stored}, carve)
    is_vectors = _are_vectors(name, {key: examples for key, (examples, _) in stored.items()}, transform)
    labels = {key: _labels(name, examples, values) for key, (examples, values) in stored.items() if values is not None}
    if labels and len(labels) < len(stored):
        missing = ", ".join(sorted(set(stored) - set(labels)))
        raise UsageError(
            f"data={name!r} has labels for some splits but not for {missing}; give labels for all, or none"
        )
    num_classes = _num_classes(name, labels) if labels else None
    examples, _ = stored[part.stored]
    if is_vectors and not transform.is_identity:
        raise UsageError(
            f"data={name!r} holds vectors, not images; leave crop, image_size, pad, average and channels out"
        )
    count = int(part.chosen(np.arange(examples.shape[0])).sum())
    if count == 0:
        raise MissingSplit(
            f"data={name!r} has no examples for split={split!r}: {examples.shape[0]} are too few to carve it"
        )
    status = path.stat()
    key = {
        "file": [str(path.resolve()), status.st_size, status.st_mtime_ns, examples.member],
        "part": dataclasses.asdict(part),
        "transform": dataclasses.asdict(transform),
    }
    stored_examples, stored_labels = store.examples(
        f"{name} {split}",
        key,
        count,
        lambda: _blocks(name, examples, labels.get(part.stored), part, None if is_vectors else transform),
        labelled=bool(labels),
        dtype="float32" if is_vectors else "uint8",
    )
    if not is_vectors:
        check_full_range(f"data={name!r}", stored_examples)
    return ArraySource(name, split, stored_examples, stored_labels, num_classes, part.describe(transform))


def _are_vectors(name: str, stored: dict[str, StoredArray], transform: Transform) -> bool:
    """Whether all splits hold vectors; False if all hold images.

    Raises:
        UsageError: a split holds neither, or examples of another shape than the others.
    """
    shapes = {}
    for split, examples in stored.items():
        if _is_vectors(name, examples):
            shapes[split] = examples.shape[1:]
            continue
        height, width, channels = (*examples.shape[1:], 1)[:3]
        sizes = () if transform.image_size or transform.crop else (height, width)
        shapes[split] = (*sizes, transform.channels or channels)
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{split} {examples.shape}" for split, examples in stored.items())
        raise UsageError(f"data={name!r} has splits of different shapes: {found}; save all with examples of one shape")
    return any(len(examples.shape) == 2 for examples in stored.values())


def _is_vectors(name: str, examples: StoredArray) -> bool:
    """Whether the array holds vectors and not images.

    Raises:
        UsageError: it holds neither.
    """
    shape, dtype = examples.shape, examples.dtype
    if len(shape) not in (2, 3, 4):
        raise UsageError(
            f"data={name!r} has shape {shape}; images are [N, H, W] or [N, H, W, C], and vectors are [N, D]"
        )
    if len(shape) == 4 and shape[3] not in (1, 3):
        if shape[1] in (1, 3):
            raise UsageError(
                f"data={name!r} has shape {shape}, which looks like [N, C, H, W]; "
                f"save np.moveaxis(images, 1, -1), which is [N, H, W, C]"
            )
        raise UsageError(f"data={name!r} has shape {shape}; the last axis has to be 1 (grey) or 3 (colour)")
    if 0 in shape:
        raise UsageError(f"data={name!r} has shape {shape}, which is empty")
    if len(shape) == 2 and dtype.kind != "f":
        raise UsageError(
            f"data={name!r} has dtype {dtype} and shape {shape}; vectors [N, D] are floating point (save "
            f"x.astype(np.float32)), and images are [N, H, W] or [N, H, W, C] (reshape flattened ones)"
        )
    if dtype != np.uint8 and dtype.kind != "f":
        raise UsageError(
            f"data={name!r} has dtype {dtype}; images are uint8, or floating point in [0, 1]: {_remedy(dtype)}"
        )
    return len(shape) == 2


def _remedy(dtype: np.dtype) -> str:
    if dtype.kind == "b":
        return "save images.astype(np.uint8) * 255"
    if dtype.kind in "iu":
        return (
            "save images.astype(np.uint8) if the values are 0 to 255, or (images / largest).astype(np.float32) "
            "with the largest possible value"
        )
    return "save numbers"


def _num_classes(name: str, labels: dict[str, np.ndarray]) -> int:
    """The largest label and 1.

    Raises:
        UsageError: most of so many classes would have no example, as of identity numbers.
    """
    present = np.unique(np.concatenate([np.unique(values) for values in labels.values()]))
    largest = int(present.max())
    if largest >= max(2 * len(present), MOST_CLASSES):
        raise UsageError(f"data={name!r} has labels up to {largest}, but {len(present)} different ones; {RENUMBER}")
    return largest + 1


def _labels(name: str, examples: StoredArray, labels: StoredArray) -> np.ndarray:
    """The labels of one stored split, int64 [N]."""
    if labels.dtype.kind not in "iu" or labels.shape not in ((examples.shape[0],), (examples.shape[0], 1)):
        raise UsageError(
            f"data={name!r} has labels {labels.dtype} of shape {labels.shape} for {examples.shape[0]} examples; "
            f"labels are integers [N] (one-hot labels: save labels.argmax(-1); others: labels.astype(np.int64))"
        )
    values = labels.read().reshape(-1)
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < 2**31 - 1:
        raise UsageError(
            f"data={name!r} has labels from {values.min()} to {values.max()}; they count from 0: {RENUMBER}"
        )
    return values.astype(np.int64)


def _blocks(
    name: str, examples: StoredArray, labels: np.ndarray | None, part: Part, transform: Transform | None
) -> Iterator[tuple[Sequence[np.ndarray], np.ndarray | None]]:
    """The part's images, transformed, or its vectors where `transform` is None.

    Raises:
        UsageError: a value of the array, in the part or not, is not a pixel or not finite.
    """
    start, bad, first = 0, 0, None
    for block in examples.rows():
        if transform:
            block = block.reshape(len(block), *examples.shape[1:3], -1)
        values, is_valid = _pixels(block) if transform else _vectors(block)
        if not is_valid.all():
            if first is None:
                index = np.argwhere(~is_valid)[0]
                first = (start + int(index[0]), *map(int, index[1:])), block[tuple(index)]
            bad += int(np.sum(~is_valid))
        positions = np.arange(start, start + len(block))
        chosen = part.chosen(positions)
        start += len(block)
        if not bad and chosen.any():
            kept = [transform(image) for image in values[chosen]] if transform else values[chosen]
            yield kept, None if labels is None else labels[positions[chosen]]
    if bad and transform:
        raise UsageError(
            f"data={name!r} has {bad} values outside of [0, 1] or not finite, the first {first[1]} at {first[0]}; "
            f"correct them; save images.astype(np.uint8) if they are 0 to 255, and (images + 1) / 2 if they are -1 to 1"
        )
    if bad:
        raise UsageError(
            f"data={name!r} has {bad} values that are not finite in float32, the first {first[1]} at {first[0]}; "
            f"correct or remove them"
        )


def _pixels(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 pixels, and which values of the block are valid."""
    if block.dtype == np.uint8:
        return block, np.ones((), bool)
    is_valid = (block >= -UNIT_TOLERANCE) & (block <= 1 + UNIT_TOLERANCE)  # false for NaN as well
    return np.round(np.where(is_valid, block, 0).astype(np.float64) * 255).astype(np.uint8), is_valid


def _vectors(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 vectors, and which values of the block are valid."""
    with np.errstate(over="ignore"):
        vectors = block.astype(np.float32)
    return vectors, np.isfinite(vectors)
