"""Grey images inverted, coloured and thickened: a second domain whose exact translation is known."""

import dataclasses

import numpy as np

from tfade.data.source import Source

GROUND, INK = (250, 208, 84), (28, 40, 128)  # dark blue strokes on yellow


def paint(grey: np.ndarray) -> np.ndarray:
    """y = ground + (ink − ground) · g / 255, g the largest level of a pixel, the one above it and the one to its left.

    Args:
        grey: uint8 [n, H, W, 1], bright strokes on black.

    Returns:
        uint8 [n, H, W, 3]. Strokes are a pixel thicker, and the background is brighter than they are.
    """
    margin = np.pad(grey, ((0, 0), (1, 0), (1, 0), (0, 0)))
    share = np.maximum.reduce([grey, margin[:, :-1, 1:], margin[:, 1:, :-1]]).astype(np.float32) / 255
    ground, ink = np.float32(GROUND), np.float32(INK)
    return np.rint(ground + (ink - ground) * share).astype(np.uint8)


class PaintedSource(Source):
    """The images of a grey set, each as `paint` makes it, with its label.

    Args:
        name: the name of the painted data set.
        grey: the grey source, [H, W, 1] uint8.
    """

    def __init__(self, name: str, grey: Source):
        self._grey = grey
        done = "inverted, coloured and thickened"
        before = grey.spec.preprocessing
        self.spec = dataclasses.replace(
            grey.spec,
            name=name,
            shape=(*grey.spec.shape[:2], len(INK)),
            preprocessing=f"{before}, {done}" if before else done,
        )

    @property
    def original(self):
        return self._grey

    def fetch(self, indices):
        return paint(self._grey.fetch(indices))

    def labels(self, indices):
        return self._grey.labels(indices)
