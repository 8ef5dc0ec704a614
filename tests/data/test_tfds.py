"""TFDS sets, for real: MNIST and Fashion-MNIST from their original files, without network."""

import gzip
import shutil

import numpy as np
import pytest

from tests.data.conftest import FIRST
from tfade.data import load
from tfade.errors import UsageError

tfds = pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.xdist_group("tfds")


def original(path):
    """The images of an IDX file, sorted by their bytes."""
    with gzip.open(path) as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16)
    return in_order(pixels.reshape(-1, 28, 28, 1))


def in_order(images):
    flat = images.reshape(len(images), -1)
    return flat[np.lexsort(flat.T)]


def assert_published(name, folder, data_dir, train, test):
    """All splits together are the images of the original files in a folder, each once."""
    options = {"data_dir": str(data_dir)}
    splits = {split: load(f"tfds:{name}", split, **options) for split in ("train", "validation", "test")}
    assert [source.spec.num_examples for source in splits.values()] == [train - train // 10, train // 10, test]
    assert all(source.spec.shape == (28, 28, 1) and source.spec.num_classes == 10 for source in splits.values())
    pixels = {split: source.fetch(np.arange(source.spec.num_examples)) for split, source in splits.items()}
    together = np.concatenate([pixels["train"], pixels["validation"]])
    np.testing.assert_array_equal(in_order(together), original(folder / "train-images-idx3-ubyte.gz"))
    np.testing.assert_array_equal(in_order(pixels["test"]), original(folder / "t10k-images-idx3-ubyte.gz"))


def test_the_splits_are_the_original_images(tfds_dir, first_scans):
    assert_published("mnist", first_scans, tfds_dir, **FIRST)


@pytest.mark.full("half a minute each")
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_original_files_in_the_manual_folder_are_used(name, shared_data, tmp_path):
    """All of the published images; both sets have files of the same names."""
    manual = tmp_path / "downloads" / "manual" / name
    manual.mkdir(parents=True)
    for path in (shared_data / name).iterdir():
        shutil.copy(path, manual)
    assert_published(name, manual, tmp_path, 60_000, 10_000)


def test_labels_padding_carving_and_cache(tfds_dir, tmp_path):
    options = {"data_dir": str(tfds_dir), "download": False, "cache_dir": str(tmp_path)}
    source = load("tfds:mnist", "validation", pad=2, carve=60, memory_limit=100, **options)
    assert source.spec.shape == (32, 32, 1)
    assert source.spec.num_examples == 100
    stream = tfds.builder("mnist", data_dir=str(tfds_dir)).as_dataset("train[5900:]", as_supervised=True)
    for index, (image, label) in enumerate(tfds.as_numpy(stream)):
        np.testing.assert_array_equal(source.fetch(np.array([index]))[0, 2:30, 2:30], image)
        assert source.labels(np.array([index])) == label
    found = load("tfds:mnist", "validation", pad=2, carve=60, memory_limit=100, **options)
    np.testing.assert_array_equal(found.fetch(np.arange(100)), source.fetch(np.arange(100)))
    np.testing.assert_array_equal(found.labels(np.arange(100)), source.labels(np.arange(100)))
    assert len(list(tmp_path.iterdir())) == 2


def test_color_mnist(tfds_dir):
    source = load("color_mnist", "test", data_dir=str(tfds_dir), download=False, stacked_examples=(1, 1, 500))
    assert (source.spec.name, source.spec.shape, source.spec.num_classes) == ("color_mnist", (28, 28, 3), 1000)
    grey = source.stacked
    assert grey.spec.name == "tfds:mnist"
    assert grey.spec.split == "test"
    scans = {scan.tobytes(): int(label) for scan, label in zip(grey.fetch(slice(None)), grey.labels(slice(None)))}
    for image, label in zip(source.fetch(np.arange(500)), source.labels(np.arange(500))):
        assert label == sum(scans[image[..., c].tobytes()] * 100 // 10**c for c in range(3))


def test_unknown_names(tmp_path):
    with pytest.raises(UsageError, match="TFDS has no 'mnst'; similar names: mnist"):
        load("tfds:mnst", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match="its configurations: bedroom"):
        load("tfds:lsun/bedrom", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match=r"several configurations; give tfds:lsun/CONFIG with one of .*bedroom"):
        load("tfds:lsun", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match="cannot be loaded at version"):
        load("tfds:mnist:9.9.9", data_dir=str(tmp_path))
    with pytest.raises(UsageError, match="no uint8 feature 'image', only label, title, description"):
        load("tfds:ag_news_subset", data_dir=str(tmp_path))


@pytest.mark.parametrize("name", ["cifar10", "celeb_a", "stl10", "lsun/bedroom", "imagenet_resized/64x64"])
def test_an_unprepared_set_is_one_clear_error(tmp_path, name):
    with pytest.raises(UsageError) as caught:
        load(f"tfds:{name}", data_dir=str(tmp_path), download=False)
    message = str(caught.value).splitlines()[0]
    assert f"data='tfds:{name}' is not prepared in data_dir={tmp_path} and load.download is False" in message
    assert f"tfds build {name} --data_dir=DIR" in message
    assert "give load.data_dir" in message
    assert not list(tmp_path.iterdir())


def test_a_failed_download_is_one_clear_error(tmp_path, monkeypatch):
    def fails(self, *args, **kwargs):
        raise ConnectionError("no route\n" + "long\n" * 100)

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fails)
    with pytest.raises(UsageError, match=r"could not be fetched \(no route\); prepare it on a machine with network"):
        load("tfds:cifar10", data_dir=str(tmp_path))


def test_sets_do_not_share_an_extraction_folder(tmp_path, monkeypatch):
    """mnist and fashion_mnist use the same four file names: in one folder the second becomes a copy of the first."""
    folders = []

    def remember(self, *args, download_config, **kwargs):
        folders.append(download_config.extract_dir)
        raise ConnectionError("no route")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", remember)
    for name in ("mnist", "fashion_mnist"):
        with pytest.raises(UsageError):
            load(f"tfds:{name}", data_dir=str(tmp_path))
    assert None not in folders
    assert len(set(folders)) == 2


@pytest.fixture
def invented(tmp_path, monkeypatch):
    """`invented(name, splits, shape)` makes TFDS believe in a small prepared set of that name."""

    def make(name, splits, shape, label=True):
        features = {"image": tfds.features.Image(shape=(None, None, 3))}
        if label:
            features["label"] = tfds.features.ClassLabel(num_classes=3)

        class Invented(tfds.core.GeneratorBasedBuilder, skip_registration=True):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

            def _split_generators(self, dl_manager):
                return {split: self._generate_examples(count) for split, count in splits.items()}

            def _generate_examples(self, count):
                for number in range(count):
                    example = {"image": np.full(shape, number, np.uint8)}
                    yield number, example | ({"label": number % 3} if label else {})

        Invented.name = name
        builder = Invented(data_dir=str(tmp_path))
        builder.download_and_prepare()
        monkeypatch.setattr(tfds, "builder", lambda *args, **kwargs: builder)

    return make


def test_recipe_of_celeb_a(invented, tmp_path):
    invented("celeb_a", {"train": 5, "validation": 2, "test": 3}, (218, 178, 3))
    sizes = [load("tfds:celeb_a", split, data_dir=str(tmp_path)).spec for split in ("train", "validation", "test")]
    assert [spec.num_examples for spec in sizes] == [5, 2, 3]
    assert {spec.shape for spec in sizes} == {(64, 64, 3)}
    assert sizes[0].num_classes is None
    assert load("tfds:celeb_a", data_dir=str(tmp_path), crop=128, image_size=32).spec.shape == (32, 32, 3)


def test_recipe_of_stl10(invented, tmp_path):
    invented("stl10", {"train": 5, "unlabelled": 20, "test": 3}, (96, 96, 3))
    sizes = [load("tfds:stl10", split, data_dir=str(tmp_path)).spec for split in ("train", "validation", "test")]
    assert [spec.num_examples for spec in sizes] == [18, 2, 3]
    assert sizes[0].shape == (48, 48, 3)
    assert sizes[0].num_classes is None


def test_recipe_of_lsun_and_sets_without_test(invented, tmp_path):
    invented("lsun", {"train": 20, "validation": 4}, (70, 90, 3), label=False)
    sizes = [load("tfds:lsun/bedroom", split, data_dir=str(tmp_path)).spec for split in ("train", "validation", "test")]
    assert [spec.num_examples for spec in sizes] == [18, 2, 4]
    assert sizes[0].shape == (64, 64, 3)


def test_labels_of_variable_images(invented, tmp_path):
    invented("other", {"train": 12}, (5, 6, 3))
    source = load("tfds:other", carve=None, data_dir=str(tmp_path))
    assert source.spec.shape == (5, 6, 3)
    assert (source.fetch(slice(None))[:, 0, 0, 0] % 3 == source.labels(slice(None))).all()
