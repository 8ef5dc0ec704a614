"""The table of an ablation as Markdown, and as a page with the samples of all rows side by side."""

import dataclasses
import math
import statistics
from pathlib import Path

from tfade.evaluation.metrics import REAL
from tfade.evaluation.suite import words
from tfade.files import write_text
from tfade.reporting import page
from tfade.reporting.comparison_page import markdown
from tfade.workflows.ablation import Ablation

ALIKE = (  # what the protocols of a number must share for its column to compare anything
    *("data", "split", "shape", "num_fake", "num_real", "seed", "temperature", "draws", "of", "dequantisation"),
    *("extractor", "extractor_fingerprint"),
)
# Results of the usual metrics: three of them have a column of their own. Each result of another metric gets one, too.
USUAL = (
    *("bits_per_dim", "negative_log_likelihood", "classifier_frechet_distance"),
    *("mean_absolute_error", "root_mean_square_error", "same_label_share"),
)


def write_report(folder: Path, ablation: Ablation, results: list[dict]) -> str:
    """Writes table.md and table.html into a folder.

    Args:
        folder: of the table; pictures lie below it.
        ablation: what is compared.
        results: for each finished run its row, seed, and what `tfade.workflows.ablation_rows.evaluated` gives.

    Returns:
        The Markdown.
    """
    header, rows = cells(ablation, results)
    notes = footnotes(ablation, results)
    text = f"# {ablation.title}\n\n{markdown(header, rows, notes)}"
    samples = page.element("div", *_figures(folder, results), class_="figures small")
    paragraphs = (page.element("p", note) for note in notes)
    content = (page.table(header, rows), *paragraphs, page.element("h2", "Samples"), samples)
    write_text(folder / "table.md", text)
    write_text(folder / "table.html", page.page(ablation.title, *content))
    return text


def cells(ablation: Ablation, results: list[dict]) -> tuple[list[str], list[list[str]]]:
    """The header, and a list of texts for each row; means over seeds, ± the deviation where there are several."""
    published = list(dict.fromkeys(name for row in ablation.rows for name in row.paper))
    header = ["", "bits/dim", "Fréchet distance", f"relative to {ablation.reference}", "reconstruction error"]
    found = dict.fromkeys(name for result in results for name in result["results"])
    extra = [name for name in found if name not in USUAL and not name.endswith(REAL)]
    header += [*map(words, extra), "parameters of p(x)", "minutes", *(f"paper: {name}" for name in published)]
    reference = _values(results, ablation.reference, "classifier_frechet_distance")
    rows = []
    for row in ablation.rows:
        mine = [result for result in results if result["row"] == row.name and result["results"]]
        distances = _values(results, row.name, "classifier_frechet_distance")
        relative = [value / statistics.mean(reference) for value in distances] if reference else []
        bits = _number(_values(results, row.name, "bits_per_dim"), 2)
        rows.append(
            [
                row.name,
                f"[{bits}]" if any(_bracketed(result) for result in mine) else bits,
                _number(distances, 1),
                _number(relative, 2),
                _number(_values(results, row.name, "mean_absolute_error"), 4),
                *(_number(_values(results, row.name, name), 2) for name in extra),
                f"{mine[0]['parameters']:,}" if mine else "–",
                _number([result["minutes"] for result in mine if result["minutes"] is not None], 1),
                *(row.paper.get(name, "–") for name in published),
            ]
        )
    return header, rows


def footnotes(ablation: Ablation, results: list[dict]) -> list[str]:
    """How the numbers were made, and what has to be known to read them."""
    found = [result for result in results if result["results"]]
    failed = [f"{result['row']}, seed {result['seed']}: {result['failed']}" for result in results if result["failed"]]
    if not found:
        return failed
    numbers = found[0]["results"]
    said = numbers.get("classifier_frechet_distance", next(iter(numbers.values())))["protocol"]
    notes = [
        f"Data {said['data']}, split {said['split']}, shape {said['shape']}; seeds "
        f"{', '.join(map(str, ablation.seeds))}; {len(results) - len(failed)} of "
        f"{len(ablation.rows) * len(ablation.seeds)} runs.",
        "The Fréchet distance is in features of a classifier of these data: it is no FID, and compares the rows only.",
        "Bits per dimension are upper bounds of held-out images; in brackets, those of an inference network and one σ "
        "fitted around the frozen generator, which was trained for no likelihood"
        + "".join(f" ({text})" for text in dict.fromkeys(filter(None, map(_fit, found))))
        + ".",
    ]
    if "num_fake" in said:
        notes.insert(1, f"{said['num_fake']:,} samples against {said['num_real']:,} images.")
    notes += _unlike(found)
    counts = {result["row"]: result["parameters"] for result in found}
    spread = dataclasses.replace(ablation, tolerance=None).check_parameters(counts)
    notes.append(f"Parameters of p(x) (decoder, flow, prior) differ by {spread:.1%}.")
    notes.append("Minutes are those of training without a break; a run that was continued has none.")
    absent: dict[str, list[str]] = {}
    for result in found:
        for metric, reason in result.get("not_applicable", {}).items():
            absent.setdefault(f"{words(metric)}: {reason}", []).append(result["row"])
    notes += [f"{', '.join(dict.fromkeys(rows))}: {text}" for text, rows in absent.items()]
    return notes + failed


def _fit(result: dict) -> str:
    """The settings of the inference network of a run, in words; empty if it has none."""
    protocol = result["results"].get("bits_per_dim", {"protocol": {}})["protocol"]
    told = {name: protocol.get(f"inference_{name}") for name in ("steps", "batch_size", "learning_rate")}
    return ", ".join(f"{words(name)} {value:,}" for name, value in told.items() if value is not None)


def _unlike(found: list[dict]) -> list[str]:
    """Notes on what should be the same for all runs and is not: they are no fair comparison then."""
    runs: dict[str, dict[str, list[str]]] = {}
    for result in found:
        name = f"{result['row']}, seed {result['seed']}"
        said = {
            f"{words(key)} of {words(of)}": number["protocol"].get(key)
            for of, number in result["results"].items()
            for key in ALIKE
        }
        for key, value in {**said, "revision": result.get("revision")}.items():
            if value is not None:
                runs.setdefault(key, {}).setdefault(str(value), []).append(name)
    notes = []
    for key, holders in runs.items():
        if len(holders) > 1:
            listed = "; ".join(f"{value} ({', '.join(names)})" for value, names in holders.items())
            notes.append(f"NOT ALIKE, {key}: {listed}.")
    return notes


def _values(results: list[dict], row: str, name: str) -> list[float]:
    found = [result["results"].get(name) for result in results if result["row"] == row]
    return [result["value"] for result in found if result is not None]


def _bracketed(result: dict) -> bool:
    bits = result["results"].get("bits_per_dim")
    return bits is not None and bits["protocol"]["inference"] != "its own"


def _number(values: list[float], digits: int) -> str:
    if not values:
        return "–"
    text = f"{statistics.mean(values):,.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {math.sqrt(statistics.variance(values)):.{digits}f}"


def _figures(folder: Path, results: list[dict]) -> list[str]:
    figures = []
    for result in results:
        picture = folder / (result["picture"] or "none")
        if picture.is_file():
            caption = f"{result['row']}, seed {result['seed']}"
            figures.append(page.picture(picture.read_bytes(), f"samples of {caption}", caption))
    return figures
