"""A user's image folders: layouts, formats, and one error that names every file at fault."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfade.data.work
from tests.data.stored import everything
from tfade.data import folder, load, load_if_there
from tfade.data.images import read_header
from tfade.errors import UsageError


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
