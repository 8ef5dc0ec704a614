"""Damaged, foreign and unreadable files of a run: one line, nothing lost, and the checkpoint before is used."""

import re
import shutil

import numpy as np
import pytest

from launch import sample
from tests.helpers import assert_same_state, eagerly, newest_state, run, train_here
from tfade import load_run
from tfade.errors import UsageError
from tfade.files import read_arrays
from tfade.training.checkpoint_file import FORMAT, read_state, write_state
from tfade.training.checkpoints import Checkpoints
from tfade.training.run_directory import RunDirectory

QUIET = "Visualisation.samples = 0"
pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("damage") / "run"
    with eagerly():
        assert train_here(run_dir, QUIET) == 0
    return run_dir


@pytest.fixture
def copy(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


@pytest.mark.every(3)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.gin", b"\xff\xfe\x00 binary"),
        ("config.gin", b"# tfade run, format 2\nRecipe.model = ("),
        ("config.gin", b"# tfade run, format 9\n"),
        ("history.csv", b"step,a\nx,1\n"),
        ("history.csv", b"\xff\xfe\x00\x01"),
        ("history.csv", b"step,a\n\xc2\xb2,1\n"),
        ("history.csv", b'step,"' + b"a" * 200_000 + b'"\n3,1\n'),
    ],
)
def test_damaged_records_are_one_line(copy, capsys, name, content):
    (copy / name).write_bytes(content)
    before = newest_state(copy)
    assert train_here(copy, QUIET, "steps = 9") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert name in error or "format" in error
    np.testing.assert_equal(newest_state(copy), before)


@pytest.mark.every(3)
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"step": "x"}', b"\xff", b"null"])
def test_damaged_notes_do_not_stop_a_run(copy, content):
    (copy / "checkpoints" / "best.json").write_bytes(content)
    (copy / "environment.json").write_bytes(content)
    (copy / "data.json").write_bytes(content)
    assert load_run(copy).step.numpy() == 6


def test_a_run_whose_record_of_the_data_is_lost_goes_on(copy, capsys):
    """The checkpoints say whose they are."""
    identifier = RunDirectory(copy).identifier
    (copy / "data.json").unlink()
    assert train_here(copy, QUIET, "steps = 9") == 0
    assert int(newest_state(copy)["step"]) == 9
    assert RunDirectory(copy).identifier == identifier
    assert load_run(copy).step.numpy() == 9


def test_checkpoints_that_are_a_file(copy, capsys):
    shutil.rmtree(copy / "checkpoints")
    (copy / "checkpoints").write_text("x")
    assert train_here(copy, QUIET, "steps = 9") == 2
    assert "checkpoints" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["²", "1e3", "-1", "٣", "5", ""])
def test_checkpoints_that_are_not_there(trained, tmp_path, capsys, which):
    assert run(sample.main, [f"--run_dir={trained}", f"--checkpoint={which}", f"--out={tmp_path / 'x.png'}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_any_flipped_bit_is_found_and_the_one_before_is_used(copy, capsys):
    path = copy / "checkpoints" / "step-000000006.npz"
    content, whole = path.read_bytes(), read_state(path, "", 6)
    generator = np.random.default_rng(0)
    # The central directory and the local headers are where a bit looks like encryption, compression or a size.
    places = [*generator.integers(0, len(content), 150), *range(len(content) - 400, len(content), 2), *range(60)]
    found = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        try:
            state = read_state(path, "", 6)
        except ValueError:
            found += 1
            continue
        assert_same_state(state, whole)
    assert found > 150
    path.write_bytes(content[:-200])
    assert int(Checkpoints(copy / "checkpoints").load_newest()["step"]) == 3
    assert "step-000000006.npz is damaged, skipping it" in capsys.readouterr().out


def test_a_checkpoint_carries_its_run_step_and_format(tmp_path):
    state = {"step": np.int64(3), "w": np.ones(2, np.float32)}
    write_state(tmp_path / "a.npz", state, "one")
    assert set(read_state(tmp_path / "a.npz", "one", 3)) == {"step", "w"}
    with pytest.raises(UsageError, match=r"belongs to another run \(one, not two\)"):
        read_state(tmp_path / "a.npz", "two")
    with pytest.raises(ValueError, match="it holds step 3"):
        read_state(tmp_path / "a.npz", "one", 4)
    np.savez(tmp_path / "old.npz", **state)
    with pytest.raises(UsageError, match=f"has format 1, this version of tfade reads format {FORMAT}"):
        read_state(tmp_path / "old.npz", "one")


@pytest.mark.full("that a file says whose it is, is tested above")
def test_another_runs_checkpoint_is_not_restored(copy, tmp_path, capsys):
    assert train_here(tmp_path / "other", QUIET, "seed = 1") == 0
    newest = "step-000000006.npz"
    shutil.copy(tmp_path / "other" / "checkpoints" / newest, copy / "checkpoints" / newest)
    assert train_here(copy, QUIET, "steps = 9") == 2
    assert "belongs to another run" in capsys.readouterr().err


def test_another_dtype_is_not_restored(copy):
    path = copy / "checkpoints" / "step-000000006.npz"
    arrays = read_arrays(path)
    name = next(name for name in arrays if name.startswith("decoder/000."))
    arrays[name] = arrays[name].astype(np.float64)
    np.savez(path, **arrays)
    with pytest.raises(UsageError, match=f"{re.escape(name)}: float64.* saved, float32"):
        load_run(copy)


def test_an_unreadable_checkpoint_is_not_a_damaged_one(copy):
    path = copy / "checkpoints" / "step-000000006.npz"
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        Checkpoints(copy / "checkpoints").load_newest()
    assert path.is_dir()
