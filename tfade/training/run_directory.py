"""The run directory: where everything about a run lies, and the lock that keeps a second process out."""

import contextlib
import csv
import fcntl
import io
from collections.abc import Iterator
from pathlib import Path

from tfade import files
from tfade.errors import UsageError
from tfade.training import configuration, recorded_configuration

LOCK = ".lock"


@contextlib.contextmanager
def directory_lock(folder: Path, lock_name: str = LOCK) -> Iterator[None]:
    """Holds a directory for this process, by a lock on a file in it; the system releases it however the process ends.

    Raises:
        UsageError: the path is a file, cannot be written, or another process holds the directory.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"run_dir={str(folder)!r} is a file; give a directory")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / lock_name).open("w")
    except OSError as error:
        raise UsageError(f"run_dir={str(folder)!r} cannot be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"run_dir={str(folder)!r} is in use by another process; wait for it, or give another run_dir"
            ) from error
        yield


class RunDirectory:
    """Names of a run's files. Nothing is created before something is written.

    Args:
        path: the run directory.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.gin"
        self.environment = self.path / "environment.json"
        self.checkpoints = self.path / "checkpoints"
        self.logs = self.path / "logs"
        self.history = self.path / "history.csv"
        self.samples = self.path / "samples"
        self.evaluation = self.path / "evaluation"
        self.export = self.path / "export"
        self.failure = self.path / "nonfinite.json"

    @contextlib.contextmanager
    def claim(self) -> Iterator[None]:
        """Holds the directory for this process, see `directory_lock`.

        Raises:
            UsageError: also if the directory holds other files and no run.
        """
        if self.checkpoints.is_dir() and any(self.checkpoints.iterdir()) and not self.config.exists():
            raise UsageError(
                f"run_dir={str(self.path)!r} holds checkpoints and no config.gin, which says what they are of; restore "
                "it, or give another run_dir"
            )
        holds_others = self.path.is_dir() and any(self.path.iterdir()) and not self.config.exists()
        if holds_others and not (self.path / LOCK).exists():
            raise UsageError(
                f"run_dir={str(self.path)!r} holds other files and no run; give a new or empty directory, "
                "or the directory of a run to continue"
            )
        with directory_lock(self.path):
            yield

    def configure(self, config: str) -> None:
        """Writes the configuration of a new run, or checks that it is the one this run was started with.

        Raises:
            UsageError: the run was started with another configuration; the differences are listed.
        """
        if self.config.exists():
            recorded = recorded_configuration.read(self.config)
            try:
                changed = configuration.differences(recorded, config)
            except UsageError as error:
                raise UsageError(
                    f"{self.config} cannot be read by this version ({error}); give another run_dir"
                ) from error
            if changed:
                raise UsageError(
                    f"run_dir={str(self.path)!r} belongs to another configuration ({'; '.join(changed)}); "
                    "give another run_dir, or the settings it was started with"
                )
        files.write_text(self.config, config)

    def require(self) -> None:
        """Raises a UsageError unless a run of this format lies here."""
        if not self.config.is_file():
            raise UsageError(f"run_dir={str(self.path)!r} holds no run (no config.gin); train one with launch.train")
        recorded_configuration.read(self.config)

    def read_history(self) -> list[dict[str, str]]:
        """The rows of history.csv, as text; empty before the first interval ended."""
        if not self.history.is_file():
            return []
        with self.history.open(newline="") as file:
            rows = list(csv.DictReader(file))
        if not all((row.get("step") or "").isdigit() for row in rows):
            raise UsageError(f"{self.history} is damaged: a row has no whole number of steps; mend it, or move it away")
        return rows

    def write_history(self, rows: list[dict]) -> None:
        """Replaces history.csv; a column that only some rows have is empty in the others."""
        text = io.StringIO()
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        files.write_text(self.history, text.getvalue())
