"""Evaluates a run, or images that other software made, and puts evaluations side by side."""

import argparse
from pathlib import Path

from launch import common
from launch.flags import TEMPERATURE, TRUST, Parser, readable, temperature, whole, writable, writable_folder

# The modes, and the flags that go with each.
MODES = {
    "run_dir": {"metrics", "num_samples", "seed", "temperature", "bound", "checkpoint", "gin_file", "gin_bindings"}
    | {"trust_imports", "out"},
    "images": {"reference", "metrics", "num_samples", "seed", "gin_file", "gin_bindings", "out"},
    "compare": {"out"},
}
NUM_SAMPLES = 10_000  # of a run, as in `evaluate_run`, whose module imports TensorFlow


def argument_parser() -> Parser:
    """The flags; those that were not given are absent from what it parses."""
    parser = Parser("evaluate", __doc__)
    flag = lambda name, help, **more: parser.add_argument(name, default=argparse.SUPPRESS, help=help, **more)  # noqa: E731
    flag("--run_dir", "evaluate this trained run", type=readable)
    flag("--images", "evaluate the images of a folder, an .npz or an .npy file, whatever made them", type=readable)
    flag("--reference", "data set that --images are compared with, such as digits, tfds:mnist or folder:PATH")
    flag("--compare", "put the evaluations of these runs side by side", type=readable, nargs="+", metavar="RUN")
    flag("--metrics", "comma-separated names, or all; by default the quick ones that apply")
    flag("--num_samples", f"samples to draw (default: {NUM_SAMPLES:,}; of --images all)", type=whole(2))
    flag("--temperature", f"{TEMPERATURE} (default: 1)", type=temperature)
    flag("--seed", "of the samples (default: 0)", type=whole(0))
    flag(
        "--bound",
        "fit an inference network to a model without a likelihood, such as a GAN",
        action="store_true",
    )
    flag("--trust_imports", TRUST, action="store_true")
    flag("--checkpoint", "'latest' (default), 'best', or the step of one that was kept")
    flag("--gin_file", "gin file that overrides the run's configuration, or names the reference data", action="append")
    flag(
        "--gin_bindings",
        "gin line that overrides the files, such as 'evaluate.extractor = @ItsName()'",
        action="append",
    )
    flag(
        "--out",
        "folder for an evaluation of --images, or of --run_dir in another place than the run's own, such as one for "
        "each --checkpoint; page for --compare (default: runs/…)",
        type=writable,
    )
    return parser


def main(arguments: list[str]) -> int | None:
    parser = argument_parser()
    given = vars(parser.parse_args(arguments))
    mode = _mode(parser, given)
    if mode == "compare":
        return _compare(parser, given)
    if mode == "images" and "reference" not in given and "gin_file" not in given:
        parser.error("--images needs --reference=DATA, the data set that they are compared with")
    if "out" in given:
        _check_out(parser, given["out"], given[mode])
    elif mode == "run_dir":
        try:
            writable_folder(str(given["run_dir"]))
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument --run_dir: {error}; --out=FOLDER puts the evaluation elsewhere")
    folder, report = (_run if mode == "run_dir" else _images)(given)
    print(f"\n{report.table()}\n\nnumbers: {folder / 'evaluation'}\nreport:  {folder / 'evaluation' / 'report.html'}")
    return common.exit_status(report)


def _mode(parser: Parser, given: dict) -> str:
    modes = [mode for mode in MODES if mode in given]
    if len(modes) != 1:
        parser.error("give exactly one of --run_dir=DIR, --images=FOLDER|FILE and --compare RUN RUN …")
    for name in given:
        if name not in MODES[modes[0]] | {modes[0]}:
            parser.error(f"argument --{name}: cannot be combined with --{modes[0]}")
    return modes[0]


def _check_out(parser: Parser, out: Path, evaluated: Path) -> None:
    if out.resolve() == evaluated.resolve():
        parser.error(f"argument --out: folder {str(out)!r} is the one that is evaluated; give another one")
    if (out / "config.gin").exists():
        parser.error(f"argument --out: folder {str(out)!r} is a run directory; give a folder of its own")
    if out.is_file():
        parser.error(f"argument --out: {str(out)!r} is a file; give a folder")


def _run(given: dict):
    """The run directory and the report of a run."""
    workspace = common.workspace()

    from tfade.workflows.evaluation import evaluate_run

    files, bindings = given.get("gin_file", []), given.get("gin_bindings", [])
    trusted = given.get("trust_imports", False)
    with workspace.open_run(given["run_dir"], given.get("checkpoint", "latest"), files, bindings, trusted) as run:
        wanted = ("metrics", "num_samples", "temperature", "seed", "bound", "out")
        report = evaluate_run(run, **{name: given[name] for name in wanted if name in given})
        return given.get("out", run.path), report


def _images(given: dict):
    """The folder and the report of external images."""
    path = given["images"]
    folder = given.get("out", Path("runs") / f"images-{path.resolve().parent.name}-{path.resolve().stem}")
    bindings = list(given.get("gin_bindings", []))
    if "reference" in given:
        bindings.append(f"data = {given['reference']!r}")
    typed = {**given, "out": folder}
    names = ("images", "reference", "gin_file", "gin_bindings", "out")
    workspace = common.workspace()

    from tfade.workflows.external_images import evaluate_images

    # Data files say `data = …` for a recipe to take it from there; here nothing else refers to it.
    with workspace.configured(given.get("gin_file", []), bindings, ["data = None", "Recipe.data = %data"]):
        return folder, evaluate_images(
            path,
            folder,
            metrics=given.get("metrics"),
            num_samples=given.get("num_samples"),
            seed=given.get("seed"),
            flags={name: typed[name] for name in names if name in typed},
            revision=workspace.revision,
        )


def _compare(parser: Parser, given: dict) -> int:
    out = given.get("out", Path("runs") / "compare.html")
    if out.suffix != ".html" or out.is_dir():
        parser.error(f"argument --out: {str(out)!r} is not an .html file, which a comparison is written to")
    common.workspace()

    from tfade.workflows.comparison import compare

    print(compare(given["compare"], out))
    print(f"\npage:     {out}\nmarkdown: {out.with_suffix('.md')}")
    return common.OK


if __name__ == "__main__":
    common.launch(main)
