"""Images in NumPy files, `npz:PATH` and `npy:PATH`: uint8, or floating point in [0, 1]."""

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np

from tfade.data.cache import Store
from tfade.data.npy import StoredArray, read_headers
from tfade.data.source import ArraySource
from tfade.data.splits import MissingSplit, Part, plan
from tfade.data.transforms import Transform
from tfade.errors import UsageError

SPLIT_KEYS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}


def arrays(
    name: str, split: str, path: pathlib.Path, transform: Transform, store: Store, carve: int | None, max_bytes: int
) -> ArraySource:
    """Images from a NumPy file.

    The arrays may be `x_train`, `y_train`, `x_test`, `y_test`, `x_validation` (or `x_val`), `y_validation`; or `images`
    and `labels`; or one array of any name. Missing splits are carved by position, every tenth image by default
    (`tfade.data.splits`), so a file sorted by class is carved evenly. Images are uint8, or floating
    point in [0, 1] (rounded to 256 levels), [N, H, W] or [N, H, W, C]; labels are integers [N] or [N, 1] from 0.

    Args:
        name, split: as in `Spec`.
        path: the file.
        transform: the preprocessing.
        store: where the images are kept.
        carve: as in `tfade.data.splits.plan`.
        max_bytes: an array that declares more than this, decompressed, is refused before it is read.

    Raises:
        UsageError: the file cannot be read, or holds something else than images.
    """
    stored = _pairs(name, read_headers(name, path, max_bytes))
    part = plan(name, split, {key: key for key in stored}, carve)
    labels = {key: _labels(name, images, marks) for key, (images, marks) in stored.items() if marks is not None}
    if labels and len(labels) < len(stored):
        missing = ", ".join(sorted(set(stored) - set(labels)))
        raise UsageError(
            f"data={name!r} has labels for some splits but not for {missing}; give labels for all, or none"
        )
    num_classes = max(int(marks.max()) for marks in labels.values()) + 1 if labels else None
    images, _ = stored[part.stored]
    _check_images(name, images)
    count = int(part.chosen(np.arange(images.shape[0])).sum())
    if count == 0:
        raise MissingSplit(
            f"data={name!r} has no images for split={split!r}: {images.shape[0]} are too few to carve it"
        )
    status = path.stat()
    key = {
        "file": [str(path.resolve()), status.st_size, status.st_mtime_ns, images.member],
        "part": dataclasses.asdict(part),
        "transform": dataclasses.asdict(transform),
    }
    pixels, marks = store.images(
        f"{name} {split}",
        key,
        count,
        lambda: _blocks(name, images, labels.get(part.stored), part, transform),
        bool(labels),
    )
    return ArraySource(name, split, pixels, marks, num_classes)


def _pairs(name: str, found: dict[str, StoredArray]) -> dict[str, tuple[StoredArray, StoredArray | None]]:
    """Images and labels of every stored split."""
    pairs = {}
    for split, suffixes in SPLIT_KEYS.items():
        keys = [suffix for suffix in suffixes if f"x_{suffix}" in found]
        if len(keys) > 1:
            raise UsageError(f"data={name!r} has both x_validation and x_val; keep one")
        if keys:
            pairs[split] = (found[f"x_{keys[0]}"], found.get(f"y_{keys[0]}"))
    if not pairs and "images" in found:
        pairs["train"] = (found["images"], found.get("labels"))
    if not pairs and len(found) == 1:
        pairs["train"] = (next(iter(found.values())), None)
    if not pairs:
        raise UsageError(
            f"data={name!r} holds the arrays {', '.join(sorted(found)) or '(none)'}; "
            f"call them images and labels, or x_train, y_train, x_test, y_test"
        )
    return pairs


def _check_images(name: str, images: StoredArray) -> None:
    shape = images.shape
    if len(shape) not in (3, 4):
        raise UsageError(f"data={name!r} has shape {shape}; images are [N, H, W] or [N, H, W, C]")
    if len(shape) == 4 and shape[3] not in (1, 3):
        if shape[1] in (1, 3):
            raise UsageError(
                f"data={name!r} has shape {shape}, which looks like [N, C, H, W]; "
                f"save np.moveaxis(images, 1, -1), which is [N, H, W, C]"
            )
        raise UsageError(f"data={name!r} has shape {shape}; the last axis has to be 1 (grey) or 3 (colour)")
    if 0 in shape:
        raise UsageError(f"data={name!r} has shape {shape}, which holds no pixels")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise UsageError(
            f"data={name!r} has dtype {images.dtype}; images are uint8, or floating point in [0, 1]: "
            f"save images.astype(np.uint8) if the values are 0 to 255"
        )


def _labels(name: str, images: StoredArray, labels: StoredArray) -> np.ndarray:
    """The labels of one stored split, int64 [N]."""
    if labels.dtype.kind not in "iu" or labels.shape not in ((images.shape[0],), (images.shape[0], 1)):
        raise UsageError(
            f"data={name!r} has labels {labels.dtype} of shape {labels.shape} for {images.shape[0]} images; "
            f"labels are integers [N] (one-hot labels: save labels.argmax(-1))"
        )
    values = labels.read().reshape(-1)
    if values.size and not 0 <= int(values.min()) <= int(values.max()) < 2**31 - 1:
        raise UsageError(f"data={name!r} has labels from {values.min()} to {values.max()}; they count from 0")
    return values.astype(np.int64)


def _blocks(
    name: str, images: StoredArray, labels: np.ndarray | None, part: Part, transform: Transform
) -> Iterator[tuple[list[np.ndarray], np.ndarray | None]]:
    """The part's images, transformed; ends with an error if any value of the array is no pixel."""
    start, bad, first = 0, 0, None
    for block in images.rows():
        block = block.reshape(len(block), *images.shape[1:3], -1)
        if block.dtype.kind == "f":
            wrong = ~((block >= 0) & (block <= 1))  # true for NaN as well
            if wrong.any():
                if first is None:
                    index = np.argwhere(wrong)[0]
                    first = (start + int(index[0]), *map(int, index[1:])), block[tuple(index)]
                bad += int(wrong.sum())
            block = np.round(np.where(wrong, 0, block).astype(np.float64) * 255).astype(np.uint8)
        positions = np.arange(start, start + len(block))
        chosen = part.chosen(positions)
        start += len(block)
        if not bad and chosen.any():
            yield [transform(image) for image in block[chosen]], None if labels is None else labels[positions[chosen]]
    if bad:
        raise UsageError(
            f"data={name!r} has {bad} values outside of [0, 1] or not finite, the first {first[1]} at {first[0]}; "
            f"mend them, or save uint8 if the values are 0 to 255"
        )
