"""One checkpoint as a file: arrays by name with checksums, and whose they are."""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfade import files
from tfade.errors import NonFiniteError, UsageError

FORMAT = 3  # of the names and values in a checkpoint; raise it when they change
_KEYS = ("format", "run", "names")  # beside the variables, none of which has such a name


def write_state(path: Path, state: dict[str, np.ndarray], run: str) -> None:
    """Writes the state of a run, whole or not at all.

    The file is an uncompressed NumPy archive, whose members carry CRC-32 sums: an altered one is found when it is read.

    Args:
        path: the file.
        state: name → value; "step" is the training step.
        run: the run's identifier; "" for none.

    Raises:
        NonFiniteError: a value is not finite; nothing is written.
        OSError: the file cannot be written.
    """
    for name, value in state.items():
        if value.dtype.kind == "f" and not np.all(np.isfinite(value)):
            raise NonFiniteError(f"{name} is not finite, so {path.name} is not written")
    meta = {"format": np.int64(FORMAT), "run": np.array(run), "names": np.array(_digest(state))}
    files.write_atomically(path, lambda file: np.savez(file, **meta, **state))


def read_state(path: Path, run: str, step: int | None = None) -> dict[str, np.ndarray]:
    """The state in a file.

    Args:
        path: the file.
        run: the run's identifier; "" takes that of any.
        step: the training step that the file's name says; None for any.

    Raises:
        ValueError: the file is damaged, or has the name of another step.
        UsageError: it has another format, or is of another run.
        OSError: it cannot be read.
    """
    state = files.read_arrays(path)
    meta = {key: state.pop(key, None) for key in _KEYS}
    found = 1 if meta["format"] is None else int(meta["format"])
    if found != FORMAT:
        raise UsageError(
            f"checkpoint {path} has format {found}, this version of tfade reads format {FORMAT}; train in a new "
            "run_dir, or use the version that wrote it"
        )
    owner = str(meta["run"])
    if run and owner and owner != run:
        raise UsageError(f"checkpoint {path} belongs to another run ({owner}, not {run}); restore the original file")
    if str(meta["names"]) != _digest(state):
        raise ValueError("it lacks some of its members")
    if step is not None and int(state.get("step", step)) != step:
        raise ValueError(f"it holds step {int(state['step'])}")
    return state


def owner(folder: Path) -> str:
    """The identifier of the run that the newest readable checkpoint of a folder belongs to; "" if there is none."""
    for path in sorted(folder.glob("step-*.npz"), reverse=True):
        with contextlib.suppress(ValueError, OSError, KeyError):
            return str(files.read_arrays(path)["run"])
    return ""


def _digest(names: Iterable[str]) -> str:
    """A hash of the members' names, which no checksum of the archive covers."""
    return hashlib.blake2b("\n".join(sorted(names)).encode(), digest_size=8).hexdigest()
