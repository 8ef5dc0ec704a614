"""scikit-learn's scans of handwritten digits: real images without a download."""

import functools

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from tfade.data.source import ArraySource

NUM_CLASSES = 10
SIZE, MARGIN = 16, 1  # 8×8 scans are resized to 14×14 and padded by a margin of 1 on every side


@functools.cache
def _scans() -> tuple[np.ndarray, np.ndarray]:
    """All 1,797 scans as uint8 [N, 16, 16, 1] and their labels."""
    bunch = load_digits()
    inner = (SIZE - 2 * MARGIN,) * 2
    resized = [
        np.asarray(
            Image.fromarray(np.round(scan * (255 / 16)).astype(np.uint8)).resize(inner, Image.Resampling.BICUBIC)
        )
        for scan in bunch.images
    ]
    images = np.pad(np.stack(resized), ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))[..., None]
    return images, bunch.target.astype(np.int32)


def digits(split: str) -> ArraySource:
    """Grey digits, uint8 [16, 16, 1]. Of ten scans of a digit the fifth is for validation, the last two for testing.

    Counted within each digit: the file's own order is not independent of the labels, so splits by it would differ in
    the frequencies of the digits.

    Args:
        split: "train" (1,265 scans), "validation" (179) or "test" (353).
    """
    images, labels = _scans()
    place = np.empty(len(labels), np.int64)
    for digit in range(NUM_CLASSES):
        of_digit = labels == digit
        place[of_digit] = np.arange(of_digit.sum()) % 10
    chosen = {"train": ~np.isin(place, (4, 8, 9)), "validation": place == 4, "test": place >= 8}[split]
    return ArraySource("digits", split, images[chosen], labels[chosen], NUM_CLASSES)
