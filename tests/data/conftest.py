"""TFDS sets built once, and small image folders."""

import os
import pathlib
import shutil
import tempfile

import numpy as np
import pytest
from PIL import Image

from tests.helpers import SHARED
from tfade.data import load


@pytest.fixture(scope="session")
def shared_data():
    """The folder with the original MNIST and Fashion-MNIST files."""
    if not (SHARED / "prepare_tfds.py").exists():
        pytest.skip(f"the original MNIST files are not in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def tfds_dir(shared_data, request, tmp_path_factory):
    """A TFDS folder with mnist, built once from the original files and kept in pytest's cache folder if there is one."""
    cache = getattr(request.config, "cache", None)
    done = (cache.mkdir("tfade_tfds") if cache else tmp_path_factory.mktemp("tfds")) / "prepared"
    if not done.exists():
        building = pathlib.Path(tempfile.mkdtemp(dir=done.parent))
        shutil.copytree(shared_data / "mnist", building / "downloads" / "manual" / "mnist")
        load("tfds:mnist", "test", data_dir=str(building))  # without a network: TFDS takes what lies there
        shutil.rmtree(building / "downloads")
        try:
            os.replace(building, done)
        except OSError:  # another test process was faster
            shutil.rmtree(building)
    return done


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
