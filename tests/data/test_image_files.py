"""Image files: formats, depth, orientation, frames, and files that are not what they seem."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from tests.data.stored import everything
from tfade.data import load
from tfade.data.images import Header, read_header
from tfade.errors import UsageError


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "ppm", "PNG", "jfif", "jpe", "JPE", "pnm"]
)
def test_formats(write_images, suffix):
    flat = np.full((8, 8, 3), (200, 30, 90), np.uint8)
    root = write_images({f"train/{number}.{suffix}": flat for number in range(3)})
    source = load(f"folder:{root}", carve=None)
    assert source.spec.shape == (8, 8, 3)
    assert abs(everything(source).astype(int) - flat).max() <= 4


def test_animations_give_their_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (everything(load(f"folder:{tmp_path}", carve=None)) == 10).all()


def test_grey_only_when_every_file_is(write_images):
    root = write_images({f"train/{number}.png": (4, 4) for number in range(4)})
    assert load(f"folder:{root}").spec.shape == (4, 4, 1)
    assert load(f"folder:{root}", channels=3).spec.shape == (4, 4, 3)
    # The colour image is in another split, but the splits have to agree.
    write_images({"test/colour.png": (4, 4, 3)})
    assert load(f"folder:{root}").spec.shape == (4, 4, 3)
    assert load(f"folder:{root}", channels=1).spec.shape == (4, 4, 1)


def test_palette_opaque_alpha_and_orientation(tmp_path):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, :3] = (255, 0, 0)
    picture = Image.fromarray(pixels)
    (tmp_path / "train").mkdir()
    picture.convert("P").save(tmp_path / "train" / "a.png")
    picture.convert("RGBA").save(tmp_path / "train" / "b.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # displayed after a quarter turn clockwise
    picture.transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / "train" / "c.jpg", exif=exif, quality=95, subsampling=0
    )
    images = everything(load(f"folder:{tmp_path}", carve=None)).astype(int)
    assert images.shape == (3, 4, 6, 3)
    assert abs(images - pixels).max() < 60  # JPEG at the edge
    assert abs(images[:, :, [0, 5]] - pixels[:, [0, 5]]).max() < 12


KINDS = {0: 1, 2: 3, 4: 2, 6: 4}  # PNG's colour types and their channels


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_deep_png(path, kind):
    """A PNG file of 16 bits per channel; Pillow writes none in colour."""
    rows = np.full((4, 5 * KINDS[kind]), 40_000, ">u2")
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 4, 16, kind, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
        + chunk(b"IEND", b"")
    )


def write_deep_tiff(path):
    """An RGB TIFF file of 16 bits per channel."""
    data = np.full((4, 5, 3), 40_000, "<u2").tobytes()
    values = {256: 5, 257: 4, 258: 122, 259: 1, 262: 2, 273: 128, 277: 3, 278: 4, 279: len(data)}
    kinds = {273: 4, 279: 4}
    entries = [
        struct.pack("<HHII", tag, kinds.get(tag, 3), 3 if tag == 258 else 1, value) for tag, value in values.items()
    ]
    header = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    assert len(header) == 122
    path.write_bytes(header + struct.pack("<HHH", 16, 16, 16) + data)


@pytest.mark.parametrize("kind", [*KINDS, "tiff", "grey tiff", "float tiff", "ppm", "plain ppm", "pgm"])
def test_more_than_8_bits_per_channel_are_refused(tmp_path, kind):
    """Pillow reads 16-bit colour as 8-bit colour without a word: 12-bit data would become 16 levels."""
    path = tmp_path / ("a.tif" if "tiff" in str(kind) else "a.png" if kind in KINDS else "a.ppm")
    if kind in KINDS:
        write_deep_png(path, kind)
    elif kind == "tiff":
        write_deep_tiff(path)
    elif kind == "grey tiff":
        Image.fromarray(np.zeros((4, 5), np.uint16)).save(path)
    elif kind == "float tiff":
        Image.fromarray(np.zeros((4, 5), np.float32)).save(path)
    else:
        digits = {"ppm": (b"P6", 3), "pgm": (b"P5", 1), "plain ppm": (b"P3", 3)}[kind]
        pixels = np.full((4, 5, digits[1]), 4000, ">u2")
        body = pixels.tobytes() if kind != "plain ppm" else b" ".join(b"%d" % value for value in pixels.reshape(-1))
        path.write_bytes(digits[0] + b" 5 4 4095\n" + body)
    bits = 32 if kind == "float tiff" else 16
    with pytest.raises(UsageError, match=f"has {bits} bits per channel; convert it to 8 bits, or give .* .npz file"):
        load(f"folder:{tmp_path}", carve=None)


def turned(path, late=False, **options):
    """Saves a picture that lies on its side, with the EXIF orientation that puts it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[:, :3] = 255
    picture = Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90)
    if not late:
        picture.save(path, exif=exif, **options)
        return pixels
    picture.save(path)  # the specification allows the chunk behind the pixels
    before, end, after = path.read_bytes().rpartition(chunk(b"IEND", b""))
    path.write_bytes(before + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + end + after)
    return pixels


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"quality": 95}),
        ("a.webp", {"lossless": True}),
        ("a.png", {}),
        ("a.png", {"late": True}),
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
    ],
)
@pytest.mark.parametrize("image_size", [None, 4])
def test_orientation_is_honoured_in_every_container(tmp_path, name, options, image_size):
    pixels = turned(tmp_path / name, **options)
    images = everything(load(f"folder:{tmp_path}", carve=None, image_size=image_size)).astype(int)
    expected = pixels if image_size is None else pixels[:, 1:5]
    assert images.shape == (1, *expected.shape)
    assert abs(images[0] - expected).max() < (60 if name == "a.jpg" else 1)


def test_a_png_file_of_metadata_is_not_decoded_for_its_header(tmp_path, monkeypatch):
    information = PngImagePlugin.PngInfo()
    information.add_text("date:create", "2020", zip=False)
    Image.fromarray(np.full((4, 5), 9, np.uint8)).save(tmp_path / "a.png", pnginfo=information)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", lambda self: pytest.fail("decoded"))
    assert read_header(tmp_path / "a.png", 10**6) == Header(4, 5, 1)


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_a_note_tells_of_further_frames(tmp_path, capsys, suffix):
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / f"b.{suffix}")
    assert (everything(load(f"folder:{tmp_path}", carve=None)) <= 12).all()
    assert "1 files have several pages or frames, of which only the first is read" in capsys.readouterr().err


def test_mask_files_are_refused(write_images):
    root = write_images({f"{number}.png": np.eye(4, dtype=np.uint8) for number in range(3)})
    with pytest.raises(UsageError, match="has no value above 1 of 255: a mask, .* multiply by 255"):
        load(f"folder:{root}", carve=None)


def test_bilevel_files_are_black_and_white(tmp_path):
    Image.fromarray(np.eye(4, dtype=bool)).save(tmp_path / "a.png")
    assert set(everything(load(f"folder:{tmp_path}", carve=None)).reshape(-1)) == {0, 255}
