"""TFDS sets built once, and small image folders."""

import gzip
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

from tests.helpers import SHARED
from tfade.data import load

FIRST = {"train": 6_000, "test": 1_000}  # scans of MNIST of which most tests make a TFDS set


@pytest.fixture(scope="session")
def shared_data():
    """The folder with the original MNIST and Fashion-MNIST files."""
    if not (SHARED / "prepare_tfds.py").exists():
        pytest.skip(f"the original MNIST files are not in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def first_scans(shared_data, tmp_path_factory):
    """A folder with files like the original ones of MNIST, of the first 6,000 and 1,000 scans alone."""
    folder = tmp_path_factory.mktemp("scans")
    for path in (shared_data / "mnist").glob("*ubyte.gz"):
        count = FIRST["train" if path.name.startswith("train") else "test"]
        header, size = (16, 784) if "images" in path.name else (8, 1)
        with gzip.open(path) as file:
            content = bytearray(file.read(header + count * size))
        content[4:8] = struct.pack(">i", count)
        (folder / path.name).write_bytes(gzip.compress(bytes(content), 1))
    return folder


@pytest.fixture(scope="session")
def tfds_dir(first_scans, tmp_path_factory):
    """A TFDS folder with mnist, built from `first_scans`; without a network: TFDS takes what lies there and is intact."""
    mnist = pytest.importorskip("tensorflow_datasets.image_classification.mnist")
    checksums = pytest.importorskip("tensorflow_datasets.core.download.checksums")
    folder = tmp_path_factory.mktemp("tfds")
    shutil.copytree(first_scans, folder / "downloads" / "manual" / "mnist")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "_TRAIN_EXAMPLES", FIRST["train"])
        patch.setattr(mnist, "_TEST_EXAMPLES", FIRST["test"])
        infos = {url: checksums.compute_url_info(first_scans / url.split("/")[-1]) for url in mnist.MNIST.url_infos}
        patch.setattr(checksums, "get_all_url_infos", lambda: infos)
        patch.setattr(mnist.MNIST, "url_infos", infos)
        load("tfds:mnist", "test", data_dir=str(folder))
    return folder


@pytest.fixture
def write_images(tmp_path):
    """`write_images({"a/b.png": array or size})` writes image files below a folder and returns it."""

    def write(files, folder="images"):
        root = tmp_path / folder
        for number, (relative, content) in enumerate(files.items()):
            path = root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, tuple):
                content = np.random.default_rng(number).integers(0, 256, content, np.uint8)
            Image.fromarray(content).save(path)
        return root

    return write
