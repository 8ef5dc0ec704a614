"""The run directory: where everything about a run lies, and the lock that keeps a second process out."""

import contextlib
import csv
import fcntl
import io
from collections.abc import Iterator
from pathlib import Path

from tfade import files
from tfade.errors import UsageError
from tfade.training import configuration


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
        """Holds the directory for this process; the system releases it however the process ends.

        Raises:
            UsageError: the path is a file, or another process holds the directory.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"run_dir={str(self.path)!r} is a file; give a directory")
        if self.path.is_dir() and any(self.path.iterdir()) and not self.config.exists() and not self._lock.exists():
            raise UsageError(
                f"run_dir={str(self.path)!r} holds other files and no run; give a new or empty directory, "
                "or the directory of a run to continue"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._lock.open("w")
        except OSError as error:
            raise UsageError(f"run_dir={str(self.path)!r} cannot be written: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UsageError(
                    f"run_dir={str(self.path)!r} is in use by another process; wait for it, or give another run_dir"
                ) from error
            yield

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    def configure(self, config: str) -> None:
        """Writes the configuration of a new run, or checks that it is the one this run was started with.

        Raises:
            UsageError: the run was started with another configuration; the differences are listed.
        """
        if self.config.exists():
            changed = configuration.differences(self.config.read_text(), config)
            if changed:
                raise UsageError(
                    f"run_dir={str(self.path)!r} belongs to another configuration ({'; '.join(changed)}); "
                    "give another run_dir, or the settings it was started with"
                )
        files.write_text(self.config, config)

    def require(self) -> None:
        """Raises a UsageError unless a run lies here."""
        if not self.config.is_file():
            raise UsageError(f"run_dir={str(self.path)!r} holds no run (no config.gin); train one with launch.train")

    def read_history(self) -> list[dict[str, str]]:
        """The rows of history.csv, as text; empty before the first interval ended."""
        if not self.history.is_file():
            return []
        with self.history.open(newline="") as file:
            return list(csv.DictReader(file))

    def write_history(self, rows: list[dict]) -> None:
        """Replaces history.csv; a column that only some rows have is empty in the others."""
        text = io.StringIO()
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        files.write_text(self.history, text.getvalue())
