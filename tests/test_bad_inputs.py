"""Two hundred bad inputs through one harness: one line, status 2, the input and its value named, a remedy, nothing written.

Over all launchers: flags, gin lines, and constructor arguments that gin binds. What needs files of its own, such as
damaged runs, images and arrays, is in the tests of these.
"""

import re

import pytest

from launch import ablation, benchmark, density_ratio, evaluate, export, jacobian, sample, train
from tests.helpers import ROOT, TINY, fails

VAE = [f"--gin_file={ROOT / 'gin' / 'vae.gin'}", f"--gin_file={TINY}"]
TABLE = [f"--gin_file={ROOT / 'gin' / 'tables' / 'ade_table1.gin'}"]
STUDY = [f"--gin_file={ROOT / 'gin' / 'tables' / 'density_ratio.gin'}"]
SAMPLE = ["--run_dir=none", "--out=x.png"]
REMEDY = re.compile(
    r"must be|\bgive\b|\buse\b|\bwrite\b|\bsee\b|did you mean|is not|is neither|is unknown|\bneeds?\b|are missing|required|"
    r"leave|No module|No configurable|nothing uses|Unable to parse|Expected|Couldn't parse|train one|apply to --part|exactly one of|"
    r"in gin|it takes|\bset\b|is usual|largest|the networks are|in use"
)
WHOLE = ("0", "-1", "1.5", "x", "", "10000000000000000000000000", "1e3", "nan")
FROM_0 = tuple(value for value in WHOLE if value != "0")
TEMPERATURE = ("-1", "nan", "inf", "x", "")

FLAGS = {  # launcher → what it needs, and each flag's wrong values
    "sample": (
        sample.main,
        SAMPLE,
        {"num_samples": WHOLE, "seed": FROM_0, "temperature": TEMPERATURE, "label": FROM_0},
    ),
    "evaluate": (
        evaluate.main,
        ["--run_dir=none"],
        {"num_samples": (*WHOLE, "1"), "seed": FROM_0, "temperature": TEMPERATURE},
    ),
    "jacobian": (
        jacobian.main,
        ["--run_dir=none", "--out=x"],
        {"num_codes": WHOLE, "seed": FROM_0, "temperature": TEMPERATURE, "label": FROM_0},
    ),
    "ablation": (ablation.main, TABLE, {"num_samples": (*WHOLE, "1")}),
    "benchmark": (benchmark.main, [], {"steps": (*WHOLE, "9"), "threads": WHOLE, "part": ("", "x", "STEP")}),
}
NEEDED = [  # launcher, arguments, what is missing or too much
    (train.main, [], "gin_file"),
    (train.main, ["--gin_fle=x"], "gin_fle"),
    (train.main, ["--gin_file=nothere.gin"], "nothere.gin"),
    (train.main, ["--gin_file="], "gin_file"),
    (train.main, [*VAE, "--train_onl"], "train_onl"),
    (sample.main, ["--out=x.png"], "run_dir"),
    (sample.main, ["--run_dir=none"], "out"),
    (sample.main, SAMPLE, "none"),
    (sample.main, ["--run_dir=none", "--out=x.jpg"], "x.jpg"),
    (export.main, ["--out=x"], "run_dir"),
    (export.main, ["--run_dir=none"], "out"),
    (export.main, ["--run_dir=none", "--out=x"], "none"),
    (jacobian.main, ["--run_dir=none"], "out"),
    (jacobian.main, ["--run_dir=none", "--out=x"], "none"),
    (evaluate.main, [], "run_dir"),
    (evaluate.main, ["--run_dir=none"], "none"),
    (evaluate.main, ["--images=x"], "reference"),
    (evaluate.main, ["--reference=digits"], "images"),
    (evaluate.main, ["--images=none", "--reference=digits"], "none"),
    (evaluate.main, ["--images=none", "--run_dir=none"], "run_dir"),
    (evaluate.main, ["--compare"], "compare"),
    (ablation.main, [], "gin_file"),
    (ablation.main, ["--gin_file=nothere.gin"], "nothere.gin"),
    (ablation.main, VAE, "vae.gin"),
    (density_ratio.main, ["--out=x"], "gin_file"),
    (density_ratio.main, STUDY, "out"),
    (density_ratio.main, ["--gin_file=nothere.gin", "--out=x"], "nothere.gin"),
    (benchmark.main, ["--part=ade", "--gin_bindings=steps = 3"], "part"),
    (benchmark.main, ["--gin_file=nothere.gin"], "nothere.gin"),
    (train.main, STUDY, "Recipe"),
]
LINES = [  # of gin, and what the error names
    *(("steps", value) for value in ("0", "-1", "1.5", "'x'", "None", "True", "(1, 2)", "[]", "{}", "1e400", "x", "")),
    *(("batch_size", value) for value in ("0", "-1", "1.5", "'x'", "None", "True", "1000000", "(1, 2)")),
    *(("seed", value) for value in ("-1", "1.5", "'x'", "None", "5000000000", "True")),
    *(
        ("data", value)
        for value in ("3", "None", "''", "'x'", "'folder:'", "'folder:nothere'", "'npz:nothere.npz'", "digits")
    ),
    *(("data", value) for value in ("'toy:nothere'", "'npy:nothere.npy'", "folder:/x", "/x", "('a', 'b')", "'tfds:'")),
    *(("Recipe.interval", value) for value in ("0", "'x'", "None", "1.5")),
    *(("Recipe.devices", value) for value in ("0", "-1", "99", "'x'")),
    *(("Recipe.precision", value) for value in ("'float8'", "3", "None")),
    *(("Recipe.strategy", value) for value in ("'x'", "3")),
    *(("Recipe.stages", value) for value in ("3", "'x'", "(3,)")),
    *(("Recipe.model", value) for value in ("'VAE'", "3", "None", "@DCGANEncoder", "@adam", "@VAE()")),
    *(("load.image_size", value) for value in ("0", "-1", "'x'", "1.5", "17")),
    *(("load.crop", value) for value in ("0", "'x'", "99")),
    *(("CheckpointSettings.keep", value) for value in ("0", "'x'", "None")),
    *(("CheckpointSettings.monitor", value) for value in ("'nothere'", "3")),
    *(("Visualisation.samples", value) for value in ("-1", "'x'", "None")),
    *(("Optimization.clip_norm", value) for value in ("0", "-1.0", "'x'", "1e400")),
    *(("Optimization.average_decay", value) for value in ("0.9", "'x'", "{'nothere': 0.9}", "{'encoder': 2.0}")),
    *(("Optimization.jit_compile", value) for value in ("'x'", "None", "3")),
    *(("VAE.latent_size", value) for value in ("0", "-1", "1.5", "'x'", "None", "True", "(1, 2)", "1000000000000")),
    *(("VAE.kl_weight", value) for value in ("-1.0", "'x'", "None", "1e400")),
    *(("VAE.encoder", value) for value in ("3", "None", "'x'", "@R1()")),
    *(("VAE.posterior", value) for value in ("3", "None", "@DCGANEncoder")),
    *(("DCGANEncoder.width", value) for value in ("0", "1.5", "'x'", "None", "True")),
    *(("DCGANGenerator.kernel_size", value) for value in ("0", "'x'")),
    *(("DiagonalNormal.scale_range", value) for value in ("3", "(1.0,)", "(2.0, 1.0)")),
    *(("LinearDecay.initial", value) for value in ("0", "-1.0", "'x'", "1e400")),
    *(("autoencoder/adam.beta_1", value) for value in ("1", "-0.5", "'x'", "None")),
    *(("autoencodr/adam.beta_1", value) for value in ("0.5",)),
    *(("VAE.latent_sise", "3"), ("VAEE.latent_size", "3"), ("stpes", "3")),
]


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    yield
    assert not list(tmp_path.iterdir())


def refused(capsys, main, arguments, *words) -> None:
    """The harness."""
    error = fails(capsys, main, arguments, *words)
    assert REMEDY.search(error), error
    assert len(error) < 1500, error


@pytest.mark.parametrize(
    ("launcher", "flag", "value"),
    [(name, flag, value) for name, (*_, flags) in FLAGS.items() for flag, values in flags.items() for value in values],
)
def test_flags(capsys, launcher, flag, value):
    main, needed, _ = FLAGS[launcher]
    refused(capsys, main, [*needed, f"--{flag}={value}"], f"--{flag}", repr(value))


@pytest.mark.parametrize(
    ("main", "arguments", "word"),
    NEEDED,
    ids=[f"{main.__module__.rpartition('.')[2]}-{place}-{word}" for place, (main, _, word) in enumerate(NEEDED)],
)
def test_flags_that_are_missing_or_too_many(capsys, main, arguments, word):
    refused(capsys, main, arguments, word)


@pytest.mark.every(2)
@pytest.mark.parametrize(("name", "value"), LINES)
def test_gin_lines_and_constructor_arguments(capsys, name, value):
    argument, literal = name.rpartition(".")[2], value.strip("@()'{}").replace("1e400", "inf")
    words = {"autoencodr/adam.beta_1": ["autoencodr"], "stpes": ["stpes"]}.get(
        name, [argument, literal.split(":")[0].strip("'")]
    )
    refused(capsys, train.main, [*VAE, f"--gin_bindings={name} = {value}", "--train_only"], *words)


def test_there_are_two_hundred():
    flags = sum(len(values) for *_, flags in FLAGS.values() for values in flags.values())
    assert flags + len(NEEDED) + len(LINES) >= 200
