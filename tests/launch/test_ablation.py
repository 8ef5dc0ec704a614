"""The ablation command: every row trained and evaluated by one protocol, resumable, and its table."""

import json

import gin
import numpy as np
import pytest

import tfade.configurables  # noqa: F401  # gin is to know all names
from launch import ablation, common, train
from tests.helpers import ROOT, TINY, assert_same_state, newest_state, run
from tfade.errors import UsageError
from tfade.networks.dcgan import DCGANGenerator
from tfade.reporting.ablation_report import cells, footnotes, write_report
from tfade.training import configuration
from tfade.training.isolation import frozen, isolated
from tfade.training.recipe import Recipe
from tfade.training.run_directory import held
from tfade.workflows import ablation_rows
from tfade.workflows.ablation import Ablation, Row

TABLE = ROOT / "gin" / "tables" / "ade_table1.gin"
SMALL = (
    "steps = 2",
    "Showing.samples = 0",
    "Ablation.rows = (@gan/Row(), @av_gde/Row())",
    "Ablation.evaluation = ('inference_bound.steps = 2', 'inference_bound.batch_size = 8')",
)


def arguments(folder, *bindings):
    flags = [f"--gin_file={TABLE}", f"--gin_file={TINY}", f"--run_dir={folder}", "--num_samples=50"]
    return flags + [f"--gin_bindings={line}" for line in (*SMALL, *bindings)]


def test_rows_are_trained_evaluated_and_not_done_twice(tmp_path, capsys):
    one_seed = "Ablation.seeds = (0,)"
    gan_only = arguments(tmp_path, one_seed)
    gan_only = [flag.replace("(@gan/Row(), @av_gde/Row())", "(@gan/Row(),)") for flag in gan_only]
    assert run(ablation.main, gan_only) == 0
    before = (tmp_path / "gan-seed0" / "ablation.json").stat().st_mtime_ns
    assert run(ablation.main, arguments(tmp_path, one_seed)) == 0
    assert (tmp_path / "gan-seed0" / "ablation.json").stat().st_mtime_ns == before
    table = (tmp_path / "table.md").read_text()
    lines = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    assert "[7.0]" in lines["GAN"]
    assert lines["GAN"].split("|")[2].strip().startswith("[")
    assert not lines["AV-GDE"].split("|")[2].strip().startswith("[")
    assert lines["AV-GDE"].split("|")[-4].strip() == "4.4"
    page = (tmp_path / "table.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    result = json.loads((tmp_path / "av_gde-seed0" / "ablation.json").read_text())
    assert {"bits_per_dim", "classifier_frechet_distance", "mean_absolute_error"} <= set(result["results"])
    assert "table.html" in capsys.readouterr().out


def test_a_missing_table_and_wrong_names_are_refused(tmp_path, capsys):
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
    assert "Ablation.reference='Gan' is no row; the rows are GAN, AV-GDE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": ()}, "one row or more"),
        ({"rows": (Row("A b", ()), Row("A_b", ()))}, "a name of its own"),
        ({"seeds": ()}, "one seed or more"),
        ({"seeds": (1, 1)}, "each once"),
    ],
)
def test_tables_are_checked(changed, message):
    settings = {"title": "t", "rows": (Row("A", ()),), "reference": "A", **changed}
    with pytest.raises(UsageError, match=message):
        Ablation(**settings)


@pytest.mark.parametrize(("name", "data"), [("ade_table1", "digits"), ("ade_table1_colour", "color_digits")])
def test_the_rows_have_as_many_parameters(name, data, tmp_path):
    """16×16×1, and 32×32×3."""
    table = ablation.read_table(str(ROOT / "gin" / "tables" / f"{name}.gin"), [])
    bindings = [f"data = '{data}'", *(["load.image_size = 32"] if data == "color_digits" else [])]
    counts = {
        row.name: ablation_rows.count_parameters(ablation_rows.laid_over(tmp_path, row, table, []), bindings)
        for row in table.rows
    }
    assert table.check_parameters(counts) < 0.015
    assert len(counts) == 5


KINDS = ("normal", "IAF")


@pytest.mark.parametrize(("name", "count"), [("ade_table2", 6), ("vae_table", 8)])
def test_every_row_of_the_other_tables_can_be_built(name, count, tmp_path):
    """With as many parameters as its name says: twice the width is more, another discriminator is not."""
    table = ablation.read_table(str(ROOT / "gin" / "tables" / f"{name}.gin"), [])
    files = {row.name: ablation_rows.laid_over(tmp_path, row, table, []) for row in table.rows}
    counts = {row: ablation_rows.count_parameters(paths, ["data = 'digits'"]) for row, paths in files.items()}
    assert len(counts) == count
    if name == "ade_table2":
        assert counts["AV-ADE (wg, rd)"] > 2 * counts["AV-ADE (rd)"] == 2 * counts["AV-ADE (iaf, rd)"]
        assert counts["AV-ADE"] == counts["AV-ADE (rd)"]
    else:
        large = [counts.pop(name) for name in ("normal, wide decoder", *(f"{k} at three resolutions" for k in KINDS))]
        assert len(set(counts.values())) == 1  # posteriors are no part of p(x)
        assert large[1] == large[2] == pytest.approx(large[0], rel=0.02)  # nor their flows


def test_what_is_laid_over_wins(tmp_path):
    """The row, then the table, then the user's file."""
    over = tmp_path / "over.gin"
    over.write_text("DCGANGenerator.width = 5\n")
    row = Row("A", ("gin/vae.gin",), ("DCGANGenerator.width = 3", "VAE.latent_size = 4"))
    table = Ablation("t", (row,), "A", bindings=("VAE.latent_size = 7",))
    counts = [
        ablation_rows.count_parameters(ablation_rows.laid_over(tmp_path, row, table, files), ["data = 'digits'"])
        for files in ([], [str(over)])
    ]
    decoders = [DCGANGenerator((16, 16, 1), 7, width=width, initial_scale=None) for width in (3, 5)]
    assert counts == [1 + sum(int(np.prod(v.shape)) for v in decoder.trainable_variables) for decoder in decoders]


def test_a_row_that_diverges_does_not_stop_the_others(tmp_path, capsys):
    diverging = ("VAE.kl_weight = 1e38", "Ablation.seeds = (0,)")
    rows = "Ablation.rows = (@vae/Row(), @gan/Row())"
    flags = [flag for flag in arguments(tmp_path, *diverging) if "Ablation.rows" not in flag]
    assert run(ablation.main, [*flags, f"--gin_bindings={rows}"]) == 1
    table = (tmp_path / "table.md").read_text()
    assert "VAE, seed 0: " in table
    assert "1 of 2 runs" in table


def test_a_row_whose_evaluation_fails_is_evaluated_again(tmp_path, capsys):
    """It is no finished row, and the command says so."""
    evaluation = "inference_bound.steps = 2", "inference_bound.batch_size = 8"
    diverging = f"Ablation.evaluation = {(*evaluation, 'inference_bound.learning_rate = 1e30')}"
    flags = arguments(tmp_path, "Ablation.rows = (@gan/Row(),)", "Ablation.seeds = (0,)")
    assert run(ablation.main, [*flags, f"--gin_bindings={diverging}"]) == 1
    assert "failed: likelihood: " in capsys.readouterr().out
    assert "GAN, seed 0: likelihood: " in (tmp_path / "table.md").read_text()
    assert not (tmp_path / "gan-seed0" / "ablation.json").exists()
    assert run(ablation.main, flags) == 0
    assert "0 of 1 runs" not in (tmp_path / "table.md").read_text()


def test_minutes_are_those_of_all_of_a_training(tmp_path):
    """A run that is made longer has none; a damaged file is none."""

    def planned(steps):
        with isolated():
            common.configure([str(ROOT / "gin" / "gan.gin"), str(TINY)], [f"steps = {steps}", "Showing.samples = 0"])
            return ablation_rows.PlannedRun("GAN", 0, tmp_path / "run", frozen(), 1)

    assert ablation_rows.trained(planned(2)) > 0
    assert ablation_rows.trained(planned(2)) > 0
    (tmp_path / "run" / "minutes.json").write_text("{")
    assert ablation_rows.trained(planned(2)) is None
    assert ablation_rows.trained(planned(3)) is None


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Ablation.seeds = (0,)", "table"),
        (" v_ade/Row.bindings = ('DCGANGenerator.width = 21',)", "table"),
        ("tfade.workflows.ablation.Row.name = 'A'", "table"),
        ("v_ade/Stack.parts = ()", "runs"),
        ("steps = 3", "runs"),
        ("no_such_thing.steps = 3", "runs"),
        ("inference_bound.steps = 3", "evaluation"),
        ("train_classifier.steps = 3", "evaluation"),
    ],
)
def test_what_bindings_are_for(line, kind):
    assert ablation.sorted_lines([line])[kind] == [line]


def test_bindings_of_the_evaluation_are_no_part_of_the_runs(tmp_path, capsys):
    """They stand over the table's own, and other ones evaluate a trained row anew."""
    flags = arguments(tmp_path, "Ablation.rows = (@gan/Row(),)", "Ablation.seeds = (0,)")
    assert run(ablation.main, flags) == 0
    assert "(steps 2, batch size 8," in (tmp_path / "table.md").read_text()
    weights = newest_state(tmp_path / "gan-seed0")
    assert run(ablation.main, [*flags, "--gin_bindings=inference_bound.steps = 3"]) == 0
    assert "(steps 3, batch size 8," in (tmp_path / "table.md").read_text()
    assert_same_state(newest_state(tmp_path / "gan-seed0"), weights)
    (tmp_path / "gan-seed0" / "ablation.json").write_text("[]")  # damaged: evaluated again
    assert run(ablation.main, flags) == 0
    assert "(steps 2, batch size 8," in (tmp_path / "table.md").read_text()


def test_the_configuration_is_that_of_the_beginning(tmp_path, capsys):
    """A table's folder has one process; what a file says later is not seen."""
    table = ablation.read_table(str(TABLE), ["Ablation.rows = (@gan/Row(),)"])
    over = tmp_path / "over.gin"
    over.write_text("GAN.latent_size = 6\n")
    runs, counts = ablation_rows.planned(tmp_path / "t", table, [str(over)], [], [])
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
    with held(tmp_path / "t", ablation.LOCK):
        assert run(ablation.main, arguments(tmp_path / "t")) == 2
    assert "in use by another process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("v_adee/Row.bindings = ('DCGANGenerator.width = 40',)", "nothing enters the scope of v_adee/Row"),
        ("x/Ablation.seeds = (3,)", "nothing enters the scope of x/Ablation"),
        ("Ablation.evaluation = ('inference_bond.steps = 2',)", "inference_bond"),
        ("Ablation.seeds = 0", "Ablation.seeds=0; give one seed or more"),
        ("Ablation.seeds = (0, -1)", "Ablation.seeds=-1 is not a whole number from 0 up"),
        ("Ablation.rows = (@gan/Row,)", "with brackets"),
        ("gan/Row.bindings = ('GAN.latent_size = 3')", "Row.bindings of GAN='GAN.latent_size = 3' is no sequence"),
        ("Ablation.tolerance = 1.5", "Ablation.tolerance=1.5 is no share in [0, 1)"),
        ("gan/Row.name = 3", "Row.name=3 is no text"),
        ("data = 'toy:moons'", "tables are of images"),
        ("gan/Row.gin_files = ('gin/nowhere.gin',)", "nowhere.gin' does not exist"),
        ("GAN.latent_sise = 3", "latent_sise"),
        ("inference_bound.stepz = 3", "stepz"),
        ("Ablation.metrics = ('likelyhood',)", "did you mean likelihood"),
        ("Ablation.metrics = ()", "Ablation.metrics=() is empty"),
    ],
)
def test_slips_are_told_before_anything_is_trained(tmp_path, capsys, line, message):
    assert run(ablation.main, arguments(tmp_path / "t", line)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.glob("t/*-seed*"))


def test_what_belongs_to_another_launcher_is_told(tmp_path, capsys):
    assert run(ablation.main, [f"--gin_file={ROOT / 'gin' / 'vae.gin'}", f"--run_dir={tmp_path / 't'}"]) == 2
    assert "is no table but a recipe; train it with python -m launch.train" in capsys.readouterr().err
    assert run(train.main, [f"--gin_file={TABLE}", f"--run_dir={tmp_path / 't'}"]) == 2
    assert "tables are for python -m launch.ablation" in capsys.readouterr().err
    (tmp_path / "over.gin").write_text("Ablation.seeds = (0,)\n")
    assert run(ablation.main, [*arguments(tmp_path / "t"), f"--gin_file={tmp_path / 'over.gin'}"]) == 2
    assert "which only the first --gin_file may" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run(ablation.main, arguments(tmp_path / "file")) == 2
    assert "is a file; give a directory" in capsys.readouterr().err


def test_a_row_that_is_refused_does_not_hide_the_others(tmp_path, capsys):
    """Its run was begun with another width."""
    rows = "Ablation.rows = (@gan/Row(), @av_gde/Row())"
    flags = arguments(tmp_path, rows, "Ablation.seeds = (0,)", "Ablation.tolerance = None")
    assert run(ablation.main, flags) == 0
    changed = "--gin_bindings=gan/Row.bindings = ('DCGANGenerator.width = 3',)"
    small = [flag for flag in flags if not flag.endswith("tiny.gin")]
    tiny = tmp_path / "tiny.gin"
    lines = (ROOT / "tests" / "tiny.gin").read_text().splitlines()
    tiny.write_text("\n".join(line for line in lines if not line.startswith("DCGANGenerator")))
    av_gde = "--gin_bindings=av_gde/Row.bindings = ('DCGANGenerator.width = 4',)"
    assert run(ablation.main, [*small, f"--gin_file={tiny}", changed, av_gde]) == 1
    table = (tmp_path / "table.md").read_text()
    assert "GAN, seed 0: run_dir=" in table
    assert "belongs to another configuration" in table
    assert "| AV-GDE | " in table
    assert "1 of 2 runs" in table


def result(row, seed, distance, parameters=100):
    protocol = {"data": "d", "split": "test", "shape": [2], "inference": "its own"}
    values = {"classifier_frechet_distance": distance, "bits_per_dim": 4.0 + seed}
    return {
        "row": row,
        "seed": seed,
        "results": {name: {"value": value, "std": None, "protocol": protocol} for name, value in values.items()},
        "parameters": parameters,
        "minutes": 1.5,
        "picture": "none.png",
        "failed": None,
    }


def test_what_is_not_alike_is_said():
    """Number by number: a reconstruction error may be of more images than a distance."""
    table = Ablation("t", (Row("A", ()), Row("B", ())), "A")
    results = [result("A", 0, 10.0), result("B", 0, 5.0)]
    for one in results:
        one["results"]["classifier_frechet_distance"]["protocol"] = {"data": "d", "split": "test", "shape": [2]}
        one["results"]["classifier_frechet_distance"]["protocol"] |= {"num_fake": 50, "num_real": 60}
    results[0]["results"]["mean_absolute_error"] = {"value": 1.0, "std": None, "protocol": {"num_real": 353}}
    notes = footnotes(table, results)
    assert "50 samples against 60 images." in notes
    assert not any("NOT ALIKE" in note for note in notes)
    results[1]["results"]["classifier_frechet_distance"]["protocol"]["num_real"] = 70
    for one, name in zip(results, ("x", "y")):
        one["revision"] = name
        one["results"]["classifier_frechet_distance"]["protocol"]["extractor_fingerprint"] = name
    notes = footnotes(table, results)
    assert "NOT ALIKE, num real of classifier frechet distance: 60 (A, seed 0); 70 (B, seed 0)." in notes
    for what in ("revision", "extractor fingerprint of classifier frechet distance"):
        assert f"NOT ALIKE, {what}: x (A, seed 0); y (B, seed 0)." in notes


def test_other_metrics_have_a_column_for_every_result():
    one = result("A", 0, 10.0)
    for name, value in (("precision", 0.25), ("recall", 0.5), ("precision_real", 1.0)):
        one["results"][name] = {"value": value, "std": None, "protocol": {}}
    header, (row,) = cells(Ablation("t", (Row("A", ()),), "A"), [one])
    assert dict(zip(header, row))["precision"] == "0.25"
    assert dict(zip(header, row))["recall"] == "0.50"
    assert "precision real" not in header


def test_the_numbers_of_the_table(tmp_path):
    table = Ablation("t <1>", (Row("A", ()), Row("B", (), paper={"FID": "3"})), "A", seeds=(0, 1))
    results = [result("A", 0, 10.0), result("A", 1, 30.0), result("B", 0, 5.0, parameters=110)]
    header, rows = cells(table, results)
    assert header[-1] == "paper: FID"
    assert rows[0][:4] == ["A", "4.50 ± 0.71", "20.0 ± 14.1", "1.00 ± 0.71"]
    assert rows[1] == ["B", "4.00", "5.0", "0.25", "–", "110", "1.5", "3"]
    assert "differ by 9.1%" in footnotes(table, results)[3]
    with pytest.raises(UsageError, match=r"A 100, B 110\), more than Ablation\.tolerance=0\.015"):
        table.check_parameters({"A": 100, "B": 110})
    failed = {**result("B", 1, 5.0), "results": {}, "minutes": None, "picture": None, "failed": "NaN at step 7"}
    assert cells(table, [*results, failed])[1] == rows
    assert footnotes(table, [*results, failed])[-1] == "B, seed 1: NaN at step 7"
    assert "3 of 4 runs" in footnotes(table, results)[0]
    write_report(tmp_path, table, results)
    assert "t &lt;1&gt;" in (tmp_path / "table.html").read_text()
