"""The checkpoints of a run: the last few and the best.

A kill at any moment, kill -9 included, leaves a whole checkpoint: `files.write_atomically` writes beside and renames,
and an older one is kept until then. What cannot be read is passed over for the one before it.
"""

import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from tfade import files
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel
from tfade.training.checkpoint_file import read_state, write_state

BEST = "best"


class Checkpoints:
    """The checkpoints of one run; each holds every variable by name, see `checkpoint_file`.

    Args:
        folder: where they lie.
        keep: how many of the newest are kept, 1 or more.
        notify: receives messages for the user.
        run: the run's identifier, which a checkpoint carries; "" reads those of any run.

    Raises:
        UsageError: the folder is a file.
    """

    def __init__(self, folder: str | Path, keep: int = 3, notify: Callable[[str], None] = print, run: str = ""):
        self._folder, self._keep, self._notify, self._run = Path(folder), keep, notify, run
        if self._folder.exists() and not self._folder.is_dir():
            raise UsageError(f"checkpoints={str(self._folder)!r} is a file; move it away, and put the folder back")

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
        write_state(path, state, self._run)
        for old in self.steps()[: -self._keep]:
            self.path(old).unlink(missing_ok=True)
        return path

    def save_best(self, step: int, metric: str, value: float, state: dict[str, np.ndarray]) -> None:
        """Writes best.npz, and best.json with what made it the best."""
        write_state(self._folder / f"{BEST}.npz", state, self._run)
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
            record = files.read_json(self._folder / f"{BEST}.json")
            step, metric, value = int(record["step"]), str(record["metric"]), float(record["value"])
        except (ValueError, KeyError, TypeError):
            return None
        if up_to is not None and step > up_to:
            return None
        return {"step": step, "metric": metric, "value": value}

    def load_newest(self) -> dict[str, np.ndarray] | None:
        """The newest checkpoint that can be read; damaged ones are reported and passed over. None: there is none.

        Raises:
            UsageError: there are checkpoints, and all of them are damaged.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                return read_state(self.path(step), self._run, step)
            except UsageError:  # whole, and of another format or run
                raise
            except ValueError as error:
                self._notify(f"checkpoint {self.path(step)} is damaged, skipping it ({error})")
        if steps:
            raise UsageError(
                f"checkpoints={str(self._folder)!r}: all {len(steps)} are damaged; delete them to start from scratch"
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
        is_step = step.isascii() and step.isdecimal()
        path = self._folder / f"{BEST}.npz" if step == BEST else self.path(int(step) if is_step else 0)
        if not (step == BEST or is_step) or not path.is_file():
            best = [BEST] if (self._folder / f"{BEST}.npz").is_file() else []
            available = ", ".join(map(str, ["latest", *best, *self.steps()]))
            raise UsageError(f"checkpoint={which!r} does not exist; available are {available}")
        try:
            return read_state(path, self._run, int(step) if is_step else None)
        except ValueError as error:
            raise UsageError(f"checkpoint={which!r} is damaged: {error}; use another one of {self.steps()}") from error


def snapshot(variables: dict[str, keras.Variable]) -> dict[str, np.ndarray]:
    """The values of all variables, copied to the host."""
    return {name: np.array(variable.numpy()) for name, variable in variables.items()}


def restore(model: GenerativeModel, state: dict[str, np.ndarray]) -> None:
    """Assigns every variable of a model its saved value, after all names, shapes and dtypes were compared.

    Args:
        model: a compiled model.
        state: name → value.

    Raises:
        UsageError: a variable without a value, a value without a variable, or another shape or dtype; nothing is
            assigned.
    """
    variables = model.state()
    missing = sorted(variables.keys() - state.keys())
    extra = sorted(state.keys() - variables.keys())
    kinds = {name: _kind(np.asarray(variable.numpy())) for name, variable in variables.items()}
    shapes = [
        f"{name}: {_kind(state[name])} saved, {kind} in the model"
        for name, kind in kinds.items()
        if name in state and _kind(state[name]) != kind
    ]
    differences = (("not saved", missing), ("not in the model", extra), ("other shapes or dtypes", shapes))
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


def _kind(value: np.ndarray) -> str:
    """Dtype and shape."""
    return f"{value.dtype}{list(value.shape)}"
