"""A run knows its data: a moved folder continues, other data are a note or an error, splits are looked at first."""

import errno
import shutil

import numpy as np
import pytest
from PIL import Image

from launch import train
from tests.helpers import RECIPE, TINY, run, train_here
from tfade import locks
from tfade.errors import UsageError

FILES = (RECIPE, TINY)
pytestmark = pytest.mark.usefixtures("eager")


def images_in(folder, count=40, seed=0):
    generator = np.random.default_rng(seed)
    for split, number in (("train", count), ("test", 8)):
        (folder / split).mkdir(parents=True)
        for index in range(number):
            pixels = generator.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / split / f"{index}.png")
    return folder


def train_on(run_dir, folder, *bindings):
    lines = (f"data = 'folder:{folder}'", "Visualisation.samples = 0", *bindings)
    return train_here(run_dir, *lines, files=FILES)


def test_a_moved_folder_continues(tmp_path, capsys):
    first = images_in(tmp_path / "here")
    assert train_on(tmp_path / "run", first, "steps = 1") == 0
    shutil.move(first, tmp_path / "there")
    capsys.readouterr()
    assert train_on(tmp_path / "run", tmp_path / "there", "steps = 2") == 0
    assert "the data changed" not in capsys.readouterr().out


def test_other_data_are_a_note_or_an_error(tmp_path, capsys):
    folder = images_in(tmp_path / "images")
    assert train_on(tmp_path / "run", folder, "steps = 1") == 0
    shutil.rmtree(folder)
    images_in(folder, 44, seed=1)
    assert train_on(tmp_path / "run", folder, "steps = 2", "Recipe.same_data = True") == 2
    assert "was trained on other data" in capsys.readouterr().err
    assert train_on(tmp_path / "run", folder, "steps = 2") == 0
    assert "note: the data changed" in capsys.readouterr().out


def test_a_missing_test_split_is_found_before_training(tmp_path, capsys):
    folder = images_in(tmp_path / "images")
    shutil.rmtree(folder / "test")
    arguments = [f"--gin_file={file}" for file in FILES] + [f"--run_dir={tmp_path / 'run'}"]
    arguments += [f"--gin_bindings=data = 'folder:{folder}'", "--gin_bindings=load.carve = None"]
    assert run(train.main, arguments) == 2
    assert "load.carve" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_file_system_without_locks_is_a_note(tmp_path, monkeypatch):
    def refuse(file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", refuse)
    notes = []
    with locks.directory_lock(tmp_path / "run", notify=notes.append):
        assert len(notes) == 1
        assert "No locks available" in notes[0]


def test_a_held_lock_is_an_error(tmp_path):
    inner = locks.directory_lock(tmp_path / "run")
    with locks.directory_lock(tmp_path / "run"), pytest.raises(UsageError, match="in use by another process"), inner:
        pass
