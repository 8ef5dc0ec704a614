"""Image files: headers and pixels. Nothing is decoded before its declared size has been checked."""

import dataclasses
import pathlib
import struct
import threading
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from tfade.errors import one_line

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pnm", ".pbm",
)  # fmt: skip
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
GREY_MODES, COLOUR_MODES, ALPHA_MODES = ("1", "L"), ("RGB", "P", "CMYK", "YCbCr"), ("RGBA", "LA")
_TRANSPOSED = (5, 6, 7, 8)  # EXIF orientations that exchange height and width
_ORIENTATION, _BITS_PER_SAMPLE = 0x0112, 258


class ImageProblem(Exception):
    """An image file cannot be used; the message says why, without the path."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What an image file declares: height and width as displayed, 1 or 3 channels, whether it has several frames."""

    height: int
    width: int
    channels: int
    has_frames: bool = False


def is_image(path: pathlib.Path) -> bool:
    """Whether a file's content is one of the supported formats, whatever its name."""
    try:
        with _WITHOUT_LIMIT, Image.open(path, formats=FORMATS):
            return True
    except Exception:  # Pillow's readers raise almost any type on other files
        return False


def read_header(path: pathlib.Path, max_pixels: int) -> Header:
    """Reads the header of an image file.

    Raises:
        ImageProblem: not an image, too large, more than 8 bits per channel, or a mode other than grey and colour.
    """
    with _opened(path, max_pixels) as image:
        channels = _channels(image)
        width, height = image.size
        try:
            if _orientation(image) in _TRANSPOSED:
                height, width = width, height
            # The second picture of an MPO file is a camera's preview or depth map.
            has_frames = image.format != "MPO" and getattr(image, "n_frames", 1) > 1
        except Exception as error:  # Pillow's readers raise almost any type on a damaged file
            raise ImageProblem(f"damaged: {one_line(error)}") from error
        return Header(height, width, channels, has_frames)


def read_image(path: pathlib.Path, max_pixels: int) -> np.ndarray:
    """Decodes an image file, the first frame of an animation, upright according to its EXIF orientation.

    Returns:
        uint8 [H, W, 1] for a grey file, [H, W, 3] for a colour file.

    Raises:
        ImageProblem: as `read_header`; or the pixels are damaged or partly transparent.
    """
    with _opened(path, max_pixels) as image:
        channels = _channels(image)
        try:
            image.load()
            if _orientation(image) != 1:
                image = ImageOps.exif_transpose(image)
            transparent = image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        except Exception as error:  # as above
            raise ImageProblem(f"damaged: {one_line(error)}") from error
    if transparent:
        raise ImageProblem("has transparent pixels; flatten it onto a background")
    return pixels.reshape(*pixels.shape[:2], channels)


def _opened(path: pathlib.Path, max_pixels: int) -> Image.Image:
    try:
        with _WITHOUT_LIMIT:
            image = Image.open(path)
    except Exception as error:  # as above
        message = "not an image" if isinstance(error, Image.UnidentifiedImageError) else one_line(error)
        raise ImageProblem(message) from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise ImageProblem(f"{height}×{width} pixels exceed max_pixels={max_pixels}")
    return image


class _WithoutLimit:
    """Inside, files open that declare more pixels than Pillow's own limit, which knows nothing of `max_pixels`.

    Opening reads the header alone. The limit is one of the process, and several threads read images: the last one that
    leaves restores it.
    """

    def __init__(self):
        self._lock, self._inside, self._limit = threading.Lock(), 0, None

    def __enter__(self):
        with self._lock:
            if not self._inside:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                Image.MAX_IMAGE_PIXELS = self._limit


_WITHOUT_LIMIT = _WithoutLimit()


def _channels(image: Image.Image) -> int:
    """1 or 3, by the file's mode: an RGB file with three equal channels counts as colour."""
    if (bits := _bits(image)) > 8:
        raise ImageProblem(
            f"has {bits} bits per channel; convert it to 8 bits, "
            f"or give the images as floating point in [0, 1] in an .npz file"
        )
    if image.mode in GREY_MODES or image.mode == "LA":
        return 1
    if image.mode in COLOUR_MODES or image.mode in ALPHA_MODES:
        return 3
    raise ImageProblem(f"mode {image.mode} is not grey or colour; convert it to RGB or grey")


def _bits(image: Image.Image) -> int:
    """Bits per channel of a file: Pillow silently reads 16-bit colour as 8-bit colour."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    arguments = [tile.args if isinstance(tile.args, tuple) else (tile.args,) for tile in image.tile]
    if image.format == "PPM" and any(
        isinstance(value, int) and value > 255 for values in arguments for value in values
    ):
        return 16
    return 16 if image.format == "PNG" and any(";16" in str(values[0]) for values in arguments) else 8


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where the image is upright as it is stored."""
    if image.format == "TIFF":  # Pillow turns it while it decodes, and reports its size as displayed
        return 1
    if image.format == "PNG" and not _has_orientation(image.fp):
        return 1
    return image.getexif().get(_ORIENTATION, 1)


def _has_orientation(file: BinaryIO | None) -> bool:
    """Whether a PNG file has a chunk that may state an orientation; to find a late one, Pillow decodes all pixels.

    True as well for a file that was closed because it has been decoded.
    """
    if file is None:
        return True
    place = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            start = file.read(min(length, 32))
            if kind == b"eXIf" or start.startswith((b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")):
                return True
            file.seek(length - len(start) + 4, 1)
        return False
    finally:
        file.seek(place)
