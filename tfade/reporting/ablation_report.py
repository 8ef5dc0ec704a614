"""The table of an ablation as Markdown, and as a page with the samples of all rows side by side."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfade.evaluation.report import words
from tfade.evaluation.result import Result
from tfade.files import write_text
from tfade.reporting import page
from tfade.reporting.text_table import markdown

# Results of the usual metrics: three of them have a column of their own. Each result of another metric gets one, too.
USUAL = (
    *("bits_per_dim", "negative_log_likelihood", "classifier_frechet_distance"),
    *("mean_absolute_error", "root_mean_square_error"),
)


@dataclasses.dataclass(frozen=True)
class Table:
    """What the report of an ablation says of the table itself.

    Attributes:
        title: its heading.
        published: the rows in their order: name → published numbers by the name of their column, as text.
        reference: name of the row whose Fréchet distance the others are divided by.
        seeds: of the runs of every row.
    """

    title: str
    published: Mapping[str, Mapping[str, str]]
    reference: str
    seeds: Sequence[int]


@dataclasses.dataclass(frozen=True)
class RunReport:
    """One run of the table.

    Attributes:
        row, seed: which run.
        parameters: trainable parameters of p(x).
        minutes: of training; None if it was interrupted.
        results: by their names; empty if the run failed.
        not_applicable: metric → why it does not apply.
        picture: path of a grid of samples, from the table's folder.
        revision: of the source that evaluated it.
        failed: what went wrong, or None.
    """

    row: str
    seed: int
    parameters: int
    minutes: float | None = None
    results: Mapping[str, Result] = dataclasses.field(default_factory=dict)
    not_applicable: Mapping[str, str] = dataclasses.field(default_factory=dict)
    picture: str | None = None
    revision: str | None = None
    failed: str | None = None

    @property
    def name(self) -> str:
        return f"{self.row}, seed {self.seed}"


def write_report(folder: Path, table: Table, runs: Sequence[RunReport]) -> str:
    """Writes table.md and table.html into a folder.

    Args:
        folder: of the table; pictures lie below it.
        table: what is compared.
        runs: those that are finished.

    Returns:
        The Markdown.
    """
    header, rows = cells(table, runs)
    notes = footnotes(table, runs)
    text = f"# {table.title}\n\n{markdown(header, rows, notes)}"
    samples = page.element("div", *_figures(folder, runs), class_="figures small")
    paragraphs = (page.element("p", note) for note in notes)
    content = (page.table(header, rows), *paragraphs, page.element("h2", "Samples"), samples)
    write_text(folder / "table.md", text)
    write_text(folder / "table.html", page.page(table.title, *content))
    return text


def cells(table: Table, runs: Sequence[RunReport]) -> tuple[list[str], list[list[str]]]:
    """The header, and a list of texts for each row.

    Numbers are means over seeds ± their deviation, of a single seed ± the standard error where there is one.
    A usual metric that applies to no row, such as bits per dimension to models of vectors, has no column; where there
    are no bits, nats have one.
    """
    published = list(dict.fromkeys(name for numbers in table.published.values() for name in numbers))
    found = dict.fromkeys(name for run in runs for name in run.results)
    usual = _usual_columns(table, runs)
    if found:
        usual = {title: column for title, column in usual.items() if any(text != "–" for text in column.values())}
    hidden = USUAL if "bits_per_dim" in found else [name for name in USUAL if name != "negative_log_likelihood"]
    extra = [name for name in found if name not in hidden]
    header = ["", *usual, *map(words, extra), "parameters of p(x)", "minutes"]
    header += [f"paper: {name}" for name in published]
    rows = []
    for row, paper in table.published.items():
        mine = [run for run in runs if run.row == row and run.results]
        rows.append(
            [
                row,
                *(column[row] for column in usual.values()),
                *(_measured(mine, name, 3) for name in extra),
                f"{mine[0].parameters:,}" if mine else "–",
                _number([run.minutes for run in mine if run.minutes is not None], 1),
                *(paper.get(name, "–") for name in published),
            ]
        )
    return header, rows


def _usual_columns(table: Table, runs: Sequence[RunReport]) -> dict[str, dict[str, str]]:
    """Title → row → text, of the metrics that have a column of their own."""
    reference = _values(runs, table.reference, "classifier_frechet_distance")
    columns: dict[str, dict[str, str]] = {}
    for row in table.published:
        mine = [run for run in runs if run.row == row and run.results]
        distances = _values(mine, row, "classifier_frechet_distance")
        relative = [value / statistics.mean(reference) for value in distances] if reference else []
        bits = _measured(mine, "bits_per_dim", 3)
        texts = {
            "bits/dim": f"[{bits}]" if any(map(_bracketed, mine)) else bits,
            "Fréchet distance": _number(distances, 1),
            f"relative to {table.reference}": _number(relative, 2),
            "reconstruction error": _measured(mine, "mean_absolute_error", 4),
        }
        for title, text in texts.items():
            columns.setdefault(title, {})[row] = text
    return columns


def footnotes(table: Table, runs: Sequence[RunReport]) -> list[str]:
    """How the numbers were made, and what one has to know to read them."""
    found = [run for run in runs if run.results]
    failed = [f"{run.name}: {run.failed}" for run in runs if run.failed]
    if not found:
        return failed
    numbers = found[0].results
    protocol = numbers.get("classifier_frechet_distance", next(iter(numbers.values()))).protocol
    notes = [
        f"Data {protocol['data']}, split {protocol['split']}, shape {protocol['shape']}; seeds "
        f"{', '.join(map(str, table.seeds))}; {len(runs) - len(failed)} of "
        f"{len(table.published) * len(table.seeds)} runs.",
    ]
    measured = {name for run in found for name in run.results}
    if "classifier_frechet_distance" in measured:
        notes.append(
            "The Fréchet distance is in features of a classifier of these data; it is no FID and compares these rows "
            "only."
        )
    if "bits_per_dim" in measured:
        notes.append(
            "Bits per dimension are of held-out images: upper bounds where there are latent variables, unbiased "
            "estimates where the likelihood is one; in brackets, those of an inference network and one σ fitted around "
            "the frozen generator, which was trained for no likelihood"
            + "".join(f" ({text})" for text in dict.fromkeys(filter(None, map(_fit, found))))
            + "."
        )
    if "num_fake" in protocol:
        against = f" against {protocol['num_real']:,} images" if "num_real" in protocol else ""
        notes.insert(1, f"{protocol['num_fake']:,} samples{against}.")
    notes += _different_protocols(found)
    counts = [run.parameters for run in found]
    notes.append(f"Parameters of p(x) (decoder, flow, prior) differ by {1 - min(counts) / max(counts):.1%}.")
    if any("±" in text for row in cells(table, found)[1] for text in row):
        notes.append("± is the standard deviation over seeds; of one seed, the standard error of the metric.")
    notes.append("Minutes are those of training without a break; a run that was continued has none.")
    absent: dict[str, list[str]] = {}
    for run in found:
        for metric, reason in run.not_applicable.items():
            absent.setdefault(f"{words(metric)}: {reason}", []).append(run.row)
    notes += [f"{', '.join(dict.fromkeys(rows))}: {text}" for text, rows in absent.items()]
    return notes + failed


def _fit(run: RunReport) -> str:
    """The settings of the inference network of a run, in words; empty if it has none."""
    protocol = run.results["bits_per_dim"].protocol if "bits_per_dim" in run.results else {}
    settings = {name: protocol.get(f"inference_{name}") for name in ("steps", "batch_size", "learning_rate")}
    return ", ".join(f"{words(name)} {value:,}" for name, value in settings.items() if value is not None)


def _different_protocols(found: Sequence[RunReport]) -> list[str]:
    """Notes on settings that should be the same for all runs and differ, which makes the comparison unfair.

    Numbers in brackets, of a fitted inference network, are compared with one another only: the brackets say it.
    """
    holders: dict[tuple, dict[str, list[str]]] = {}  # key and kind of inference → value → names of runs
    for run in found:
        stated = {
            (f"{words(key)} of {words(name)}", result.protocol.get("inference")): value
            for name, result in run.results.items()
            for key, value in result.protocol.items()
        }
        for key, value in {**stated, ("revision", None): run.revision}.items():
            if value is not None:
                holders.setdefault(key, {}).setdefault(str(value), []).append(run.name)
    notes = []
    for (key, _), names in holders.items():
        if len(names) > 1:
            listed = "; ".join(f"{value} ({', '.join(holding)})" for value, holding in names.items())
            notes.append(f"DIFFERENT PROTOCOLS, {key}: {listed}.")
    return notes


def _values(runs: Sequence[RunReport], row: str, name: str) -> list[float]:
    return [run.results[name].value for run in runs if run.row == row and name in run.results]


def _bracketed(run: RunReport) -> bool:
    return "bits_per_dim" in run.results and run.results["bits_per_dim"].protocol["inference"] != "its own"


def _measured(runs: Sequence[RunReport], name: str, digits: int) -> str:
    """A result of a row's runs; of a single one with its standard error, where it has one."""
    results = [run.results[name] for run in runs if name in run.results]
    text = _number([result.value for result in results], digits)
    alone = len(results) == 1 and results[0].std is not None
    return f"{text} ± {results[0].std:.{digits}f}" if alone else text


def _number(values: Sequence[float], digits: int) -> str:
    if not values:
        return "–"
    text = f"{statistics.mean(values):,.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {math.sqrt(statistics.variance(values)):.{digits}f}"


def _figures(folder: Path, runs: Sequence[RunReport]) -> list[str]:
    figures = []
    for run in runs:
        if run.picture is not None and (folder / run.picture).is_file():
            picture = (folder / run.picture).read_bytes()
            figures.append(page.picture(picture, f"samples of {run.name}", run.name))
    return figures
