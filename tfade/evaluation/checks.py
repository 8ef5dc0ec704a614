"""Checks of the arguments of array functions: errors name the argument, the value received, and the remedy."""

import numpy as np

from tfade.data.checks import UNIT_TOLERANCE
from tfade.errors import UsageError

LARGEST = 1e50  # sixth powers of features, as in the kernel distance, stay finite


def checked_features(name: str, features) -> np.ndarray:
    """`features` as float64 [N, D].

    Raises:
        UsageError: not numeric, not of rank 2, empty, or not finite.
    """
    array = np.asarray(features)
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{name} has dtype {array.dtype}; give real numbers [N, D]")
    if array.ndim != 2 or array.shape[1] < 1:
        raise UsageError(f"{name} has shape {list(array.shape)}; give features [N, D], one row an example")
    if len(array) < 1:
        raise UsageError(f"{name} has shape {list(array.shape)}, no example; give at least one row")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise UsageError(
            f"{name} holds {int((~np.isfinite(array)).sum())} NaN or infinite values; features must be finite"
        )
    if np.abs(array).max() >= LARGEST:
        raise UsageError(
            f"{name} holds values of up to {np.abs(array).max():.3g}, whose products overflow; features are below "
            f"{LARGEST:g}"
        )
    return array


def checked_images(name: str, images, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """`images` as uint8 [N, H, W, C].

    Args:
        name: how errors call them.
        images: an array or tensor.
        shape: the expected (H, W, C), or None for any with 1 or 3 channels.

    Raises:
        UsageError: not uint8, not rank 4, channels not last, or of another shape than expected.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise UsageError(f"{name} has dtype {images.dtype}; give uint8 images in 0..255 (`to_uint8` converts [0, 1])")
    _check_layout(name, images, shape)
    return images


def to_uint8(name: str, images, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Float images in [0, 1] rounded to uint8 [N, H, W, C].

    Raises:
        UsageError: not floating point, NaN or infinite, outside [0, 1], not rank 4, or of another shape than expected.
    """
    images = checked_unit(name, images)
    _check_layout(name, images, shape)
    return np.rint(images * np.float32(255)).astype(np.uint8)


def checked_unit(name: str, values) -> np.ndarray:
    """`values` as float32, any shape, after checking that they lie in [0, 1].

    Raises:
        UsageError: not floating point, NaN or infinite, or outside [0, 1].
    """
    values = np.asarray(values)
    if values.dtype.kind != "f":
        raise UsageError(f"{name} has dtype {values.dtype}; a model gives float32 images in [0, 1]")
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise UsageError(
            f"{name} holds {bad} NaN or infinite values of {values.size}; a model gives finite images in [0, 1]"
        )
    if values.size and (values.min() < -UNIT_TOLERANCE or values.max() > 1 + UNIT_TOLERANCE):
        raise UsageError(
            f"{name} lies in [{values.min():.6g}, {values.max():.6g}]; a model gives images in [0, 1] "
            "(map [-1, 1] by (x + 1)/2, and 0..255 by x/255)"
        )
    return values.astype(np.float32)


def checked_integers(name: str, values, limit: int) -> np.ndarray:
    """`values` as int64 [N], each in [0, limit).

    Raises:
        UsageError: not integers, not of rank 1, empty, or outside the range.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "iu" or values.ndim != 1:
        raise UsageError(f"{name} has dtype {values.dtype} and shape {list(values.shape)}; give integers [N]")
    if not len(values):
        raise UsageError(f"{name} is empty; give at least one")
    if values.min() < 0 or values.max() >= limit:
        raise UsageError(f"{name} lies in [{values.min()}, {values.max()}]; give integers from 0 to {limit - 1}")
    return values.astype(np.int64)


def checked_probabilities(name: str, probabilities, ranks: tuple[int, ...] = (2,)) -> np.ndarray:
    """`probabilities` as float64 [N, …, K], each row of the last axis summing to 1.

    Raises:
        UsageError: of another rank, empty, not finite, negative (logits?), or not summing to 1.
    """
    array = np.asarray(probabilities)
    if array.dtype.kind != "f" or array.ndim not in ranks or not array.size:
        raise UsageError(
            f"{name} has dtype {array.dtype} and shape {list(array.shape)}; "
            f"give floating-point probabilities of rank {' or '.join(map(str, ranks))}, the classes last"
        )
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise UsageError(f"{name} holds NaN or infinite values; probabilities must be finite")
    if array.min() < 0 or array.max() > 1 + 1e-4:
        raise UsageError(
            f"{name} lies in [{array.min():.6g}, {array.max():.6g}]; these look like logits: apply softmax first"
        )
    totals = array.sum(-1)
    worst = totals.flat[np.abs(totals - 1).argmax()]
    if abs(worst - 1) > 1e-4:
        raise UsageError(f"{name} has a row that sums to {worst:.6g}; each row over the classes must sum to 1")
    return array


def _check_layout(name: str, images: np.ndarray, shape: tuple[int, ...] | None) -> None:
    if images.ndim == 4 and images.shape[3] not in (1, 3) and images.shape[1] in (1, 3):
        raise UsageError(f"{name} has shape {list(images.shape)}, which looks like NCHW; give [N, H, W, C]")
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise UsageError(f"{name} has shape {list(images.shape)}; give [N, H, W, C] with 1 or 3 channels")
    if shape is not None and images.shape[1:] != tuple(shape):
        raise UsageError(f"{name} are images of shape {list(images.shape[1:])}; these data have shape {list(shape)}")
