"""Comparing evaluations: runs side by side, as a page, as Markdown and as plain text."""

from collections.abc import Sequence
from pathlib import Path

from tfade.errors import UsageError
from tfade.evaluation.records import read_records
from tfade.files import write_text
from tfade.reporting.comparison import Run, cells, find_columns
from tfade.reporting.comparison_notes import differences, missing, stale
from tfade.reporting.comparison_page import html
from tfade.reporting.text_table import markdown, plain


def compare(paths: Sequence[Path], out: Path) -> str:
    """Writes the comparison as a page, and as Markdown beside it.

    Args:
        paths: directories of runs, or of evaluations of external images; two or more, each once.
        out: the page, an .html file.

    Returns:
        The comparison as plain text.

    Raises:
        UsageError: a directory without a run or an evaluation, or given twice; or nothing was evaluated.
    """
    runs = _read_runs(paths)
    columns = find_columns(runs)
    if not columns:
        raise UsageError(f"none of the runs has been evaluated; first: {runs[0].command('all', [])}")
    header, rows = cells(runs, columns)
    notes = [*differences(runs, columns), *missing(runs, columns), *stale(runs)]
    write_text(out, html(runs, columns, header, rows, notes))
    write_text(out.with_suffix(".md"), markdown(header, rows, notes))
    return "\n".join([plain(header, rows), "", *(f"* {note}" for note in notes)]).rstrip()


def _read_runs(paths: Sequence[Path]) -> list[Run]:
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < 2 or len(set(resolved)) < len(resolved):
        raise UsageError(f"compare={[str(path) for path in paths]} needs two runs or more, each once")
    names = [path.name for path in resolved]
    runs = []
    for path, name in zip(paths, names):
        records = read_records(path / "evaluation")
        if not records and not (path / "config.gin").is_file():
            raise UsageError(f"compare={str(path)!r} holds neither a run nor an evaluation")
        runs.append(Run(name if names.count(name) == 1 else str(path), path, records))
    return runs
