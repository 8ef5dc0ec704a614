"""Names, gin files, and the one function behind them."""

import pathlib

import gin
import numpy as np
import pytest

import tfade.data
from tfade.data import ArraySource, Source, load
from tfade.data.loading import TOYS
from tfade.errors import UsageError

ROOT = pathlib.Path(tfade.data.__file__).resolve().parents[2]
GIN_FILES = sorted((ROOT / "gin" / "data").glob("*.gin"))
# Sets that need neither network nor a path.
AT_HOME = ["digits", "color_digits", "painted_digits", *(f"toy_{toy}" for toy in TOYS)]


@pytest.fixture(autouse=True)
def clear_gin():
    gin.clear_config()
    yield
    gin.clear_config()


@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("name", ["digits", "color_digits", *(f"toy:{toy}" for toy in TOYS)])
def test_every_source_keeps_its_promises(name, split):
    source = load(name, split)
    spec = source.spec
    assert isinstance(source, Source)
    assert (spec.name, spec.split) == (name, split)
    indices = np.array([0, spec.num_examples - 1, 5, 5])
    examples = source.fetch(indices)
    assert examples.shape == (4, *spec.shape)
    assert examples.dtype == spec.dtype
    np.testing.assert_array_equal(examples[2], examples[3])
    np.testing.assert_array_equal(examples, load(name, split).fetch(indices))
    assert sum(map(len, source.sequential(7_000))) == spec.num_examples
    if spec.num_classes is not None:
        labels = source.labels(np.arange(spec.num_examples))
        assert labels.dtype == np.int32
        assert 0 <= labels.min() <= labels.max() < spec.num_classes
    else:
        with pytest.raises(UsageError, match="no labels"):
            source.labels(indices)


def test_digits_are_divided_once():
    sources = [load("digits", split) for split in ("train", "validation", "test")]
    assert [source.spec.num_examples for source in sources] == [1265, 179, 353]
    assert load("digits", image_size=32, channels=3).spec.shape == (32, 32, 3)
    np.testing.assert_array_equal(load("digits", pad=2).labels(np.arange(50)), sources[0].labels(np.arange(50)))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mnist", "did you mean tfds:mnist"),
        ("colour_digits", "did you mean color_digits"),
        ("toy:rings", "did you mean toy:ring"),
        ("folder:", "folder:PATH"),
        ("stacked:mnist", "tfds:NAME"),
        ("", "possible are digits"),
    ],
)
def test_unknown_names_list_the_known_ones(name, hint):
    with pytest.raises(UsageError, match=hint):
        load(name)


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match="split='val' is not one of train, validation, test"):
        load("digits", "val")
    with pytest.raises(UsageError, match="stacked_examples"):
        load("color_digits", stacked_examples=(10, 10))
    with pytest.raises(TypeError, match="unexpected keyword"):
        load("digits", imagesize=3)


@pytest.mark.parametrize("path", GIN_FILES, ids=lambda path: path.stem)
def test_gin_files(path):
    """Each has a head comment and sets `data` and `load`'s arguments, nothing else."""
    text = path.read_text()
    assert text.startswith("# ")
    for line in text.splitlines():
        assert line.startswith(("# ", 'data = "', 'other_data = "', "load."))
    gin.parse_config_file(str(path))
    name = gin.query_parameter("data/macro.value")
    assert name
    if path.stem in AT_HOME:
        assert load(name).spec.num_examples > 0
    elif "PATH_OF" in name:
        with pytest.raises(UsageError, match="PATH_OF_"):
            load(name)
    else:
        assert name.startswith("tfds:") or name == "color_mnist"


def test_a_gin_file_is_there_for_every_set_at_home():
    assert {path.stem for path in GIN_FILES} >= set(AT_HOME)


def test_gin_bindings_reach_load():
    gin.parse_config(["load.pad = 3", "load.image_size = 10"])
    assert load("digits").spec.shape == (16, 16, 1)
    gin.parse_config("load.pad = 4")
    assert load("digits").spec.shape == (18, 18, 1)
    with pytest.raises(ValueError, match="imagesize"):
        gin.parse_config("load.imagesize = 10")


def test_array_source_of_one_image():
    source = ArraySource("one", "train", np.zeros((1, 2, 3, 1), np.uint8))
    assert source.spec.shape == (2, 3, 1)
    assert source.spec.value_range == (0, 255)


# ---- What was done to the data ----


@pytest.fixture
def pixels(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 3), np.uint8)
    np.savez(tmp_path / "x.npz", x_train=images[:50], x_test=images[50:])
    return f"npz:{tmp_path / 'x.npz'}"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ""),
        ({"pad": 2}, "black margin of 2"),
        ({"image_size": 6}, "bicubic resize to 6"),
        (
            {"channels": 1, "crop": 10, "image_size": 6, "pad": 1, "average": 2},
            "to grey, centre crop 10, bicubic resize to 6, black margin of 1, means of 2×2 blocks",
        ),
    ],
)
def test_preprocessing_is_part_of_the_specification(pixels, arguments, expected):
    assert load(pixels, "test", **arguments).spec.preprocessing == expected
    carved = ", ".join(filter(None, (expected, "carved by 10")))
    assert load(pixels, "train", **arguments).spec.preprocessing == carved
    assert load("digits", **{**arguments, "crop": None}).spec.preprocessing == expected.replace("centre crop 10, ", "")


def test_preprocessing_of_stacked_data_is_that_of_the_grey_ones():
    assert load("color_digits", pad=1).spec.preprocessing == "black margin of 1"


def test_fingerprints_tell_data_apart(pixels, tmp_path):
    own = load(pixels).fingerprint()
    assert len(own) == 16
    moved = tmp_path / "elsewhere" / "y.npz"
    moved.parent.mkdir()
    moved.write_bytes((tmp_path / "x.npz").read_bytes())
    assert load(f"npz:{moved}").fingerprint() == own
    images = np.zeros((3, 2, 2, 1), np.uint8)
    sources = [
        ArraySource("a", "train", images),
        ArraySource("a", "train", images[:2]),
        ArraySource("a", "train", images.reshape(3, 4, 1, 1)),
        ArraySource("a", "train", images + np.uint8(1)),
        ArraySource("a", "train", images, [0, 1, 0], 2),
        ArraySource("a", "train", images, [0, 1, 1], 2),
        ArraySource("a", "train", images.reshape(3, 4).astype(np.float32)),
    ]
    assert len({source.fingerprint() for source in sources}) == len(sources)
    assert sources[0].fingerprint() == ArraySource("b", "test", images.copy()).fingerprint()


def test_fingerprints_look_at_the_whole_set():
    images = np.zeros((100_000, 2, 2, 1), np.uint8)
    before = ArraySource("a", "train", images).fingerprint()
    images[-1] = 1
    assert ArraySource("a", "train", images).fingerprint() != before
