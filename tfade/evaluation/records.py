"""Evaluations on disk: one JSON file for each metric, and the figures beside them."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from tfade.errors import UsageError
from tfade.evaluation.result import Figure, Result
from tfade.files import write_atomically, write_json

FIGURES = "figures"
FORMAT = 2  # of a file; raise it when what a file holds changes


@dataclasses.dataclass(frozen=True)
class Record:
    """The outcome of one metric: results and figures, or the reason why it does not apply.

    Attributes:
        metric: its name.
        seconds: how long it took, including samples and the classifier where it was the first to need them.
        results, figures: that it returned.
        not_applicable: why there is nothing, or None.
        saved: when its file was written, in seconds since 1970; 0 where there is none.
        failed: the error that ended it, or None.
        origin: what was evaluated and how: "checkpoint" (the step), "weights" (a hash of them), "command", "versions",
            …; may be empty.
    """

    metric: str
    seconds: float
    results: tuple[Result, ...] = ()
    figures: tuple[Figure, ...] = ()
    not_applicable: str | None = None
    origin: dict = dataclasses.field(default_factory=dict)
    failed: str | None = None
    saved: float = 0.0

    def save(self, folder) -> Path:
        """Writes `folder`/<metric>.json, and `folder`/figures/<name>.png for each figure. Returns the JSON's path.

        The file holds the number of its format and all attributes but `saved`: results as `Result.to_json` gives them,
        figures by name and caption.
        """
        for figure in self.figures:
            write_atomically(_picture(folder, figure.name), lambda file, png=figure.png: file.write(png))
        path = Path(folder) / f"{self.metric}.json"
        content = {
            "format": FORMAT,
            "metric": self.metric,
            "seconds": self.seconds,
            "results": [result.to_json() for result in self.results],
            "figures": [{"name": figure.name, "caption": figure.caption} for figure in self.figures],
            "not_applicable": self.not_applicable,
            "failed": self.failed,
            "origin": self.origin,
        }
        write_json(path, content)
        return path


def read_records(folder) -> list[Record]:
    """The records in a folder, in the order of the metrics' names; an empty list if there is no folder.

    A figure whose picture was removed is left out.

    Raises:
        UsageError: a file that is damaged, no record, or one of another format.
    """
    return [_read(path) for path in sorted(Path(folder).glob("*.json"))]


def named_results(records: Sequence[Record]) -> dict[str, Result]:
    """Every result by its name."""
    return {result.name: result for record in records for result in record.results}


def _read(path: Path) -> Record:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        written = content.get("format", 1)
    except (OSError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from error
    if written != FORMAT:
        raise UsageError(
            f"{path} has format {written}; this version reads format {FORMAT}; remove it and evaluate again"
        )
    try:
        return _record(path, content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from error


def _record(path: Path, content: dict) -> Record:
    figures = tuple(
        Figure(figure["name"], figure["caption"], _picture(path.parent, figure["name"]).read_bytes())
        for figure in content["figures"]
        if _picture(path.parent, figure["name"]).is_file()
    )
    return Record(
        metric=content["metric"],
        seconds=float(content["seconds"]),
        results=tuple(Result.from_json(result) for result in content["results"]),
        figures=figures,
        not_applicable=content["not_applicable"],
        origin=content["origin"],
        failed=content["failed"],
        saved=path.stat().st_mtime,
    )


def _damaged(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{path} is not a record of a metric ({type(error).__name__}: {error}); remove it and evaluate again"
    )


def _picture(folder, name: str) -> Path:
    return Path(folder) / FIGURES / f"{name}.png"
