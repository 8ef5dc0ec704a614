"""Checkpoints: every variable by name in one file with checksums, the last few and the best."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from tfade import files
from tfade.errors import NonFiniteError, UsageError
from tfade.models.base import GenerativeModel

BEST = "best"
FORMAT = 2  # of the names and values in a checkpoint; raise it when they change
_FORMAT_KEY = "format"


class Checkpoints:
    """The checkpoints of one run.

    A checkpoint is an uncompressed NumPy archive: its members carry CRC-32 sums, so a truncated or altered file is
    found out when it is read. Files appear whole or not at all.

    Args:
        folder: where they lie.
        keep: how many of the newest are kept, 1 or more.
        say: receives messages for the user.
    """

    def __init__(self, folder: str | Path, keep: int = 3, say: Callable[[str], None] = print):
        self._folder, self._keep, self._say = Path(folder), keep, say

    def path(self, step: int) -> Path:
        """Where the checkpoint of `step` lies."""
        return self._folder / f"step-{step:09d}.npz"

    def steps(self) -> list[int]:
        """The steps of all checkpoints on disk, ascending."""
        names = (re.fullmatch(r"step-(\d{9,})\.npz", path.name) for path in self._folder.glob("step-*.npz"))
        return sorted(int(name[1]) for name in names if name)

    def save(self, step: int, state: dict[str, np.ndarray]) -> Path:
        """Writes the checkpoint of `step` and removes the oldest beyond `keep`.

        Raises:
            NonFiniteError: a value is not finite; nothing is written.
        """
        path = self.path(step)
        _write(path, state)
        for old in self.steps()[: -self._keep]:
            self.path(old).unlink(missing_ok=True)
        return path

    def save_best(self, step: int, metric: str, value: float, state: dict[str, np.ndarray]) -> None:
        """Writes best.npz, and best.json with what made it the best."""
        _write(self._folder / f"{BEST}.npz", state)
        files.write_json(self._folder / f"{BEST}.json", {"step": step, "metric": metric, "value": value})

    def set_aside(self, after: int) -> None:
        """Renames checkpoints of later steps, which a run that continues at `after` found damaged, to *.damaged, and
        sweeps up what a killed process left half-written."""
        for step in self.steps():
            if step > after:
                self.path(step).rename(self.path(step).with_suffix(".damaged"))
        for leftover in self._folder.glob(".*.npz.*"):
            leftover.unlink(missing_ok=True)

    def best(self, up_to: int | None = None) -> dict | None:
        """Step, metric and value of the best checkpoint; None if there is none (up to a step)."""
        try:
            record = json.loads((self._folder / f"{BEST}.json").read_text())
        except (OSError, ValueError):
            return None
        return record if up_to is None or record["step"] <= up_to else None

    def load_newest(self) -> dict[str, np.ndarray] | None:
        """The newest checkpoint that can be read; damaged ones are reported and passed over. None: there is none.

        Raises:
            UsageError: there are checkpoints, and all of them are damaged.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                return _read(self.path(step))
            except ValueError as error:
                self._say(f"checkpoint {self.path(step)} is damaged and passed over ({error})")
        if steps:
            raise UsageError(
                f"checkpoints={str(self._folder)!r}: all {len(steps)} are damaged; remove them to start anew"
            )
        return None

    def load(self, which: str | int = "latest") -> dict[str, np.ndarray]:
        """The "latest", the "best", or the checkpoint of one step.

        Raises:
            UsageError: there is no such checkpoint, or it is damaged.
        """
        if which == "latest":
            state = self.load_newest()
            if state is None:
                raise UsageError(f"checkpoints={str(self._folder)!r} is empty; train the run first")
            return state
        step = str(which)
        path = self._folder / f"{BEST}.npz" if step == BEST else self.path(int(step) if step.isdigit() else 0)
        if not path.is_file() or not (step == BEST or step.isdigit()):
            raise UsageError(f"checkpoint={which!r} does not exist; there are 'latest', 'best' and {self.steps()}")
        try:
            return _read(path)
        except ValueError as error:
            raise UsageError(f"checkpoint={which!r} is damaged: {error}; use another one of {self.steps()}") from error


def snapshot(variables: dict[str, keras.Variable]) -> dict[str, np.ndarray]:
    """The values of all variables, copied to the host."""
    return {name: np.array(variable.numpy()) for name, variable in variables.items()}


def restore(model: GenerativeModel, state: dict[str, np.ndarray]) -> None:
    """Assigns every variable of a model its saved value, after all names and shapes were compared.

    Args:
        model: a compiled model.
        state: name → value.

    Raises:
        UsageError: a variable without a value, a value without a variable, or another shape; nothing is assigned.
    """
    variables = model.state()
    missing = sorted(variables.keys() - state.keys())
    extra = sorted(state.keys() - variables.keys())
    shapes = [
        f"{name}: {state[name].shape} saved, {tuple(variable.shape)} in the model"
        for name, variable in variables.items()
        if name in state and state[name].shape != tuple(variable.shape)
    ]
    differences = (("not saved", missing), ("not in the model", extra), ("other shapes", shapes))
    if missing or extra or shapes:
        raise UsageError(
            "the checkpoint does not fit the model: "
            + "; ".join(
                f"{kind}: {', '.join(names[:5])}{' …' if len(names) > 5 else ''}"
                for kind, names in differences
                if names
            )
        )
    for name, variable in variables.items():
        variable.assign(state[name])
    model.restore_stage()


def _write(path: Path, state: dict[str, np.ndarray]) -> None:
    for name, value in state.items():
        if value.dtype.kind == "f" and not np.all(np.isfinite(value)):
            raise NonFiniteError(f"{name} is not finite, so {path.name} is not written")
    files.write_atomically(path, lambda file: np.savez(file, **{_FORMAT_KEY: np.int64(FORMAT)}, **state))


def _read(path: Path) -> dict[str, np.ndarray]:
    """The state in a file.

    Raises:
        ValueError: the file is damaged.
        UsageError: it has another format.
    """
    state = files.read_arrays(path)
    found = int(state.pop(_FORMAT_KEY, 1))
    if found != FORMAT:
        raise UsageError(
            f"checkpoint {path} has format {found}, this version of tfade reads format {FORMAT}; train in a new "
            "run_dir, or use the version that wrote it"
        )
    return state
