"""A user's image folders: layouts, formats, and one error that names every file at fault."""

import numpy as np
import pytest
from PIL import Image

import tfade.data.work
from tfade.data import load, load_if_there
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


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "ppm", "PNG"])
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
    assert "I;16" in message
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
    assert "; and 10 more" in str(caught.value)


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


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pillows_own_limit_is_a_clear_error_too(write_images, monkeypatch):
    root = write_images({"a.png": (300, 400)})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(UsageError, match="exceeds limit"):
        load(f"folder:{root}", carve=None)


def test_ambiguous_layouts_are_refused(write_images):
    with pytest.raises(UsageError, match="1 images in class folders and 1 beside them"):
        load(f"folder:{write_images({'a.png': (2, 2), 'cat/b.png': (2, 2)}, 'mixed')}")
    with pytest.raises(UsageError, match=r"1 images outside of them, such as 'a.png'"):
        load(f"folder:{write_images({'a.png': (2, 2), 'train/b.png': (2, 2)}, 'outside')}")
    with pytest.raises(UsageError, match="both a folder 'validation' and a folder 'val'"):
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
