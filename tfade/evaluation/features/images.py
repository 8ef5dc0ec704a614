"""Conversion of images to uint8 levels, for extractors and for metrics that train a network."""

import numpy as np

from tfade.data.checks import UNIT_TOLERANCE, check_full_range
from tfade.errors import UsageError
from tfade.evaluation.checks import checked_images

_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))


def as_levels(images, *, value_range: tuple[float, float] | None = None, name: str = "images") -> np.ndarray:
    """`images` as uint8 [N, H, W, C] in 0..255.

    Args:
        images: uint8 [N, H, W, C] with 1 or 3 channels, which stay as they are; or floating point.
        value_range: of floating-point images: (0, 1), (-1, 1) or (0, 255). It must be given: dark images in
            0..255 cannot be distinguished from bright ones in [0, 1].
        name: how errors call them.

    Returns:
        The levels; floats are rounded to the nearest.

    Raises:
        UsageError: of another type or shape, channels first, empty, NaN or infinite, floats without a range or outside
            of it, or images "in 0..255" that never exceed 1.5.
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        if value_range is not None and tuple(value_range) != (0, 255):
            raise UsageError(f"value_range={value_range} of {name} does not suit uint8 images, which are in 0..255")
        levels = checked_images(name, images)
        check_full_range(name, levels)
    elif images.dtype.kind == "f":
        levels = checked_images(name, np.rint(_in_levels(name, images, value_range)).astype(np.uint8))
    else:
        raise UsageError(f"{name} has dtype {images.dtype}; give uint8 in 0..255, or floats with their value_range")
    if not len(levels):
        raise UsageError(f"{name} has shape {list(levels.shape)}, no image; give at least one")
    return levels


def _in_levels(name: str, images: np.ndarray, value_range) -> np.ndarray:
    """Floating-point images mapped to [0, 255]."""
    if value_range is None or tuple(map(float, value_range)) not in _RANGES:
        raise UsageError(
            f"{name} has dtype {images.dtype} and value_range={value_range}; give their range as "
            "value_range=(0, 1), (-1, 1) or (0, 255), or give uint8"
        )
    bad = int((~np.isfinite(images)).sum())
    if bad:
        raise UsageError(f"{name} holds {bad} NaN or infinite values of {images.size}; images must be finite")
    low, high = map(float, value_range)
    slack = UNIT_TOLERANCE * (high - low)
    if images.size and (images.min() < low - slack or images.max() > high + slack):
        raise UsageError(
            f"{name} lies in [{images.min():.6g}, {images.max():.6g}], outside value_range=({low:g}, {high:g}); "
            "give the range that they have"
        )
    if high == 255 and images.size and images.max() < 1.5:
        raise UsageError(
            f"{name} with value_range=(0, 255) stays under 1.5 (its largest value is {images.max():.6g}), as images in "
            "[0, 1] do; use value_range=(0, 1), or multiply by 255"
        )
    return (images.astype(np.float64) - low) * (255 / (high - low))
