"""Files that are whole or absent, and what killed processes leave beside them."""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.helpers import ROOT
from tfade import files
from tfade.data.digits import digits

OTHER = "00000000" if files.HOST != "00000000" else "11111111"


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture(autouse=True)
def unswept():
    files._swept.clear()


def left(folder, name, host=files.HOST, process=None, hours=0.0) -> pathlib.Path:
    """A half-written file as a killed process leaves it."""
    path = folder / f".{name}.{host}.{os.getpid() if process is None else process}.0123abcd"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - 3600 * hours,) * 2)
    return path


def test_leftovers_of_the_dead_go_and_nothing_else(tmp_path, gone):
    swept = [left(tmp_path, "a.npz", process=gone), left(tmp_path, "b", host=OTHER, hours=25)]
    swept += [left(tmp_path, "c.png", hours=25), left(tmp_path, "huge", process=2**70)]
    workshop = tmp_path / f".export.{files.HOST}.{gone}.0123abcd"
    (workshop / "new").mkdir(parents=True)
    kept = [left(tmp_path, "a.npz"), left(tmp_path, "b", host=OTHER, process=gone)]
    for name in (".hidden", ".a.npz.swp", f".a.{gone}.0123abcd", "a.npz", f"a.npz.{files.HOST}.{gone}.0123abcd"):
        kept.append(tmp_path / name)
        kept[-1].write_bytes(b"mine")
    files.sweep(tmp_path)
    assert not [path for path in (*swept, workshop) if path.exists()]
    assert all(path.exists() for path in kept)


def test_a_folder_is_swept_by_the_first_that_writes_into_it(tmp_path, gone, monkeypatch):
    leftover, sweeps = left(tmp_path, "grid.png", process=gone), []
    monkeypatch.setattr(files, "sweep", lambda folder, sweep=files.sweep: sweeps.append(folder) or sweep(folder))
    for number in range(3):
        files.write_text(tmp_path / f"{number}.txt", "x")
    assert not leftover.exists()
    assert sweeps == [tmp_path]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.txt", "1.txt", "2.txt"]


WRITE = """
import pathlib, sys, time
from tfade import files
def write(file):
    file.write(b"half"); file.flush(); print("writing", flush=True); time.sleep(600)
files.write_atomically(pathlib.Path(sys.argv[1]), write)
"""


def test_what_a_kill_leaves_is_gone_after_the_next_write(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE, tmp_path / "record.json"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "writing\n"
    files.write_text(tmp_path / "other.json", "{}")
    assert len(list(tmp_path.iterdir())) == 2  # it is still at work
    process.kill()
    process.communicate()
    files._swept.clear()
    files.write_text(tmp_path / "other.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["other.json"]


@pytest.mark.parametrize("kind", ["cache", "export", "samples"])
def test_caches_exports_and_samples_sweep_too(tmp_path, gone, kind, make_model):
    from tfade.data.cache import _write
    from tfade.export import export
    from tfade.workflows.sampling import write

    (tmp_path / "x").mkdir() if kind == "samples" else None
    leftover = left(tmp_path / "x" if kind == "samples" else tmp_path, "x", process=gone)
    if kind == "cache":
        _write(tmp_path / "x.npy", "x", (2,), np.dtype("int32"), [np.arange(2, dtype=np.int32)])
    elif kind == "export":
        export(make_model(compiled=False), tmp_path / "x")
    else:
        write(tmp_path / "x", digits("test").fetch(np.arange(2)))
    assert not leftover.exists()
    assert not list(tmp_path.rglob(".*"))
