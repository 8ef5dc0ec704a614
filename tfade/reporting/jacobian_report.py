"""The report of a Jacobian study: how runs stretch space, as numbers and a plot."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfade import files
from tfade.evaluation.latents.jacobian import Spectrum


def write_report(folder: Path, spectra: Mapping[str, Spectrum], protocol: Mapping) -> str:
    """Writes jacobian.json and jacobian.png into a folder.

    Args:
        folder: to write to.
        spectra: by the name of the run.
        protocol: how they were measured; JSON values.

    Returns:
        The summaries as text.
    """
    report = {name: {**spectrum.summary(), "protocol": dict(protocol)} for name, spectrum in spectra.items()}
    files.write_json(folder / "jacobian.json", report)
    files.write_atomically(folder / "jacobian.png", lambda file: plot(spectra).savefig(file, format="png"))
    return table(spectra)


def table(spectra: Mapping[str, Spectrum]) -> str:
    """The summaries, a line for each run."""
    lines = [f"{'run':<28}{'log10 condition: median':>24}{'quartiles':>20}{'largest':>12}{'smallest':>12}"]
    for name, spectrum in spectra.items():
        summary = spectrum.summary()
        low, high = summary["log10_condition_quartiles"]
        lines.append(
            f"{name:<28}{_format(summary['log10_condition_median']):>24}{_format(low) + ' – ' + _format(high):>20}"
            f"{summary['largest_median']:>12.3g}{summary['smallest_median']:>12.3g}"
        )
    return "\n".join(lines)


def plot(spectra: Mapping[str, Spectrum]):
    """The share of singular values below each value, over all latents, and a histogram of the condition numbers."""
    from matplotlib.figure import Figure

    figure = Figure((10, 4), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    conditions = {name: spectrum.log10_condition for name, spectrum in spectra.items()}
    finite = {name: values[np.isfinite(values)] for name, values in conditions.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(finite.values())), 40)
    for name, spectrum in spectra.items():
        pooled = np.sort(spectrum.values[spectrum.values > 0])
        left.plot(np.log10(pooled), np.linspace(0, 1, len(pooled)), label=name)
        right.hist(finite[name], edges, histtype="step", linewidth=1.5, label=name)
    left.set(xlabel="log₁₀ singular value", ylabel="fraction of values below", title="singular values of ∂x/∂z")
    right.set(xlabel="log₁₀ condition number", ylabel="codes", title="condition numbers")
    right.legend()
    return figure


def _format(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.1f}"
