"""Image files: headers and pixels. Nothing is decoded before its declared size has been checked."""

import dataclasses
import pathlib

import numpy as np
from PIL import Image, ImageOps

from tfade.errors import one_line

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
GREY_MODES, COLOUR_MODES, ALPHA_MODES = ("1", "L"), ("RGB", "P", "CMYK", "YCbCr"), ("RGBA", "LA")
_TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that exchange height and width
_ORIENTATION = 0x0112


class ImageProblem(Exception):
    """An image file cannot be used; the message says why, without the path."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What an image file declares: height and width as displayed, and 1 or 3 channels."""

    height: int
    width: int
    channels: int


def read_header(path: pathlib.Path, max_pixels: int) -> Header:
    """Reads the header of an image file.

    Raises:
        ImageProblem: not an image, too large, or of a mode that has no faithful uint8 form.
    """
    with _opened(path, max_pixels) as image:
        width, height = image.size
        if _orientation(image) in _TRANSPOSED:
            height, width = width, height
        return Header(height, width, _channels(image))


def read_image(path: pathlib.Path, max_pixels: int) -> np.ndarray:
    """Decodes an image file, the first frame of an animation, upright as its EXIF orientation says.

    Returns:
        uint8 [H, W, 1] for a grey file, [H, W, 3] for a colour file.

    Raises:
        ImageProblem: as `read_header`; or the pixels are damaged or partly transparent.
    """
    with _opened(path, max_pixels) as image:
        channels, orientation = _channels(image), _orientation(image)
        try:
            image.load()
            if orientation != 1:
                image = ImageOps.exif_transpose(image)
            transparent = image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        except Exception as error:  # Pillow's decoders raise almost any type on a damaged file
            raise ImageProblem(f"damaged: {one_line(error)}") from error
    if transparent:
        raise ImageProblem("has transparent pixels; flatten it onto a background")
    return pixels.reshape(*pixels.shape[:2], channels)


def _opened(path: pathlib.Path, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(path)
    except Exception as error:  # as above; DecompressionBombError among them
        message = "not an image" if isinstance(error, Image.UnidentifiedImageError) else one_line(error)
        raise ImageProblem(message) from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise ImageProblem(f"{height}×{width} pixels exceed max_pixels={max_pixels}")
    return image


def _channels(image: Image.Image) -> int:
    """1 or 3, by the file's mode: an RGB file with three equal channels counts as colour."""
    if image.mode in GREY_MODES or image.mode == "LA":
        return 1
    if image.mode in COLOUR_MODES or image.mode in ALPHA_MODES:
        return 3
    raise ImageProblem(f"mode {image.mode} is not 8-bit grey or colour; convert it to 8 bits per channel")


def _orientation(image: Image.Image) -> int:
    # Only JPEG: for PNG Pillow would decode the whole file to look for it.
    return image.getexif().get(_ORIENTATION, 1) if image.format in ("JPEG", "MPO") else 1
