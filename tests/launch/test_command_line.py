"""What a user can get wrong: one clear line, exit status 2, nothing written, nothing lost."""

import json
import re
import socket
import subprocess
import sys

import gin
import numpy as np
import pytest
from PIL import Image

from launch import benchmark, common, evaluate, export, jacobian, sample, train
from tests.helpers import PLAYERS, RECIPE, ROOT, TINY, fails, run, train_arguments, train_here

LAUNCHERS = ("train", "evaluate", "sample", "export", "jacobian", "ablation", "benchmark", "density_ratio")


@pytest.mark.parametrize("name", LAUNCHERS)
def test_help_answers_without_tensorflow(name):
    code = (
        "import sys, runpy; sys.argv = ['x', '--help']\n"
        "try: runpy.run_module('launch.%s', run_name='__main__')\n"
        "except SystemExit as e: status = e.code\n"
        "sys.exit(status or ('tensorflow' in sys.modules) or ('keras' in sys.modules))" % name
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert f"python -m launch.{name}" in result.stdout
    assert not re.search(r"default: (None|False|\[\])", " ".join(result.stdout.split()))


@pytest.mark.parametrize("launcher", [evaluate, jacobian, sample])
def test_help_relates_the_temperature_to_the_tempered_density(launcher, capsys):
    with pytest.raises(SystemExit):
        launcher.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--temperature TEMPERATURE T, factor on the prior's standard deviation: √τ for samples of p^(1/τ)" in said
    assert "approximation (default: 1" in said


@pytest.mark.parametrize(
    ("bindings", "words"),
    [
        (["VGHPlusPlus.encoder_wight = 3"], ["encoder_wight"]),
        (["VGHPlusPls.encoder_weight = 3"], ["VGHPlusPls"]),
        (["stpes = 3"], ["stpes", "'steps'"]),
        (["steps = "], ["gin configuration"]),
        (["steps = 0"], ["steps=0"]),
        (["steps = 'many'"], ["steps='many'"]),
        (["batch_size = 4096"], ["batch_size=4096", "200"]),
        (["data = 'colour_digits'"], ["colour_digits", "color_digits"]),
        (["data = 'tfds:mnist'", "load.download = False", "load.data_dir = 'DIR/none'"], ["tfds", "mnist", "data_dir"]),
        (["load.image_size = 17"], ["image_shape=(17, 17, 3)", "load.image_size"]),
        (["Recipe.devices = 16"], ["devices=16", "found"]),
        (["Recipe.precision = 'float8'"], ["precision='float8'"]),
        (["VGHPlusPlus.encoder_weight = -1.0"], ["encoder_weight=-1.0"]),
        (["adam.learning_rate = -1.0"], ["learning_rate=-1.0"]),
        (["Optimization.schedule = (('encodr',),)"], ["encodr", "discriminator"]),
        (["Optimization.average_decay = {'generatr': 0.9}"], ["generatr"]),
        (["Optimization.average_decay = 0.9"], ["average_decay=0.9", "dictionary"]),
        (["CheckpointSettings.keep = 0"], ["keep=0"]),
        (["CheckpointSettings.monitor = 'validation/reconstrction'"], ["reconstrction", "validation/reconstruction"]),
        (["discriminatr/adam.learning_rate = 1e-5"], ["discriminatr/adam", "discriminator"]),
        (["adam.learning_rate = '2e-4'"], ["learning_rate='2e-4'"]),
        (["Recipe.model = 'VGH'"], ["Recipe.model='VGH'", "@"]),
        (["Recipe.model = @DCGANEncoder"], ["DCGANEncoder", "is not the class of a model"]),
        (["Recipe.model = @adam"], ["Recipe.model=", "is not the class of a model"]),
        (["data = 3"], ["data=3", "quotes"]),
        (["data = None"], ["data=None", "quotes"]),
        (["import nothere"], ["No module named 'nothere'"]),
        (["from __gin__ import dynamic_registration"], ["dynamic registration is not supported"]),
        (["steps = %steps"], ["a name refers to itself"]),
        (["seed = 5000000000"], ["seed=5000000000"]),
        (["data = 'toy:ring'"], ["image_shape=(2,)"]),
        (["Visualisation.samples = -1"], ["Visualisation.samples=-1"]),
    ],
)
def test_wrong_configurations(tmp_path, capsys, bindings, words):
    bindings = [binding.replace("DIR", str(tmp_path)) for binding in bindings]
    fails(capsys, train.main, train_arguments(tmp_path / "run", *bindings, files=PLAYERS), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"include 'nothere.gin'\n", ["nothere.gin", "file.gin"]),
        (b"include 'FILE'\n", ["includes itself"]),
        (b"import nothere\n", ["nothere", "file.gin"]),
        (b"from __gin__ import dynamic_registration\nimport os\nx = @os.getcwd()\n", ["dynamic registration"]),
        ("# Größe\n".encode("latin-1"), ["file.gin", "UTF-8"]),
        (b"\x00\x01\x02", ["file.gin", "null characters"]),
        (b"steps = %nothing\n", ["'nothing"]),
    ],
    ids=["include", "circle", "import", "dynamic", "encoding", "binary", "macro"],
)
def test_gin_files_that_cannot_be_read(tmp_path, capsys, content, words):
    file = tmp_path / "file.gin"
    file.write_bytes(content.replace(b"FILE", str(file).encode()))
    error = fails(capsys, train.main, train_arguments(tmp_path / "run", files=[RECIPE, TINY, file]), *words)
    assert len(error) < 1000
    assert not (tmp_path / "run").exists()


def test_a_recipe_without_its_names(tmp_path, capsys):
    (tmp_path / "bare.gin").write_text("include 'gin/fragments/run.gin'\nRecipe.model = @VGH\ndata = 'digits'\n")
    arguments = [f"--gin_file={tmp_path / 'bare.gin'}", f"--run_dir={tmp_path / 'run'}", "--train_only"]
    fails(capsys, train.main, arguments, "steps")
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("eager")
def test_bindings_that_do_nothing_are_pointed_out(tmp_path, capsys):
    """A model that is not trained, and what the model itself passes to its decoder."""
    lines = ("VGH.encoder_weight = 50.0", "DCGANGenerator.latent_size = 7")
    assert train_here(tmp_path / "run", *lines, "steps = 1", "Visualisation.samples = 0") == 0
    printed = capsys.readouterr().out
    for line in lines:
        assert f"note: {line.partition(' ')[0]} is bound and not used by this run" in printed
    assert "DCGANGenerator.width" not in printed


def test_wrong_flags(tmp_path, capsys):
    fails(capsys, train.main, ["--gin_fle=x"], "--gin_fle")
    fails(capsys, train.main, [], "--gin_file is missing")
    fails(
        capsys,
        train.main,
        train_arguments(tmp_path / "run", files=["gin/vgh_pq.gin"]),
        "gin/vgh_pq.gin",
        "does not exist",
    )
    fails(capsys, evaluate.main, [f"--run_dir={tmp_path}"], "holds no run")
    fails(capsys, sample.main, [f"--run_dir={tmp_path}", "--out=x.jpg"], "x.jpg")
    fails(capsys, sample.main, [f"--run_dir={tmp_path}", "--out=x.png", "--num_samples=0"], "num_samples", "'0'")
    fails(capsys, export.main, [f"--run_dir={tmp_path / 'no'}", "--out=x"], "holds no run")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def folder(tmp_path):
    """A folder of 30 small colour images in two classes."""
    generator = np.random.default_rng(0)
    for index in range(30):
        path = tmp_path / "images" / "ab"[index % 2] / f"{index:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    return tmp_path / "images"


def test_a_folder_with_damaged_images(tmp_path, folder, capsys):
    arguments = train_arguments(tmp_path / "run", f"data = 'folder:{folder}'", "load.carve = None")
    for name in ("a/00.jpg", "b/07.jpg"):
        (folder / name).write_bytes((folder / name).read_bytes()[:50])
    fails(capsys, train.main, arguments, "00.jpg", "07.jpg")
    Image.new("RGB", (400, 400)).save(folder / "a" / "00.jpg")
    (folder / "b" / "07.jpg").unlink()
    fails(capsys, train.main, [*arguments, "--gin_bindings=load.max_pixels = 100000"], "00.jpg", "max_pixels")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((20, 16, 16, 3), np.nan, np.float32), ["NaN"]),
        (np.zeros((20, 16), np.uint8), ["shape"]),
        (np.zeros((20, 3, 16, 16), np.uint8), ["[N, C, H, W]"]),
        (np.full((20, 16, 16, 3), 200.0, np.float32), ["[0, 1]"]),
        (np.array([{"a": 1}] * 20, object), ["pickle"]),
    ],
    ids=["nan", "rank", "nchw", "range", "pickled"],
)
def test_arrays_that_are_no_images(tmp_path, capsys, array, words):
    np.savez(tmp_path / "data.npz", images=array)
    error = fails(
        capsys, train.main, train_arguments(tmp_path / "run", f"data = 'npz:{tmp_path / 'data.npz'}'"), "data.npz"
    )
    assert any(word.lower() in error.lower() for word in words), error
    assert not (tmp_path / "run").exists()


def test_the_whole_way_from_training_to_export(tmp_path, capsys, monkeypatch):
    """Train, evaluate, sample and export a small run, with the files and lines that the README promises; offline."""
    from tfade.workflows import training

    shown, write_overview = [], training.write_overview
    monkeypatch.setattr(training, "write_overview", lambda *given: shown.append(given[1]) or write_overview(*given))
    monkeypatch.setattr(common, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network is used"))
    folder = tmp_path / "run"
    files = (ROOT / "gin" / "aae.gin", TINY)
    arguments = [a for a in train_arguments(folder, "train_classifier.steps = 30", files=files) if a != "--train_only"]
    assert run(train.main, arguments) == 0
    printed = capsys.readouterr().out
    for line in (
        "mode coverage",
        "mode divergence",
        f"picture:     {folder}/samples/overview.png",
        f"export:      {folder}/export",
    ):
        assert line in printed
    for name in ("config.gin", "environment.json", "history.csv", "export/saved_model.pb", "samples/overview.png"):
        assert (folder / name).is_file(), name
    assert {path.stem for path in (folder / "evaluation").glob("*.json")} >= {"mode_coverage", "reconstruction_error"}
    assert [source.spec.split for source in shown] == ["test"]
    assert list((folder / "logs").glob("events*"))
    assert list((folder / "checkpoints").glob("step-*.npz"))
    assert "library" in json.loads((folder / "environment.json").read_text())["kernels"]

    assert run(evaluate.main, [f"--run_dir={folder}", "--metrics=mode_coverage", "--num_samples=50"]) == 0
    assert "mode coverage" in capsys.readouterr().out
    fails(capsys, evaluate.main, [f"--run_dir={folder}", "--metrics=mode_covrage"], "mode_covrage", "mode_coverage")

    for out in ("a.npz", "b.npz"):
        assert run(sample.main, [f"--run_dir={folder}", f"--out={tmp_path / out}", "--num_samples=7", "--seed=5"]) == 0
    first, second = (np.load(tmp_path / out)["images"] for out in ("a.npz", "b.npz"))
    assert first.shape == (7, 16, 16, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    assert run(sample.main, [f"--run_dir={folder}", f"--out={tmp_path / 'folder'}", "--num_samples=3", "--seed=5"]) == 0
    pictures = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "folder").iterdir())]
    np.testing.assert_array_equal(pictures, first[:3])
    assert run(sample.main, [f"--run_dir={folder}", f"--out={tmp_path / 'grid.png'}", "--channels"]) == 0
    assert Image.open(tmp_path / "grid.png").size[0] >= 512
    fails(capsys, sample.main, [f"--run_dir={folder}", f"--out={tmp_path / 'folder'}"], "not empty")
    assert run(export.main, [f"--run_dir={folder}", f"--out={tmp_path / 'served'}"]) == 0
    fails(capsys, export.main, [f"--run_dir={folder}", f"--out={tmp_path / 'folder'}"], "which no export wrote")
    fails(
        capsys,
        sample.main,
        [f"--run_dir={folder}", f"--out={tmp_path / 'x.png'}", "--checkpoint=7"],
        "checkpoint='7'",
        "available are latest, 3, 6",
    )


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with another checkout's fragments, which are to play no part."""
    fragments = tmp_path / "gin" / "fragments"
    fragments.mkdir(parents=True)
    (fragments / "run.gin").write_text("no gin at all (")
    return tmp_path


def test_recipes_are_read_from_any_folder(elsewhere, monkeypatch):
    monkeypatch.chdir(elsewhere)
    with common.workspace().configured([RECIPE, TINY], ["steps = 1"]):
        assert gin.query_parameter("steps/macro.value") == 1
        assert gin.query_parameter("Recipe.interval") == 3


@pytest.mark.full("a process of its own; the test above reads the recipe")
def test_recipes_run_from_any_folder(elsewhere):
    """In an environment without any variable of the caller's."""
    flags = [f"--gin_file={RECIPE}", f"--gin_file={TINY}", "--train_only"]
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "launch.train",
            *flags,
            "--gin_bindings=steps = 1",
            "--gin_bindings=Visualisation.samples = 0",
        ],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "HOME": str(elsewhere)},
    )
    assert process.returncode == 0, process.stderr
    assert (elsewhere / "runs" / "vae" / "config.gin").is_file()


@pytest.mark.full("what is timed is tested in test_benchmarks.py")
def test_the_benchmark_prints_its_figures(capsys):
    assert run(benchmark.main, [*(f"--gin_file={file}" for file in PLAYERS), "--steps=10"]) == 0
    printed = capsys.readouterr().out
    for figure in (
        "step / hand-written step",
        "waiting for data",
        "guard / step",
        "fit / bare step",
        "images per second",
    ):
        line = next(line for line in printed.splitlines() if figure in line)
        assert float(line.removeprefix(figure).split()[-2 if "images" not in figure else -1]) > 0


def test_what_the_benchmark_cannot_do(capsys):
    fails(capsys, benchmark.main, ["--part=ade", "--gin_bindings=steps = 3"], "apply to --part=step only")
    fails(capsys, benchmark.main, [f"--gin_file={ROOT / 'gin' / 'vgh.gin'}", f"--gin_file={TINY}"], "Recipe.model=VGH")
