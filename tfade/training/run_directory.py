"""The run directory: where everything about a run lies, and the lock that keeps a second process out."""

import contextlib
import csv
import io
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from tfade import files
from tfade.errors import UsageError
from tfade.locks import LOCK, directory_lock
from tfade.training import recorded_configuration
from tfade.training.checkpoint_file import owner
from tfade.training.configuration_changes import differences

# Bindings that say where the data of a run lie, and what was read off them.
PLACES = ("data/macro.value", "other_data/macro.value", "Recipe.data", "Recipe.other_data", "Recipe.spec")


class RunDirectory:
    """Names of a run's files. Nothing is created before something is written.

    Args:
        path: the run directory.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.gin"
        self.data = self.path / "data.json"
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
                f"run_dir={str(self.path)!r} contains checkpoints but no config.gin; restore "
                "it, or give another run_dir"
            )
        holds_others = self.path.is_dir() and any(self.path.iterdir()) and not self.config.exists()
        if holds_others and not (self.path / LOCK).exists():
            raise UsageError(
                f"run_dir={str(self.path)!r} contains other files and no run; give a new or empty directory, "
                "or the directory of a run to continue"
            )
        with directory_lock(self.path):
            yield

    def configure(self, config: str, data: dict, same_data: bool, notify: Callable[[str], None]) -> None:
        """Writes the configuration of a new run, or checks that it is the one this run was started with.

        Data with the same fingerprint may have another name, as those of a folder that was moved.

        Args:
            config: the configuration.
            data: "name", "num_examples", "fingerprint" and "layout" of the training data.
            same_data: whether data with another fingerprint are an error, and not a note.
            notify: receives the note.

        Raises:
            UsageError: the run was started with another configuration; the differences are listed.
        """
        may_change = self._compare_data(data, same_data, notify)
        if self.config.exists():
            recorded = recorded_configuration.read(self.config)
            try:
                changed = differences(recorded, config, may_change)
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
        files.write_json(self.data, {"run": self.identifier or secrets.token_hex(8), **data})

    @property
    def identifier(self) -> str:
        """What tells this run from others, whose checkpoints carry it; "" of a run that has none yet."""
        recorded = self._recorded_data().get("run")
        return str(recorded) if recorded else owner(self.checkpoints)  # data.json may be lost

    def note_kernels(self, library: str | None, notify: Callable[[str], None]) -> None:
        """Says so if the run was trained with another library of kernels: rounding differs from here on."""
        recorded = _read_json(self.environment).get("kernels", {})
        before = recorded.get("library") if isinstance(recorded, dict) else None
        if before is not None and before != library:
            notify(f"note: {self.path} was trained with {before}'s CPU kernels so far and continues with {library}'s")

    @property
    def data_fingerprint(self) -> str:
        """The fingerprint of the training data; "" where none is recorded."""
        return str(self._recorded_data().get("fingerprint", ""))

    def _recorded_data(self) -> dict:
        """What data.json holds; nothing where it is absent or damaged."""
        return _read_json(self.data)

    def _compare_data(self, data: dict, same_data: bool, notify: Callable[[str], None]) -> tuple[str, ...]:
        """The bindings that may differ, by what the run was trained on before."""
        before = self._recorded_data()
        if not data.keys() <= before.keys():  # of a new run, or lost: there is nothing to compare with
            return ()
        changes = [f"{key} {before[key]} before, {data[key]} now" for key in data if before[key] != data[key]]
        if before["fingerprint"] == data["fingerprint"]:
            return PLACES
        if same_data:
            raise UsageError(
                f"run_dir={str(self.path)!r} was trained on other data ({'; '.join(changes)}), and Recipe.same_data "
                "is True; give the data it was started with"
            )
        notify(f"note: the data changed since {self.path} was started: {'; '.join(changes)}")
        return ("Recipe.spec",) if before["layout"] == data["layout"] else ()

    def require(self) -> None:
        """Raises a UsageError unless a run of this format lies here."""
        if not self.config.is_file():
            raise UsageError(f"run_dir={str(self.path)!r} holds no run (no config.gin); train one with launch.train")
        recorded_configuration.read(self.config)

    def read_history(self) -> list[dict[str, str]]:
        """The rows of history.csv, as text; empty before the first interval ended."""
        if not self.history.is_file():
            return []
        try:
            with self.history.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        except (csv.Error, UnicodeDecodeError) as error:
            raise UsageError(f"{self.history} is damaged ({error}); repair it, or move it away") from error
        if not all((row.get("step") or "").isdecimal() for row in rows):
            raise UsageError(f"{self.history} is damaged: a row has no integer step; repair it, or move it away")
        return rows

    def write_history(self, rows: list[dict]) -> None:
        """Replaces history.csv; a column that only some rows have is empty in the others."""
        text = io.StringIO()
        columns = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        files.write_text(self.history, text.getvalue())


def _read_json(path: Path) -> dict:
    """The object in a JSON file; {} where it is absent or damaged."""
    content = files.read_json(path)
    return content if isinstance(content, dict) else {}
