"""Deterministic preprocessing of one uint8 image: channels, centre crop, antialiased resize, margin, block means."""

import dataclasses

import numpy as np
from PIL import Image

from tfade.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Transform:
    """The steps from a stored image to the model's image, in this order.

    1. `channels`: 3 to 1 by ITU-R 601 luma, 1 to 3 by repetition.
    2. `crop`: the centred square of that side; its first row is ⌊(height − crop) / 2⌋; for CelebA with 140
       that is [39:179, 19:159].
    3. `image_size`: the largest centred square, resized by Pillow's bicubic filter, which widens with the scale
       (antialiased) and rounds to uint8. An image that already has the size is left unchanged.
    4. `pad`: a black margin of that many pixels on every side (MNIST with 2: 28 to 32).
    5. `average`: means over blocks of that many pixels squared, rounded to uint8 (MNIST with pad 2 and average 2: 16).

    Attributes:
        crop, image_size: pixels, or None to leave out the step.
        pad: pixels, 0 for none.
        average: side of a block in pixels, 1 for none.
        channels: 1, 3 or None to keep what is there.

    Raises:
        UsageError: a value is out of its range.
    """

    crop: int | None = None
    image_size: int | None = None
    pad: int = 0
    average: int = 1
    channels: int | None = None

    def __post_init__(self):
        for name in ("crop", "image_size"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UsageError(f"{name}={value!r} is not a size; give a number of pixels from 1, or None")
        if not isinstance(self.pad, int) or self.pad < 0:
            raise UsageError(f"pad={self.pad!r} is not a margin; give a number of pixels from 0")
        if not isinstance(self.average, int) or self.average < 1:
            raise UsageError(f"average={self.average!r} is not a block size; give a number of pixels from 1")
        if self.channels not in (None, 1, 3):
            raise UsageError(f"channels={self.channels!r} is not possible; give 1 (grey), 3 (colour), or None")

    @property
    def is_identity(self) -> bool:
        return self == Transform()

    def describe(self) -> str:
        """The steps in their order, such as "centre crop 140, bicubic resize to 64"; "" for none."""
        steps = (
            (self.channels, {1: "to grey", 3: "to three channels"}.get(self.channels)),
            (self.crop, f"centre crop {self.crop}"),
            (self.image_size, f"bicubic resize to {self.image_size}"),
            (self.pad, f"black margin of {self.pad}"),
            (self.average > 1, f"means of {self.average}×{self.average} blocks"),
        )
        return ", ".join(text for is_done, text in steps if is_done)

    def problem(self, height: int, width: int) -> str | None:
        """Why an image of this size cannot be transformed, or None."""
        if self.crop is not None and min(height, width) < self.crop:
            return f"{height}×{width} pixels are smaller than crop={self.crop}"
        side = self.image_size or self.crop
        sides = {2 * self.pad + length for length in ((height, width) if side is None else (side,))}
        if any(length % self.average for length in sides):
            return (
                f"{height}×{width} pixels with pad={self.pad} cannot be divided into blocks of average={self.average}"
            )
        return None

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Transforms one image.

        Args:
            image: uint8 [H, W, 1 or 3].

        Returns:
            uint8 image, square if `crop` or `image_size` is given.

        Raises:
            UsageError: the image does not fit the crop or the blocks, or has another number of channels.
        """
        if image.ndim != 3 or image.shape[-1] not in (1, 3):
            raise UsageError(f"an image of shape {image.shape} is neither grey [H, W, 1] nor colour [H, W, 3]")
        if problem := self.problem(*image.shape[:2]):
            raise UsageError(f"{problem}; give a crop of at most {min(image.shape[:2])}, and blocks that fit")
        image = _with_channels(image, self.channels)
        if self.crop is not None:
            image = _centre(image, self.crop)
        if self.image_size is not None:
            image = _resized(_centre(image, min(image.shape[:2])), self.image_size)
        image = _padded(image, self.pad) if self.pad else image
        return _averaged(image, self.average) if self.average > 1 else image


def _with_channels(image: np.ndarray, channels: int | None) -> np.ndarray:
    if channels in (None, image.shape[-1]):
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=-1)
    return np.asarray(Image.fromarray(image).convert("L"))[..., None]


def _centre(image: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def _resized(image: np.ndarray, side: int) -> np.ndarray:
    if image.shape[0] == side:
        return image
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else np.ascontiguousarray(image))
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC)).reshape(side, side, image.shape[-1])


def _padded(image: np.ndarray, margin: int) -> np.ndarray:
    height, width, channels = image.shape
    result = np.zeros((height + 2 * margin, width + 2 * margin, channels), np.uint8)
    result[margin : margin + height, margin : margin + width] = image
    return result


def _averaged(image: np.ndarray, side: int) -> np.ndarray:
    height, width, channels = image.shape
    blocks = image.reshape(height // side, side, width // side, side, channels)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
