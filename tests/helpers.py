"""Launchers run inside the test process, and recipes made small."""

import os
import pathlib
import subprocess
import sys

import numpy as np

from launch import common, train
from tfade import files
from tfade.training.isolation import isolated

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"  # real images and weights that stay out of the repository
TINY = str(ROOT / "tests" / "tiny.gin")
RECIPE = str(ROOT / "gin" / "vgh_pp.gin")


def train_arguments(run_dir, *bindings, files=(RECIPE, TINY)) -> list[str]:
    """Flags of a small training run without evaluation."""
    return [
        *(f"--gin_file={f}" for f in files),
        *(f"--gin_bindings={b}" for b in bindings),
        f"--run_dir={run_dir}",
        "--train_only",
    ]


def run(main, arguments) -> int:
    """The exit status of a launcher's `main`, run here with a gin configuration of its own."""
    with isolated():
        return common.guarded(main, [str(argument) for argument in arguments])


def train_here(run_dir, *bindings, **options) -> int:
    """Trains in this process; returns the exit status."""
    return run(train.main, train_arguments(run_dir, *bindings, **options))


def start(module: str, arguments, **environment) -> subprocess.Popen:
    """Starts a launcher as a process of its own, with everything it prints in one pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )


def newest_state(run_dir) -> dict[str, np.ndarray]:
    """The arrays of the newest checkpoint."""
    return files.read_arrays(max((pathlib.Path(run_dir) / "checkpoints").glob("step-*.npz")))


def assert_same_state(one, other) -> None:
    """Both checkpoints hold the same names with the same bits."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
