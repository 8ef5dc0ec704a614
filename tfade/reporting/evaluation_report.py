"""evaluation/report.html: one page with everything that the evaluations of a run have found so far."""

import csv
from pathlib import Path

from tfade.evaluation.records import Record, named_results, read_records
from tfade.evaluation.report import format_value, left_out, number, words
from tfade.evaluation.result import Figure, Result
from tfade.files import write_text
from tfade.reporting import page
from tfade.reporting.curves import curves

FIRST = ("samples", "reconstructions", "nearest", "interpolation")  # figures in this order, then the others
BROAD = 1.8  # plots wider than this times their height get a row of their own


def write_report(folder: Path, origin: dict) -> Path:
    """Writes `folder`/evaluation/report.html from what lies on disk.

    Args:
        folder: a run directory, or one with an evaluation of external images.
        origin: of the evaluation just made; numbers and figures of other weights are set apart.

    Returns:
        The page's path.
    """
    records = read_records(folder / "evaluation")
    current = [record for record in records if same_weights(record.origin, origin)]
    others = [record for record in records if not same_weights(record.origin, origin)]
    parts = [
        page.element("p", _headline(origin)),
        *_numbers(current),
        *_figures(current, "Pictures"),
        *_training(folder),
        *_stale(others),
        page.element("h2", "How it was made"),
        *_commands(records),
        *_files(folder),
    ]
    path = folder / "evaluation" / "report.html"
    write_text(path, page.page(f"Evaluation of {folder.resolve().name}", *parts))
    return path


def same_weights(one: dict, other: dict) -> bool:
    """Whether two evaluations were of the same weights (or of the same external images)."""
    return one.get("weights") is not None and one.get("weights") == other.get("weights")


def describe(origin: dict) -> str:
    """What was evaluated, in words."""
    if "checkpoint" in origin:
        return f"the checkpoint of step {origin['checkpoint']:,} (weights {origin['weights']})"
    if "num_images" in origin:
        return f"{origin['num_images']:,} images from {origin['images']} (pixels {origin['weights']})"
    return "an unknown checkpoint"


def _headline(origin: dict) -> str:
    model = f"{origin['model']}, " if origin.get("model") else ""
    text = f"{model}{describe(origin)}."
    return text[0].upper() + text[1:]


def _numbers(records: list[Record]) -> list[str]:
    if not any(record.results for record in records):
        return [page.element("h2", "Numbers"), page.element("p", "No metric gave a number."), *_left_out(records)]
    shared = _shared(records)
    common = "; ".join(f"{words(key)} {format_value(value)}" for key, value in shared.items())
    note = f"All numbers: {common}. " if common else ""
    return [
        page.element("h2", "Numbers"),
        page.element("p", f"{note}± is one standard error, or the spread that the protocol names.", class_="quiet"),
        page.table(["", "model", "real data", "protocol"], _rows(records, shared), left=(3,)),
        *_left_out(records),
    ]


def _rows(records: list[Record], shared: dict) -> list[list[str]]:
    rows = []
    for record in records:
        for name, result in named_results([record]).items():
            real = number(result.real) if result.real else ""
            rows.append([words(name), number(result), real, _protocol(record, result, shared)])
    return rows


def _protocol(record: Record, result: Result, shared: dict) -> str:
    counts = [key for key in result.protocol if key.startswith("num_") and key not in ("num_classes", "num_modes")]
    kinds = {"num_fake": "samples"}
    summary = ", ".join(
        f"{format_value(result.protocol[key])} {kinds.get(key, words(key.removeprefix('num_')))}" for key in counts[:2]
    )
    own = {key: value for key, value in result.protocol.items() if key not in shared}
    named = _exact("", result) | _named(own | shared) | _named(result.diagnostics)
    named["metric"] = f"{record.metric}, {record.seconds:,.1f} s"
    if result.real:
        differing = {key: value for key, value in result.real.protocol.items() if result.protocol.get(key) != value}
        named |= _exact("real data: ", result.real) | _named(differing | result.real.diagnostics, "real data: ")
    return page.details(summary or "protocol", page.definitions(named))


def _named(protocol: dict, prefix: str = "") -> dict[str, str]:
    return {prefix + words(key): format_value(value) for key, value in protocol.items()}


def _exact(of: str, result: Result) -> dict[str, str]:
    return {f"{of}value": repr(result.value)} | ({} if result.std is None else {f"{of}±": repr(result.std)})


def _shared(records: list[Record]) -> dict:
    """What all protocols state with one value: it is stated once."""
    protocols = [result.protocol for record in records for result in record.results]
    return {
        key: value
        for key, value in protocols[0].items()
        if all(key in protocol and protocol[key] == value for protocol in protocols)
    }


def _left_out(records: list[Record]) -> list[str]:
    reasons = [page.element("li", f"{', '.join(names)}: {reason}") for reason, names in left_out(records).items()]
    return [page.element("p", "Without a number:"), page.element("ul", *reasons)] if reasons else []


def _figures(records: list[Record], title: str) -> list[str]:
    figures = [figure for record in records for figure in record.figures]
    ranks = [next((rank for rank, name in enumerate(FIRST) if f.name.startswith(name)), len(FIRST)) for f in figures]
    ordered = [figure for _, figure in sorted(zip(ranks, figures), key=lambda pair: pair[0])]
    shown = [
        page.picture(f.png, words(f.name), f"{words(f.name).capitalize()}. {f.caption}", _is_broad(f)) for f in ordered
    ]
    return [page.element("h2", title), page.element("div", *shown, class_="figures")] if shown else []


def _is_broad(figure: Figure) -> bool:
    """Whether its details would be lost at half the width; grids of images can be shrunk."""
    width, height = (int.from_bytes(figure.png[start : start + 4], "big") for start in (16, 20))  # of a PNG's header
    return width > BROAD * height and not figure.name.startswith(FIRST)


def _training(folder: Path) -> list[str]:
    history = folder / "history.csv"
    if not history.is_file():
        return []
    with history.open(newline="", encoding="utf-8") as file:
        drawn = curves(list(csv.DictReader(file)))
    shown = [page.picture(png, seen) for seen, png in drawn]  # a plot has its title inside
    if not shown:
        return []
    return [page.element("h2", "Training"), page.element("div", *shown, class_="figures small")]


def _stale(records: list[Record]) -> list[str]:
    """Numbers and figures of other weights, below a heading that names them."""
    parts = []
    newest_first = sorted(records, key=lambda record: -record.origin.get("checkpoint", -1))
    for whose in dict.fromkeys(describe(record.origin) for record in newest_first):
        mine = [record for record in records if describe(record.origin) == whose]
        rows = _rows(mine, {})
        parts.append(page.element("h2", f"Of {whose}, not of the one above"))
        if rows:
            parts.append(page.table(["", "model", "real data", "protocol"], rows, left=(3,)))
        parts += [*_left_out(mine), *_figures(mine, f"Pictures of {whose}")[1:]]
    return parts


def _commands(records: list[Record]) -> list[str]:
    made: dict[str, list[str]] = {}
    for record in records:
        if record.origin.get("command"):
            made.setdefault(record.origin["command"], []).append(record.metric)
    parts = []
    for command, metrics in made.items():
        named = "" if "--metrics=" in command else f"# {', '.join(metrics)}\n"
        parts.append(page.element("pre", named + command, class_="command"))
    versions = [record.origin["versions"] for record in records if record.origin.get("versions")]
    if versions:
        listed = ", ".join(f"{name} {version}" for name, version in versions[-1].items())
        kernels = [record.origin["kernels"]["library"] for record in records if record.origin.get("kernels")]
        listed += f", {kernels[-1]}'s CPU kernels" if kernels and kernels[-1] else ""
        parts.append(page.element("p", f"Evaluated with {listed}.", class_="quiet"))
    return parts


def _files(folder: Path) -> list[str]:
    shown = []
    for name, title in (("config.gin", "Configuration"), ("environment.json", "Environment of the training")):
        if (folder / name).is_file():
            text = (folder / name).read_text(encoding="utf-8")
            shown.append(page.details(f"{title} ({name})", page.element("pre", text)))
    return shown
