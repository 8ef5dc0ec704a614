"""Evaluates a run, or images that other software made, and puts evaluations side by side."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from launch import common

# One of the first three says what is wanted; the others fit to some of them.
FITS = {
    "run_dir": {"metrics", "num_samples", "seed", "temperature", "bound", "checkpoint", "gin_file", "gin_bindings"},
    "images": {"reference", "metrics", "num_samples", "seed", "gin_file", "gin_bindings", "out"},
    "compare": {"out"},
}
NUM_SAMPLES = 10_000


def argument_parser() -> common.Parser:
    """The flags; those that were not given are absent from what it parses."""
    parser = common.Parser("evaluate", __doc__)
    flag = lambda name, help, **more: parser.add_argument(name, default=argparse.SUPPRESS, help=help, **more)  # noqa: E731
    flag("--run_dir", "evaluate this trained run")
    flag("--images", "evaluate the images of a folder, an .npz or an .npy file, whatever made them")
    flag("--reference", "data set that --images are held against, such as digits, tfds:mnist or folder:PATH")
    flag("--compare", "put the evaluations of these runs side by side", nargs="+", metavar="RUN")
    flag("--metrics", "names with commas between, or all; by default the quick ones that apply")
    flag("--num_samples", f"samples to draw (default: {NUM_SAMPLES:,}; of --images all)", type=common.whole(2))
    flag("--temperature", "factor on the prior's standard deviation (default: 1)", type=common.temperature)
    flag("--seed", "of the samples (default: 0)", type=common.whole(0))
    flag(
        "--bound",
        "fit an inference network to a model without a likelihood, such as a GAN",
        action="store_true",
    )
    flag("--checkpoint", "'latest' (default), 'best', or the step of one that was kept")
    flag("--gin_file", "gin file over the run's configuration, or of the reference data", action="append")
    flag("--gin_bindings", "gin line over the files, such as 'evaluate.extractor = @ItsName()'", action="append")
    flag("--out", "folder for an evaluation of --images; page for --compare (default: runs/…)")
    return parser


def main(arguments: list[str]) -> int | None:
    parser = argument_parser()
    given = vars(parser.parse_args(arguments))
    mode = _mode(parser, given)
    if mode == "compare":
        return _compare(parser, given)
    if mode == "images" and "reference" not in given and "gin_file" not in given:
        parser.error("--images needs --reference=DATA, the data set that they are held against")
    if mode == "images" and "out" in given:
        _check_out(parser, Path(given["out"]), Path(given["images"]))
    folder, report, page = (_run if mode == "run_dir" else _images)(given)
    print(f"\n{report.table()}\n\nnumbers: {folder / 'evaluation'}\nreport:  {page}")
    return common.told(report)


def _mode(parser: common.Parser, given: dict) -> str:
    modes = [mode for mode in FITS if mode in given]
    if len(modes) != 1:
        said = "no two of" if modes else "one of"
        parser.error(f"give {said} --run_dir=DIR, --images=FOLDER|FILE and --compare RUN RUN …")
    for name in given:
        if name not in FITS[modes[0]] | {modes[0]}:
            parser.error(f"argument --{name}: does not go with --{modes[0]}")
    return modes[0]


def _check_out(parser: common.Parser, out: Path, images: Path) -> None:
    if out.resolve() == images.resolve() or (out / "config.gin").exists():
        whose = "the run's own" if (out / "config.gin").exists() else "that of the images"
        parser.error(f"argument --out: folder {str(out)!r} is {whose}; give another one")
    if out.is_file():
        parser.error(f"argument --out: {str(out)!r} is a file; give a folder")


def _run(given: dict):
    run_dir, files, bindings = given["run_dir"], given.get("gin_file", []), given.get("gin_bindings", [])
    with common.opened(run_dir, bindings, given.get("checkpoint", "latest"), files) as (recipe, model):
        report = evaluate_run(
            Path(run_dir),
            model,
            recipe,
            metrics=given.get("metrics"),
            num_samples=given.get("num_samples", NUM_SAMPLES),
            temperature=given.get("temperature", 1.0),
            seed=given.get("seed", 0),
            bound=given.get("bound", False),
            settings=_flags(given, "gin_file", "gin_bindings"),
        )
    return Path(run_dir), report, Path(run_dir) / "evaluation" / "report.html"


def evaluate_run(
    run_dir: Path,
    model,
    recipe,
    *,
    metrics: str | None = None,
    num_samples: int = NUM_SAMPLES,
    temperature: float = 1.0,
    seed: int = 0,
    bound: bool = False,
    extractor=None,
    settings: Sequence[str] = (),
):
    """Evaluates an opened run on the test split; writes evaluation/<metric>.json and evaluation/report.html.

    Args:
        run_dir: the run directory.
        model, recipe: what `common.opened` gives.
        metrics: names with commas between, or None for those that gin binds to `evaluate`, the quick ones by default.
        num_samples, temperature, seed: of `Subject`.
        bound: whether a model without a likelihood gets that of an inference network around its generator.
        extractor: the feature network of sample metrics; None for what gin binds to `evaluate.extractor`, by default
            the classifier.
        settings: the gin flags that this evaluation was made with, for the record.

    Returns:
        The report.
    """
    from tfade import data
    from tfade.evaluation import Subject
    from tfade.evaluation.features.classifier_cache import weights_fingerprint
    from tfade.training.inference_bound import inference_bound

    subject = Subject(
        model,
        real=data.load(recipe.data, "test"),
        train=data.load(recipe.data, "train"),
        validation=data.load_if_there(recipe.data, "validation"),
        cache_dir=common.CACHE / "classifiers",
        fit_bound=inference_bound if bound else None,
        num_samples=num_samples,
        temperature=temperature,
        seed=seed,
    )
    state = model.state()
    origin = {
        "model": type(model).__name__,
        "checkpoint": int(model.step.numpy()),
        "weights": weights_fingerprint([state[name].numpy() for name in sorted(state)]),
    }
    sampling = {"num_samples": num_samples, "temperature": temperature, "seed": seed, "bound": bound}
    defaults = {"num_samples": NUM_SAMPLES, "temperature": 1.0, "seed": 0, "bound": False}
    changed = {name: value for name, value in sampling.items() if value != defaults[name]}
    origin |= {"base": [f"--run_dir={run_dir}"], "settings": [*_flags(changed, *changed), *settings]}
    return _evaluated(run_dir, subject, metrics, origin, extractor)


def _images(given: dict):
    common.import_configurables()

    from tfade import data
    from tfade.evaluation import Subject, read_foreign, select
    from tfade.evaluation.external_images import lossy_files
    from tfade.files import write_text
    from tfade.training import configuration

    path = Path(given["images"])
    folder = Path(given.get("out") or Path("runs") / f"images-{path.resolve().parent.name}-{path.resolve().stem}")
    real, train = _reference(given)
    select(given.get("metrics"))  # a wrong name is found before the images are read
    seed = given.get("seed", 0)
    images = read_foreign(path, real.spec.shape, given.get("num_samples"), seed)
    if lossy := lossy_files(path):
        print(f"note: {lossy:,} files are JPEG or WebP; their compression shifts the numbers, so save PNG or an array")
    count, cache_dir = len(images.images), common.CACHE / "classifiers"
    subject = Subject(
        images,
        real=real,
        train=train,
        validation=data.load_if_there(configuration.value("data"), "validation"),
        num_samples=count,
        seed=seed,
        cache_dir=cache_dir,
    )
    origin = {
        "images": str(path),
        "num_images": count,
        "weights": images.fingerprint,
        "base": _flags({**given, "out": folder}, "images", "reference", "gin_file", "gin_bindings", "out"),
        "settings": _flags(given, "num_samples", "seed"),
    }
    write_text(folder / "reference.gin", configuration.text())
    report = _evaluated(folder, subject, given.get("metrics"), origin)
    return folder, report, folder / "evaluation" / "report.html"


def _reference(given: dict):
    """The test and the training split of the data that foreign images are held against."""
    bindings = list(given.get("gin_bindings", []))
    if "reference" in given:
        bindings.append(f"data = {given['reference']!r}")
    # Data files say `data = …` for a recipe to take it from there; here nothing else refers to it.
    common.configure(given.get("gin_file", []), bindings, defaults=["data = None", "Recipe.data = %data"])

    from tfade import data
    from tfade.errors import UsageError
    from tfade.training import configuration

    name = configuration.value("data")
    if name is None:
        raise UsageError("no data set to hold the images against; give --reference=DATA")
    real, train = data.load(name, "test"), data.load(name, "train")
    if not real.spec.is_image:
        raise UsageError(f"reference={name!r} are vectors of shape {list(real.spec.shape)}; give a set of images")
    return real, train


def _evaluated(folder: Path, subject, metrics: str | None, origin: dict, extractor=None):
    """The report of a subject, each metric saved as soon as it is there, and the page of all that is known so far."""
    from tfade.evaluation import Pictures, evaluate, select
    from tfade.reporting.evaluation_report import write_report
    from tfade.training.configuration import make

    chosen = {}
    if metrics is not None:
        chosen["metrics"] = select(metrics)
        if not any(isinstance(metric, Pictures) for metric in chosen["metrics"]):
            chosen["metrics"].append(make(Pictures))  # who looks at numbers wants to see what they are of
    if extractor is not None:
        chosen["extractor"] = extractor
    named = [f"--metrics={metrics}"] if metrics is not None else []
    command = shlex.join(["python", "-m", "launch.evaluate", *origin["base"], *named, *origin["settings"]])
    origin = {**origin, "command": command, "versions": common.versions(), "revision": common.revision()}
    report = evaluate(subject, origin=origin, finished=lambda record: record.save(folder / "evaluation"), **chosen)
    write_report(folder, origin)
    return report


def _compare(parser: common.Parser, given: dict) -> int:
    out = Path(given.get("out", "runs/compare.html"))
    if out.suffix != ".html":
        parser.error(f"argument --out: {given['out']!r} is no .html file, which a comparison is written to")
    common.import_configurables()

    from tfade.reporting.comparison import compare

    print(compare([Path(run) for run in given["compare"]], out))
    print(f"\npage:     {out}\nmarkdown: {out.with_suffix('.md')}")
    return common.OK


def _flags(given: dict, *names: str) -> list[str]:
    """Flags as they are typed, of those names that were given."""
    said = []
    for name in names:
        values = given.get(name, [])
        for value in values if isinstance(values, list) else [values]:
            said.append(f"--{name}" if value is True else f"--{name}={value}")
    return said


if __name__ == "__main__":
    common.launch(main)
