"""The ablation command: every row trained and evaluated by one protocol, resumable, and its table."""

import json
import shutil

import gin
import pytest

from launch import ablation, common, train
from tests.helpers import ROOT, TINY, assert_same_state, eagerly, fails, newest_state, run
from tfade.errors import UsageError
from tfade.locks import directory_lock
from tfade.training import configuration
from tfade.training.isolation import isolated
from tfade.training.recipe import Recipe
from tfade.workflows import ablation_command, ablation_runs
from tfade.workflows.ablation_command import LOCK, read_table

TABLE = ROOT / "gin" / "tables" / "ade_table1.gin"
SMALL = (
    "steps = 2",
    "Visualisation.samples = 0",
    "Ablation.rows = (@gan/Row(), @av_gde/Row())",
    "Ablation.evaluation = ('inference_bound.steps = 2', 'inference_bound.batch_size = 8', 'train_classifier.steps = 3')",
)
pytestmark = pytest.mark.usefixtures("eager")  # every run has its own step: tracing is most of these tests' time


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A classifier of three steps, trained once."""
    monkeypatch.setattr(common, "CACHE", tmp_path_factory.getbasetemp() / "ablation_cache")


def arguments(folder, *bindings):
    flags = [f"--gin_file={TABLE}", f"--gin_file={TINY}", f"--run_dir={folder}", "--num_samples=50"]
    return flags + [f"--gin_bindings={line}" for line in (*SMALL, *bindings)]


ONE_SEED = "Ablation.seeds = (0,)"
GAN_ALONE = ("Ablation.rows = (@gan/Row(),)", ONE_SEED)
BOUND = "Ablation.metrics = ('likelihood',)"
DISTANCE = "Ablation.metrics = ('classifier_frechet_distance',)"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A table of two rows whose second was added when the first was finished; and when the first one's results came."""
    folder = tmp_path_factory.mktemp("table")
    with pytest.MonkeyPatch.context() as patch, eagerly():
        patch.setattr(common, "CACHE", tmp_path_factory.getbasetemp() / "ablation_cache")
        assert run(ablation.main, arguments(folder, *GAN_ALONE)) == 0
        written = (folder / "gan-seed0" / "ablation.json").stat().st_mtime_ns
        assert run(ablation.main, arguments(folder, ONE_SEED)) == 0
    return folder, written


@pytest.fixture
def begun(finished, tmp_path):
    """A copy of that table's folder."""
    return shutil.copytree(finished[0], tmp_path / "begun")


def test_finished_rows_are_not_repeated(finished):
    folder, written = finished
    assert (folder / "gan-seed0" / "ablation.json").stat().st_mtime_ns == written
    table = (folder / "table.md").read_text()
    lines = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    assert "[7.0]" in lines["GAN"]
    assert lines["GAN"].split("|")[2].strip().startswith("[")
    assert not lines["AV-GDE"].split("|")[2].strip().startswith("[")
    assert lines["AV-GDE"].split("|")[-4].strip() == "4.4"
    page = (folder / "table.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    results = json.loads((folder / "av_gde-seed0" / "ablation.json").read_text())["results"]
    assert {"bits_per_dim", "classifier_frechet_distance", "mean_absolute_error"} <= {
        result["name"] for result in results
    }


@pytest.mark.full("a table of images and a run of vectors are tested apart")
def test_a_table_of_vectors(tmp_path):
    """Modes of the ring by two rows; samples are shown as points."""
    rows = "Ablation.rows = (@veegan/Row(), @gan/Row())"
    lines = (rows, "Ablation.seeds = (0,)", "steps = 1", "batch_size = 8", "Visualisation.samples = 0")
    table = ROOT / "gin" / "tables" / "mode_collapse.gin"
    flags = [f"--gin_file={table}", f"--run_dir={tmp_path}"]
    assert run(ablation.main, [*flags, *(f"--gin_bindings={line}" for line in lines)]) == 0
    text = (tmp_path / "table.md").read_text()
    assert "2,500 samples" in text
    header = next(line for line in text.splitlines() if "mode coverage" in line)
    assert "high quality share" in header
    assert "paper: ring: modes" in header
    assert "bits/dim" not in text
    assert (tmp_path / "table.html").read_text().count("data:image/png;base64,") == 2


def test_a_missing_table_and_wrong_names_are_rejected(tmp_path, capsys):
    with pytest.raises(SystemExit) as status:
        run(ablation.main, [f"--run_dir={tmp_path}"])
    assert status.value.code == 2
    assert run(ablation.main, ["--gin_file=gin/nowhere.gin"]) == 2
    for seed in ("seed = 7", "seed=7", "Recipe.seed = 7"):
        with pytest.raises(SystemExit) as status:
            run(ablation.main, arguments(tmp_path, seed))
        assert status.value.code == 2
    assert "Ablation.seeds" in capsys.readouterr().err
    assert run(ablation.main, arguments(tmp_path, "Ablation.tolerance = 0.0001")) == 2
    assert "differ by" in capsys.readouterr().err
    assert not list(tmp_path.glob("*-seed*"))
    assert run(ablation.main, arguments(tmp_path, "Ablation.reference = 'Gan'")) == 2
    assert "Ablation.reference='Gan' is not a row; the rows are GAN, AV-GDE" in capsys.readouterr().err


@pytest.mark.full("the table after each of some runs that fail is tested below")
def test_a_row_that_diverges_does_not_stop_the_others(tmp_path, capsys):
    diverging = ("VAE.kl_weight = 1e38", ONE_SEED, DISTANCE)
    rows = "Ablation.rows = (@vae/Row(), @gan/Row())"
    flags = [flag for flag in arguments(tmp_path, *diverging) if "Ablation.rows" not in flag]
    assert run(ablation.main, [*flags, f"--gin_bindings={rows}"]) == 1
    table = (tmp_path / "table.md").read_text()
    assert "VAE, seed 0: " in table
    assert "1 of 2 runs" in table


def test_the_table_is_written_after_each_run(tmp_path, monkeypatch):
    """One run per row and seed; here none can be trained."""
    seen = []

    def fails(planned, revision):
        seen.append((planned.row, planned.seed, (tmp_path / "table.md").exists()))
        raise UsageError("not now")

    monkeypatch.setattr(ablation_command, "train_run", fails)
    assert run(ablation.main, arguments(tmp_path, GAN_ALONE[0])) == 1
    assert seen == [("GAN", 0, False), ("GAN", 1, True)]
    text = (tmp_path / "table.md").read_text()
    assert "GAN, seed 0: not now" in text
    assert "GAN, seed 1: not now" in text


@pytest.mark.full("as one whose training fails")
def test_a_row_whose_evaluation_fails_is_evaluated_again(begun, capsys):
    """It does not count as a finished row, and the command says so."""
    (begun / "gan-seed0" / "ablation.json").unlink()
    evaluation = "inference_bound.steps = 2", "inference_bound.batch_size = 8", "train_classifier.steps = 3"
    diverging = f"Ablation.evaluation = {(*evaluation, 'inference_bound.learning_rate = 1e30')}"
    flags = arguments(begun, *GAN_ALONE, BOUND)
    assert run(ablation.main, [*flags, f"--gin_bindings={diverging}"]) == 1
    assert "failed: likelihood: " in capsys.readouterr().out
    assert "GAN, seed 0: likelihood: " in (begun / "table.md").read_text()
    assert not (begun / "gan-seed0" / "ablation.json").exists()
    assert run(ablation.main, flags) == 0
    assert "0 of 1 runs" not in (begun / "table.md").read_text()
    assert "table.html" in capsys.readouterr().out


@pytest.mark.full("how they are sorted is tested with the workflow")
def test_bindings_of_the_evaluation_are_no_part_of_the_runs(begun):
    """They stand over the table's own, and other ones evaluate a trained row anew."""
    flags = arguments(begun, *GAN_ALONE, BOUND)
    weights = newest_state(begun / "gan-seed0")
    assert run(ablation.main, [*flags, "--gin_bindings=inference_bound.steps = 3"]) == 0
    assert "(steps 3, batch size 8," in (begun / "table.md").read_text()
    assert_same_state(newest_state(begun / "gan-seed0"), weights)
    (begun / "gan-seed0" / "ablation.json").write_text("[]")  # damaged: evaluated again
    assert run(ablation.main, flags) == 0
    assert "(steps 2, batch size 8," in (begun / "table.md").read_text()


def test_the_configuration_is_that_of_the_beginning(tmp_path, capsys):
    """A table's folder has one process; what a file says later is not seen."""
    table = read_table(common.workspace(), str(TABLE), ["Ablation.rows = (@gan/Row(),)"])
    over = tmp_path / "over.gin"
    over.write_text("GAN.latent_size = 6\n")
    runs, counts, _ = ablation_runs.plan_runs(common.workspace(), tmp_path / "t", table, [str(over)], [], [])
    assert [(run.row, run.seed, run.parameters) for run in runs] == [("GAN", seed, counts["GAN"]) for seed in (0, 1)]
    over.write_text("GAN.latent_size = 7\n")
    for planned in runs:
        with isolated(planned.configuration):
            assert gin.query_parameter("GAN.latent_size") == 6
            assert configuration.make(Recipe).seed == planned.seed
            with gin.unlock_config():
                gin.bind_parameter("GAN.latent_size", 8)
        with isolated(planned.configuration):
            assert gin.query_parameter("GAN.latent_size") == 6
    with directory_lock(tmp_path / "t", LOCK):
        assert run(ablation.main, arguments(tmp_path / "t")) == 2
    assert "in use by another process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("v_adee/Row.bindings = ('DCGANGenerator.width = 40',)", "no scope 'v_adee' is used, but v_adee/Row is bound"),
        ("x/Ablation.seeds = (3,)", "no scope 'x' is used, but x/Ablation is bound"),
        ("Ablation.evaluation = ('inference_bond.steps = 2',)", "inference_bond"),
        ("Ablation.seeds = 0", "Ablation.seeds=0; give at least one seed"),
        ("Ablation.seeds = (0, -1)", "Ablation.seeds=-1 must be an integer ≥ 0"),
        ("Ablation.rows = (@gan/Row,)", "with parentheses"),
        ("gan/Row.bindings = ('GAN.latent_size = 3')", "Row.bindings of GAN='GAN.latent_size = 3' is not a sequence"),
        ("Ablation.tolerance = 1.5", "Ablation.tolerance=1.5 is not a fraction in [0, 1)"),
        ("gan/Row.name = 3", "Row.name=3 is not a string"),
        ("data = 'toy:moons'", "image_shape=(2,) does not suit the DCGAN networks"),
        ("gan/Row.gin_files = ('gin/nowhere.gin',)", "nowhere.gin' does not exist"),
        ("GAN.latent_sise = 3", "latent_sise"),
        ("inference_bound.stepz = 3", "stepz"),
        ("Ablation.metrics = ('likelyhood',)", "did you mean likelihood"),
        ("Ablation.metrics = ()", "Ablation.metrics=() is empty"),
    ],
)
def test_mistakes_are_found_before_anything_is_trained(tmp_path, capsys, line, message):
    assert run(ablation.main, arguments(tmp_path / "t", line)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.glob("t/*-seed*"))


def test_errors_name_the_right_launcher(tmp_path, capsys):
    assert run(ablation.main, [f"--gin_file={ROOT / 'gin' / 'vae.gin'}", f"--run_dir={tmp_path / 't'}"]) == 2
    assert "is not a table but a recipe; train it with python -m launch.train" in capsys.readouterr().err
    assert run(train.main, [f"--gin_file={TABLE}", f"--run_dir={tmp_path / 't'}"]) == 2
    assert "tables are for python -m launch.ablation" in capsys.readouterr().err
    (tmp_path / "over.gin").write_text("Ablation.seeds = (0,)\n")
    assert run(ablation.main, [*arguments(tmp_path / "t"), f"--gin_file={tmp_path / 'over.gin'}"]) == 2
    assert "which only the first --gin_file may" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    fails(capsys, ablation.main, arguments(tmp_path / "file"), "is a file; give a folder")


@pytest.mark.full("as one that diverges")
def test_a_row_that_is_rejected_does_not_hide_the_others(begun, tmp_path):
    """Its run was begun with another width."""
    flags = arguments(begun, ONE_SEED, DISTANCE, "Ablation.tolerance = None")
    changed = "--gin_bindings=gan/Row.bindings = ('DCGANGenerator.width = 3',)"
    small = [flag for flag in flags if not flag.endswith("tiny.gin")]
    tiny = tmp_path / "tiny.gin"
    lines = (ROOT / "tests" / "tiny.gin").read_text().splitlines()
    tiny.write_text("\n".join(line for line in lines if not line.startswith("DCGANGenerator")))
    av_gde = "--gin_bindings=av_gde/Row.bindings = ('DCGANGenerator.width = 4',)"
    assert run(ablation.main, [*small, f"--gin_file={tiny}", changed, av_gde]) == 1
    table = (begun / "table.md").read_text()
    assert "GAN, seed 0: run_dir=" in table
    assert "belongs to another configuration" in table
    assert "| AV-GDE | " in table
    assert "1 of 2 runs" in table
