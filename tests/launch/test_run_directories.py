"""Run directories that cannot be continued: of another configuration, damaged, in use, or something else."""

import functools
import subprocess
import sys

import pytest

from launch import train
from tests.helpers import (
    PLAYERS,
    ROOT,
    TINY,
    assert_same_state,
    fails,
    newest_state,
    train_arguments,
    train_here,
    write_run,
)
from tfade.errors import UsageError
from tfade.files import write_text
from tfade.training.recorded_configuration import FORMAT
from tfade.training.run_directory import RunDirectory

GREY = str(ROOT / "gin" / "data" / "digits.gin")


def test_a_run_of_another_configuration(tmp_path, capsys):
    run_dir = write_run(tmp_path / "run", (PLAYERS[0], GREY, TINY), ["steps = 6"], step=6)
    before = newest_state(run_dir.path)
    config = run_dir.config.read_text()
    arguments = functools.partial(train_arguments, files=(PLAYERS[0], GREY, TINY))
    fails(
        capsys,
        train.main,
        arguments(run_dir.path, "batch_size = 10", "VGHPlusPlus.encoder_weight = 3.0"),
        "batch_size: 8 before, 10 now",
        "VGHPlusPlus.encoder_weight: 50.0 before, 3.0 now",
    )
    fails(capsys, train.main, arguments(run_dir.path, "steps = 5"), "steps: 6 before, 5 now")
    decay = ("adam.learning_rate = @LinearDecay()", "LinearDecay.initial = 1e-3", "LinearDecay.steps = %steps")
    write_run(tmp_path / "decaying", (PLAYERS[0], GREY, TINY), decay, step=6)
    fails(capsys, train.main, arguments(tmp_path / "decaying", *decay, "steps = 9"), "steps: 6 before, 9 now")
    assert run_dir.config.read_text() == config
    assert_same_state(newest_state(run_dir.path), before)


def test_a_record_that_is_damaged_is_named(tmp_path, capsys):
    """A configuration of another version, and a history with half a row."""
    run_dir = RunDirectory(tmp_path / "run")
    write_text(run_dir.config, f"# tfade run, format {FORMAT}\nNoSuchThing.width = 3\n")
    fails(capsys, train.main, train_arguments(run_dir.path), f"{run_dir.config} cannot be read by this version")
    write_text(run_dir.history, "step,loss\n3,1.0\n6x")
    with pytest.raises(UsageError, match=r"history\.csv is damaged"):
        run_dir.read_history()


@pytest.mark.usefixtures("eager")
def test_a_run_directory_in_use(tmp_path, capsys):
    """A process that is only its lock: two trainings would take turns on the cores and show the same."""
    hold = "import pathlib, sys, time; from tfade.training.run_directory import directory_lock\n"
    hold += "with directory_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    process = subprocess.Popen(
        [sys.executable, "-c", hold, tmp_path / "run"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        fails(capsys, train.main, train_arguments(tmp_path / "run"), "in use by another process")
    finally:
        process.kill()
        process.communicate()
    assert train_here(tmp_path / "run", "steps = 1", "Visualisation.samples = 0") == 0  # the system released it


def test_directories_that_are_no_runs(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    fails(capsys, train.main, train_arguments(tmp_path / "file"), "is a file")
    fails(capsys, train.main, train_arguments(tmp_path), "contains other files")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
