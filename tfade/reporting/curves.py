"""Training curves, drawn from a run's history.csv: a small plot for each term, with a line for each player."""

import math

from tfade.evaluation.plots import figure_png

LOGARITHMIC = 100  # positive values that span more than this factor are drawn on a logarithmic axis


def curves(rows: list[dict[str, str]]) -> list[tuple[str, bytes]]:
    """Plots of what was reported during training.

    Args:
        rows: of history.csv, "step" and "player/term" as text; empty where a row has no value.

    Returns:
        For each term a caption and the PNG file.
    """
    drawn = []
    for term, lines in terms(rows).items():
        ends = (f"{label or term}: {_short(values[0])} to {_short(values[-1])}" for label, (_, values) in lines.items())
        steps = [step for line in lines.values() for step in line[0]]
        caption = f"{term} from step {min(steps):,.0f} to {max(steps):,.0f}; {', '.join(ends)}"
        drawn.append((caption, _plot(term, lines)))
    return drawn


def terms(rows: list[dict[str, str]]) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """term → player → (steps, values), without values that are not finite."""
    found: dict = {}
    for row in rows:
        for column, text in row.items():
            step, value = _number(row.get("step")), _number(text)
            if column is None or column == "step" or step is None or value is None:
                continue
            player, _, term = column.rpartition("/")
            steps, values = found.setdefault(term, {}).setdefault(player, ([], []))
            steps.append(step)
            values.append(value)
    return found


def _plot(term: str, lines: dict) -> bytes:
    from matplotlib.figure import Figure  # without pyplot: see `figure_png`

    figure = Figure((4, 2.6), dpi=130)
    axes = figure.add_axes((0.17, 0.17, 0.79, 0.72))
    for player, (steps, values) in lines.items():
        style = "--" if player == "validation" else "-"
        axes.plot(steps, values, style, marker="o", markersize=3, linewidth=1.3, label=player or term)
    every = [value for _, values in lines.values() for value in values]
    if min(every) > 0 and max(every) > LOGARITHMIC * min(every):
        axes.set_yscale("log")
    axes.set_title(term.replace("_", " "), fontsize=10)
    axes.set_xlabel("step", fontsize=8, labelpad=1)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    if len(lines) > 1 or any(lines):
        axes.legend(fontsize=7, frameon=True, framealpha=0.7)
    return figure_png(figure)


def _number(text) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _short(value: float) -> str:
    return f"{value:,.4g}"
