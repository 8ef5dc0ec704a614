"""The density-ratio study: runs against Gaussians of known divergence, resumable, and their report."""

import dataclasses
import time
from pathlib import Path

from tfade import files
from tfade.errors import UsageError
from tfade.evaluation.latents.gaussian_study import DensityRatioStudy, run
from tfade.evaluation.latents.ratio_classifier import RatioClassifier
from tfade.reporting.density_ratio_report import StudyRun, format_nats, write_report
from tfade.training import configuration


def run_study(folder: Path) -> str:
    """Makes the runs of the `DensityRatioStudy` that gin holds; those that `folder`/runs has are not made again.

    Args:
        folder: of table.md, curves.png, and runs/ with each run's numbers.

    Returns:
        The table as Markdown.

    Raises:
        UsageError: gin holds no study, or a wrong setting.
    """
    if not configuration.binds(DensityRatioStudy):
        raise UsageError(
            "the gin files bind no parameter of DensityRatioStudy; give --gin_file=gin/tables/density_ratio.gin"
        )
    study, classifier = configuration.make(DensityRatioStudy), configuration.make(RatioClassifier)
    runs = [
        _run_once(folder, study, classifier, mode, dimensions, seed)
        for mode in study.modes
        for dimensions in study.dimensions
        for seed in study.seeds
    ]
    return write_report(folder, runs)


def _run_once(
    folder: Path, study: DensityRatioStudy, classifier: RatioClassifier, mode: str, dimensions: int, seed: int
) -> StudyRun:
    """One run: from its file if the settings are the same, made and written otherwise."""
    settings = dataclasses.asdict(study) | {"classifier": dataclasses.asdict(classifier)}
    for name in ("dimensions", "seeds", "modes"):  # of the other runs
        del settings[name]
    del settings["classifier"]["steps"]
    path = folder / "runs" / f"{mode}-{dimensions}-seed{seed}.json"
    known = files.read_json(path)
    if isinstance(known, dict) and known.get("settings") == settings:
        return StudyRun(**known)
    began = time.perf_counter()
    curve = run(study, mode, dimensions, seed, classifier)
    result = StudyRun(mode, dimensions, seed, settings, round(time.perf_counter() - began, 1), curve)
    files.write_json(path, dataclasses.asdict(result))
    last = curve[-1]
    print(
        f"{mode}, {dimensions} dimensions, seed {seed}: known {format_nats(last['known'])}, estimate "
        f"{format_nats(last['estimate'])} nats after {last['step']:,} steps, {result.seconds} s",
        flush=True,
    )
    return result
