"""The report of the density-ratio study: a table and curves of known and estimated divergences."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tfade import files

TITLES = {
    "estimation": "Estimation: a classifier of samples of a fixed Gaussian and of N(0, I)",
    "learning": "Learning: a generator A ε + b that follows the classifier's ratio to the Gaussian",
}
NEGLIGIBLE = 0.01  # nats; a relative error of less is rounding


@dataclasses.dataclass(frozen=True)
class StudyRun:
    """One run of the study.

    Attributes:
        mode: "estimation" or "learning".
        dimensions: of the Gaussians.
        seed: of the classifier and of the noise.
        settings: what else shaped it; JSON values.
        seconds: what it took.
        curve: [{"step", "known", "estimate"}], divergences in nats; None where a number is not finite.
    """

    mode: str
    dimensions: int
    seed: int
    settings: dict
    seconds: float
    curve: Sequence[dict]


def write_report(folder: Path, runs: Sequence[StudyRun]) -> str:
    """Writes table.md and curves.png into a folder; returns the table."""
    text = tables(runs)
    files.write_text(folder / "table.md", text)
    files.write_atomically(folder / "curves.png", lambda file: plot(runs).savefig(file, format="png"))
    return text


def tables(runs: Sequence[StudyRun]) -> str:
    """The last point of every run as Markdown, a table for each mode."""
    lines = []
    for mode in dict.fromkeys(run.mode for run in runs):
        rows = [run for run in runs if run.mode == mode]
        initial = f" KL at step {rows[0].curve[0]['step']:,} |" if mode == "learning" else ""
        lines += [f"{TITLES[mode]}, nats", ""]
        lines += [f"| dimensions | seed |{initial} known KL | estimate | error | steps |"]
        lines += ["|---|---|" + "---|" * (5 if initial else 4)]
        for run in rows:
            first, last = run.curve[0], run.curve[-1]
            cells = [f"{run.dimensions:,}", str(run.seed), *([format_nats(first["known"])] if initial else [])]
            cells += [format_nats(last["known"]), format_nats(last["estimate"]), _error(last), f"{last['step']:,}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def plot(runs: Sequence[StudyRun]):
    """Known divergence (black) and estimates over training: a row for each mode, a panel for each dimension."""
    from matplotlib.figure import Figure

    modes, sizes = (list(dict.fromkeys(getattr(run, name) for run in runs)) for name in ("mode", "dimensions"))
    figure = Figure((3.2 * len(sizes), 2.8 * len(modes)), dpi=120, layout="constrained")
    panels = figure.subplots(len(modes), len(sizes), squeeze=False)
    for run in runs:
        panel = panels[modes.index(run.mode)][sizes.index(run.dimensions)]
        points = [point for point in run.curve if None not in point.values()]
        steps, known, estimates = ([point[key] for point in points] for key in ("step", "known", "estimate"))
        colour = f"C{run.seed % 10}"
        panel.plot(steps, estimates, color=colour, label=f"estimate, seed {run.seed}")
        # The generator of each seed learns on a path of its own; the Gaussian that is estimated is the same for all.
        style = {"color": "black"} if run.mode == "estimation" else {"color": colour, "linestyle": "--"}
        panel.plot(steps, known, **style, label="known" if run.seed == runs[0].seed else None)
        panel.set(title=f"{run.mode}, {run.dimensions:,}-D", xlabel="step", ylabel="nats")
    for row in panels:
        row[0].legend(fontsize=6)
    return figure


def format_nats(value: float | None) -> str:
    """A divergence to three digits, or whole nats."""
    return "not finite" if value is None else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _error(point: dict) -> str:
    """The estimate's error in nats, and relative to the known divergence where that is not negligible."""
    if None in (point["known"], point["estimate"]):
        return "not finite"
    error = point["estimate"] - point["known"]
    return f"{error:+.3g}" + (f" ({error / point['known']:+.0%})" if point["known"] > NEGLIGIBLE else "")
