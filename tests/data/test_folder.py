"""A user's image folders: layouts, formats, and one error that names every file at fault."""

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import tfade.data.work
from tfade.data import folder, load, load_if_there
from tfade.data.images import Header, read_header
from tfade.errors import UsageError


def everything(source):
    return source.fetch(np.arange(source.spec.num_examples))


def test_splits_and_classes(write_images):
    files = {
        f"{split}/{label}/{number}.png": (6, 6, 3)
        for split, count in (("train", 5), ("val", 3), ("test", 2))
        for label in ("dog", "cat")
        for number in range(count)
    }
    root = write_images(files)
    sources = {split: load(f"folder:{root}", split) for split in ("train", "validation", "test")}
    assert {split: source.spec.num_examples for split, source in sources.items()} == {
        "train": 10,
        "validation": 6,
        "test": 4,
    }
    assert all(source.spec.num_classes == 2 for source in sources.values())
    assert sources["test"].labels(np.arange(4)).tolist() == [0, 0, 1, 1]  # cat comes before dog
    first = np.asarray(Image.open(root / "test" / "cat" / "0.png"))
    np.testing.assert_array_equal(everything(sources["test"])[0], first)


def test_a_class_has_the_same_number_in_every_split(write_images):
    root = write_images({"train/cat/a.png": (2, 2), "train/dog/b.png": (2, 2), "test/dog/c.png": (2, 2)})
    source = load(f"folder:{root}", "test")
    assert source.spec.num_classes == 2
    assert source.labels(np.arange(1)).tolist() == [1]


def test_a_plain_folder_is_split_by_path_hash(write_images):
    root = write_images({f"{number}.png": np.full((2, 2), number, np.uint8) for number in range(200)})
    before = {
        split: set(everything(load(f"folder:{root}", split))[:, 0, 0, 0]) for split in ("train", "validation", "test")
    }
    assert sum(map(len, before.values())) == 200
    assert set.union(*before.values()) == set(range(200))
    assert abs(len(before["validation"]) - 20) < 14
    assert abs(len(before["test"]) - 20) < 14
    # Another image moves no image to another split.
    write_images({f"{number}.png": np.full((2, 2), number, np.uint8) for number in range(200, 230)})
    for split, members in before.items():
        assert members <= set(everything(load(f"folder:{root}", split))[:, 0, 0, 0])


def test_train_and_test_only_carves_validation(write_images):
    root = write_images({f"{split}/{number}.png": (2, 2) for split in ("train", "test") for number in range(60)})
    sizes = [load(f"folder:{root}", split).spec.num_examples for split in ("train", "validation", "test")]
    assert sizes[0] + sizes[1] == 60
    assert sizes[2] == 60
    assert load(f"folder:{root}", carve=None).spec.num_examples == 60


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


def bad_files(root):
    Image.fromarray(np.zeros((5, 7), np.uint8)).save(root / "train" / "odd_size.png")
    (root / "train" / "text.png").write_text("no image")
    (root / "train" / "empty.jpg").touch()
    whole = (root / "train" / "0.png").read_bytes()
    (root / "train" / "truncated.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.zeros((6, 6), np.uint16)).save(root / "train" / "deep.png")
    Image.fromarray(np.zeros((6, 6, 4), np.uint8)).save(root / "train" / "transparent.png")
    return ["odd_size.png", "text.png", "empty.jpg", "truncated.png", "deep.png", "transparent.png"]


@pytest.mark.parametrize("cached", [False, True])
def test_one_error_names_every_file_at_fault(write_images, tmp_path, cached):
    root = write_images({f"train/{number}.png": (6, 6) for number in range(9)})
    bad = bad_files(root)
    cache = tmp_path / "cache"
    with pytest.raises(UsageError) as caught:
        load(f"folder:{root}", carve=None, cache_dir=str(cache) if cached else None)
    message = str(caught.value)
    assert "6 of 15 images cannot be used" in message
    assert all(name in message for name in bad)
    assert "/0.png" not in message
    assert "5×7 pixels where" in message
    assert "load.image_size" in message
    assert "16 bits per channel" in message
    assert "transparent" in message
    assert not cache.exists() or not list(cache.iterdir())


def test_damage_that_only_decoding_finds_is_listed_too(write_images):
    root = write_images({f"train/{number:03}.png": (40, 40) for number in range(60)})
    damaged = [root / "train" / f"{number:03}.png" for number in range(0, 60, 2)]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(UsageError) as caught:
        load(f"folder:{root}", carve=None)
    listed = [path for path in damaged if str(path) in str(caught.value)]
    assert listed == damaged[:20]
    assert "; and 10 more, listed in " in str(caught.value)
    complete = Path(re.search(r"listed in (\S+)", str(caught.value))[1])
    assert [line.partition(": ")[0] for line in complete.read_text().splitlines()] == [str(path) for path in damaged]
    complete.unlink()


def test_a_split_that_is_absent_and_one_that_is_damaged(write_images, tmp_path):
    """Who can do without validation must not do without it because a file of it is broken."""
    root = write_images({f"{split}/{place}.png": (40, 40, 3) for split in ("train", "val", "test") for place in "abc"})
    assert load_if_there(f"folder:{root}", "validation").spec.num_examples == 3
    broken = root / "val" / "b.png"
    broken.write_bytes(broken.read_bytes()[:-200])  # the header is whole
    with pytest.raises(UsageError, match=r"b\.png"):
        load_if_there(f"folder:{root}", "validation")
    np.savez(tmp_path / "x.npz", x_train=np.zeros((4, 8, 8, 1), np.uint8), x_test=np.zeros((2, 8, 8, 1), np.uint8))
    assert load_if_there(f"npz:{tmp_path / 'x.npz'}", "validation") is None  # too few to carve one


def test_images_of_many_sizes_with_image_size(write_images):
    root = write_images({"a.png": (10, 30, 3), "b.png": (50, 20), "c.png": (8, 8, 3)})
    assert load(f"folder:{root}", carve=None, image_size=8).spec.shape == (8, 8, 3)
    with pytest.raises(UsageError, match="2 of 3 images"):
        load(f"folder:{root}", carve=None)
    with pytest.raises(UsageError, match=r"smaller than crop=9"):
        load(f"folder:{root}", carve=None, crop=9)


def test_bombs_are_refused_by_their_header(write_images, monkeypatch):
    root = write_images({"a.png": (300, 400), "b.png": (30, 40)})
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded") if self.size == (400, 300) else None)
    with pytest.raises(UsageError, match="300×400 pixels exceed max_pixels=100000"):
        load(f"folder:{root}", carve=None, image_size=8, max_pixels=100_000)


def test_splits_share_a_look_at_the_headers_until_a_file_changes(write_images, monkeypatch):
    looked = []
    monkeypatch.setattr(folder, "read_header", lambda path, most: looked.append(path) or read_header(path, most))
    root = write_images({f"{split}/{number}.png": (4, 4) for split in ("train", "test") for number in range(3)})
    for split in ("train", "test"):
        assert load(f"folder:{root}", split).spec.shape == (4, 4, 1)
    assert len(looked) == len(set(looked)) == 6
    write_images({"test/1.png": (4, 4, 3)})
    assert load(f"folder:{root}", "train").spec.shape == (4, 4, 3)
    write_images({"test/1.png": (5, 5)})
    with pytest.raises(UsageError, match="5×5 pixels where 5 images have 4×4"):
        load(f"folder:{root}", "train")


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_max_pixels_counts_and_not_pillows_own_limit(write_images, monkeypatch):
    root = write_images({"a.png": (300, 400), "b.png": (310, 400)})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert load(f"folder:{root}", carve=None, image_size=8, max_pixels=124_000).spec.num_examples == 2
    with pytest.raises(UsageError, match="310×400 pixels exceed max_pixels=123999"):
        load(f"folder:{root}", carve=None, image_size=8, max_pixels=123_999)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_ambiguous_layouts_are_refused(write_images):
    with pytest.raises(UsageError, match="1 images in class folders and 1 beside them"):
        load(f"folder:{write_images({'a.png': (2, 2), 'cat/b.png': (2, 2)}, 'mixed')}")
    with pytest.raises(UsageError, match=r"1 images outside of them, such as 'a.png'"):
        load(f"folder:{write_images({'a.png': (2, 2), 'train/b.png': (2, 2)}, 'outside')}")
    with pytest.raises(UsageError, match="both a folder 'val' and a folder 'validation'"):
        load(f"folder:{write_images({'val/a.png': (2, 2), 'validation/b.png': (2, 2)}, 'twice')}")


def test_a_split_that_the_hash_leaves_empty_is_refused(write_images):
    root = write_images({"a.png": (2, 2)})
    refused = []
    for split in ("train", "validation", "test"):
        try:
            load(f"folder:{root}", split)
        except UsageError as error:
            refused.append(str(error))
    assert len(refused) == 2
    assert all("no images for split=" in message for message in refused)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(UsageError, match="is not a folder"):
        load(f"folder:{tmp_path}/nowhere")
    with pytest.raises(UsageError, match="no images"):
        load(f"folder:{tmp_path}")


def test_links_are_followed_once_and_hidden_files_left_out(write_images, tmp_path):
    root = write_images({"cat/a.png": (2, 2), "cat/.hidden.png": (9, 9), "dog/b.png": (2, 2)})
    (root / "dog" / "loop").symlink_to(root)
    (root / "bird").symlink_to(write_images({"c.png": (2, 2)}, "elsewhere"))
    source = load(f"folder:{root}", carve=None)
    assert (source.spec.num_examples, source.spec.num_classes) == (3, 3)


def test_a_large_folder_shows_progress(write_images, monkeypatch, capsys):
    monkeypatch.setattr(tfade.data.work, "QUIET_SECONDS", 0)
    monkeypatch.setattr(tfade.data.work, "EVERY_SECONDS", 0)
    root = write_images({f"{number}.png": (2, 2) for number in range(30)})
    load(f"folder:{root}", carve=None)
    shown = capsys.readouterr().err
    assert "reading the headers" in shown
    assert "decoding" in shown
    assert "10 of 30" in shown


# ---- Files that are not what they seem ----

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


SPELLINGS = [
    ("Train", "Val", "Test"),
    ("TRAIN", "VALID", "TEST"),
    ("Training", "dev", "Testing"),
    ("training", "Validation", "testing"),
    ("train", "eval", "test"),
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids="-".join)
@pytest.mark.parametrize("classes", [("",), ("cat/", "dog/")], ids=["plain", "classes"])
def test_split_folders_in_other_spellings(write_images, spelling, classes):
    counts = dict(zip(spelling, (5, 3, 2), strict=True))
    root = write_images({f"{s}/{c}{i}.png": (6, 6, 3) for s, n in counts.items() for c in classes for i in range(n)})
    for split, count in zip(("train", "validation", "test"), counts.values(), strict=True):
        spec = load(f"folder:{root}", split).spec
        assert spec.num_examples == count * len(classes)
        assert spec.num_classes == (None if len(classes) == 1 else 2)


def test_two_spellings_of_one_split_are_refused(write_images):
    root = write_images({"train/a.png": (2, 2), "Training/a.png": (2, 2)})
    with pytest.raises(
        UsageError, match="both a folder 'Training' and a folder 'train', which are both its train split"
    ):
        load(f"folder:{root}")


@pytest.mark.parametrize("folder", ["@eaDir", "__MACOSX", ".ipynb_checkpoints", "lost+found", "$RECYCLE.BIN"])
def test_folders_of_other_programs_are_no_classes(write_images, folder):
    root = write_images({"cat/a.png": (2, 2), f"{folder}/b.png": (9, 9), f"cat/{folder}/c.png": (9, 9)})
    spec = load(f"folder:{root}", carve=None).spec
    assert (spec.num_examples, spec.num_classes) == (1, 1)


def test_files_without_a_suffix_are_read_by_their_content(write_images):
    root = write_images({"a.png": (2, 2)})
    (root / "b").write_bytes((root / "a.png").read_bytes())
    assert load(f"folder:{root}", carve=None).spec.num_examples == 2


def test_files_of_other_suffixes_are_counted_in_a_note(write_images, capsys):
    root = write_images({"a.png": (2, 2), "class/hidden/.b.txt.png": (2, 2)})
    for name in ("labels.csv", "b.HEIC", "c.heic", "README", ".hidden.txt"):
        (root / name).write_text("no image")
    for split in ("train", "validation", "test"):
        load_if_there(f"folder:{root}", split)
    note = "4 files are left out, whose suffixes are not an image's: 1 (none), 1 .csv, 2 .heic"
    assert capsys.readouterr().err.count(note) == 1


def test_mask_files_are_refused(write_images):
    root = write_images({f"{number}.png": np.eye(4, dtype=np.uint8) for number in range(3)})
    with pytest.raises(UsageError, match="has no value above 1 of 255: a mask, .* multiply by 255"):
        load(f"folder:{root}", carve=None)


def test_bilevel_files_are_black_and_white(tmp_path):
    Image.fromarray(np.eye(4, dtype=bool)).save(tmp_path / "a.png")
    assert set(everything(load(f"folder:{tmp_path}", carve=None)).reshape(-1)) == {0, 255}
