"""Pixel ranges of images that a user brings."""

import numpy as np

from tfade.errors import UsageError

UNIT_TOLERANCE = 1e-5  # float32 rounding of a sigmoid or of (tanh + 1)/2; it never changes the rounding to uint8
_BLOCK = 4096  # images looked at together


def check_full_range(name: str, images: np.ndarray) -> None:
    """Rejects uint8 images that a user brings and whose largest value is 1; a collapsed model's own may be so dark.

    Args:
        name: how the error calls them.
        images: uint8 [N, ...]; a memory-mapped file is read until a larger value is found.

    Raises:
        UsageError: the largest value is 1, as of masks, and of images in [0, 1] that were cast to uint8.
    """
    largest = 0
    for start in range(0, len(images), _BLOCK):
        largest = max(largest, int(images[start : start + _BLOCK].max(initial=0)))
        if largest > 1:
            return
    if largest == 1:
        raise UsageError(
            f"{name} has no value above 1 of 255: a mask, images in [0, 1] that were cast to uint8, or divided by 255 "
            f"twice? give uint8 in 0..255 (masks: multiply by 255), or floats in [0, 1]"
        )
