"""Measures density-ratio estimates against Gaussians of known divergence: a table, curves, and every run's numbers.

Runs that are done are not done again: the same command continues where it was stopped.
"""

import dataclasses
import json
import time
from pathlib import Path

from launch import common

TITLES = {
    "estimation": "Estimation: a classifier of samples of a fixed Gaussian and of N(0, I)",
    "learning": "Learning: a generator A ε + b that follows the classifier's ratio to the Gaussian",
}


def main(arguments: list[str]) -> int | None:
    parser = common.Parser("density_ratio", __doc__)
    common.add_gin_flags(parser)
    parser.add_argument("--out", required=True, help="folder for table.md, curves.png and runs/")
    flags = parser.parse_args(arguments)
    if not flags.gin_file:
        parser.error("--gin_file is missing; give --gin_file=gin/tables/density_ratio.gin")
    common.configure(flags.gin_file, flags.gin_bindings)
    from tfade.evaluation.latents.density_ratio import RatioClassifier
    from tfade.evaluation.latents.gaussian_study import DensityRatioStudy
    from tfade.training import configuration

    study, classifier = (configuration.make(part) for part in (DensityRatioStudy, RatioClassifier))
    out, results = Path(flags.out), []
    for mode in study.modes:
        for dimensions in study.dimensions:
            for seed in study.seeds:
                results.append(measured(out, study, classifier, mode, dimensions, seed))
    text = tables(results)
    from tfade import files

    files.write_text(out / "table.md", text)
    files.write_atomically(out / "curves.png", lambda file: plot(results).savefig(file, format="png"))
    print(f"\n{text}\ntable: {out / 'table.md'}\nplot:  {out / 'curves.png'}")


def measured(out: Path, study, classifier, mode: str, dimensions: int, seed: int) -> dict:
    """One run, from its file if it was made with the same settings; otherwise made now, and written."""
    from tfade import files
    from tfade.evaluation.latents.gaussian_study import run

    settings = dataclasses.asdict(study) | {"classifier": dataclasses.asdict(classifier)}
    for name in ("dimensions", "seeds", "modes"):  # of the other runs
        del settings[name]
    del settings["classifier"]["steps"]
    path = out / "runs" / f"{mode}-{dimensions}-seed{seed}.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    if known.get("settings") == settings:
        return known
    started = time.perf_counter()
    curve = run(study, mode, dimensions, seed, classifier)
    seconds = round(time.perf_counter() - started, 1)
    result = {"mode": mode, "dimensions": dimensions, "seed": seed, "settings": settings, "seconds": seconds}
    result["curve"] = curve
    files.write_json(path, result)
    last = curve[-1]
    print(
        f"{mode}, {dimensions} dimensions, seed {seed}: known {_number(last['known'])}, estimate "
        f"{_number(last['estimate'])} nats after {last['step']:,} steps, {seconds} s",
        flush=True,
    )
    return result


def tables(results: list[dict]) -> str:
    """The last point of every run as Markdown, a table for each mode."""
    lines = []
    for mode in dict.fromkeys(result["mode"] for result in results):
        started = " KL at step {first:,} |" if mode == "learning" else ""
        rows = [result for result in results if result["mode"] == mode]
        first = rows[0]["curve"][0]["step"]
        lines += [f"{TITLES[mode]}, nats", ""]
        lines += [f"| dimensions | seed |{started.format(first=first)} known KL | estimate | error | steps |"]
        lines += ["|---|---|" + "---|" * (5 if started else 4)]
        for row in rows:
            begun, last = row["curve"][0], row["curve"][-1]
            cells = [f"{row['dimensions']:,}", str(row["seed"]), *([_number(begun["known"])] if started else [])]
            cells += [_number(last["known"]), _number(last["estimate"]), _error(last), f"{last['step']:,}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def plot(results: list[dict]):
    """Known divergence (black) and estimates over training: a row for each mode, a panel for each dimension."""
    from matplotlib.figure import Figure

    modes, sizes = (list(dict.fromkeys(result[key] for result in results)) for key in ("mode", "dimensions"))
    figure = Figure((3.2 * len(sizes), 2.8 * len(modes)), dpi=120, layout="constrained")
    panels = figure.subplots(len(modes), len(sizes), squeeze=False)
    for result in results:
        panel = panels[modes.index(result["mode"])][sizes.index(result["dimensions"])]
        curve = [point for point in result["curve"] if None not in point.values()]
        steps, colour = [point["step"] for point in curve], f"C{result['seed'] % 10}"
        panel.plot(
            steps, [point["estimate"] for point in curve], color=colour, label=f"estimate, seed {result['seed']}"
        )
        own = {"color": "black"} if result["mode"] == "estimation" else {"color": colour, "linestyle": "--"}
        panel.plot(
            steps,
            [point["known"] for point in curve],
            **own,
            label="known" if result["seed"] == results[0]["seed"] else None,
        )
        panel.set(title=f"{result['mode']}, {result['dimensions']:,}-D", xlabel="step", ylabel="nats")
    for row in panels:
        row[0].legend(fontsize=6)
    return figure


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _error(point: dict) -> str:
    """The estimate's error in nats, and as a share of the known divergence where that is no rounding."""
    if None in (point["known"], point["estimate"]):
        return "not finite"
    error = point["estimate"] - point["known"]
    return f"{error:+.3g}" + (f" ({error / point['known']:+.0%})" if point["known"] > 0.01 else "")


if __name__ == "__main__":
    common.launch(main)
