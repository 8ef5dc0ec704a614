"""Tables of runs: their description, configurations, sizes and times."""

import numpy as np
import pytest

from launch import common
from tests.helpers import ROOT, TINY, untraced
from tfade.errors import UsageError
from tfade.networks.dcgan import DCGANGenerator
from tfade.training.isolation import frozen
from tfade.workflows import ablation_runs
from tfade.workflows.ablation import Ablation, Row
from tfade.workflows.ablation_command import read_table, sort_bindings

WORKSPACE = common.workspace()


@pytest.fixture
def only_sizes():
    """Models whose size alone is asked for."""
    with untraced():
        yield


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": ()}, "at least one row"),
        ({"rows": (Row("A b", ()), Row("A_b", ()))}, "a name of its own"),
        ({"seeds": ()}, "at least one seed"),
        ({"seeds": (1, 1)}, "each once"),
        ({"num_samples": 1}, "Ablation.num_samples=1"),
    ],
)
def test_tables_are_checked(changed, message):
    settings = {"title": "t", "rows": (Row("A", ()),), "reference": "A", **changed}
    with pytest.raises(UsageError, match=message):
        Ablation(**settings)


@pytest.mark.every(2)
@pytest.mark.usefixtures("only_sizes")
@pytest.mark.parametrize(
    ("name", "data"),
    [("ade_table1", "digits"), ("ade_table1_colour", "color_digits"), ("ade_table1_colour_16", "color_digits")],
)
def test_the_rows_have_as_many_parameters(name, data, tmp_path):
    """16×16×1, 32×32×3 and 16×16×3."""
    table = read_table(WORKSPACE, str(ROOT / "gin" / "tables" / f"{name}.gin"), [])
    bindings = [f"data = '{data}'", *(["load.image_size = 32"] if name.endswith("colour") else [])]
    counts = {
        row.name: ablation_runs.count_parameters(
            WORKSPACE, ablation_runs.gin_files_of(WORKSPACE, tmp_path, row, table, []), bindings
        )
        for row in table.rows
    }
    assert table.check_parameters(counts) <= table.tolerance < 0.02
    assert len(counts) == 5


KINDS = ("normal", "IAF")


@pytest.mark.full("as those of the tables above and below")
@pytest.mark.usefixtures("only_sizes")
@pytest.mark.parametrize(("name", "count"), [("ade_table2", 6), ("vae_table", 9)])
def test_every_row_of_the_other_tables_can_be_built(name, count, tmp_path):
    """With as many parameters as its name says: twice the width is more, another discriminator is not."""
    table = read_table(WORKSPACE, str(ROOT / "gin" / "tables" / f"{name}.gin"), [])
    files = {row.name: ablation_runs.gin_files_of(WORKSPACE, tmp_path, row, table, []) for row in table.rows}
    counts = {
        row: ablation_runs.count_parameters(WORKSPACE, paths, ["data = 'digits'"]) for row, paths in files.items()
    }
    assert len(counts) == count
    if name == "ade_table2":
        assert counts["AV-ADE (wg, rd)"] > 2 * counts["AV-ADE (rd)"] == 2 * counts["AV-ADE (iaf, rd)"]
        assert counts["AV-ADE"] == counts["AV-ADE (rd)"]
    else:
        large = [counts.pop(name) for name in ("normal, wide decoder", *(f"{k} at three resolutions" for k in KINDS))]
        assert counts.pop("autoregressive at three resolutions") != large[1]  # its masked convolutions are of p(x)
        assert len(set(counts.values())) == 1  # posteriors are not part of p(x)
        assert large[1] == large[2] == pytest.approx(large[0], rel=0.02)  # nor their flows


TABLES = {"mode_collapse": 8, "gan_zoo": 7, "conditional": 6, "residual_flow": 3, "residual_flow_vectors": 3}


@pytest.mark.every(4)
@pytest.mark.usefixtures("only_sizes")
@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_small_tables_can_be_built(name, tmp_path):
    table = read_table(WORKSPACE, str(ROOT / "gin" / "tables" / f"{name}.gin"), [])
    files = [ablation_runs.gin_files_of(WORKSPACE, tmp_path, row, table, [TINY]) for row in table.rows]
    counts = [ablation_runs.count_parameters(WORKSPACE, paths, []) for paths in files]
    assert len(counts) == TABLES[name]
    assert min(counts) > 0


SOME = {  # rows that are more than a recipe; one of each block
    "glf_table1": ("VAE", "@vae/Row(), @two_stage/Row()"),
    "glf_codes": ("GLF", "@glf/Row(), @over_mixture_long/Row(), @gmm50/Row()"),
    "glf_beta": ("GLF", "@glf/Row(), @s1/Row()"),
    "glf_limit": ("GLF", "@glf/Row(), @s001/Row()"),
    "pixel_vae": ("VAE", "@vae/Row(), @levels/Row(), @logistics/Row()"),
    "pixel_vae_bernoulli": ("VAE", "@vae/Row(), @pixel_cnn/Row(), @pixel_vae/Row()"),
    "hybrid_classification": ("coupling, λ = 0", "@c0/Row(), @m_small/Row(), @r1/Row()"),
}


@pytest.mark.every(4, 2)
@pytest.mark.usefixtures("only_sizes")
@pytest.mark.parametrize("name", SOME)
def test_rows_of_large_tables_can_be_built(name, tmp_path):
    reference, rows = SOME[name]
    lines = [f"Ablation.rows = ({rows})", f"Ablation.reference = {reference!r}", "Ablation.seeds = (0,)"]
    table = read_table(WORKSPACE, str(ROOT / "gin" / "tables" / f"{name}.gin"), lines)
    plan = ablation_runs.plan_runs(WORKSPACE, tmp_path, table, [TINY], [], [])
    assert [run.row for run in plan.runs] == [row.name for row in table.rows]
    assert min(plan.parameters.values()) > 0


@pytest.mark.full("as the rows of the table above")
@pytest.mark.usefixtures("only_sizes")
def test_the_rows_of_the_hybrids_have_one_generator(tmp_path):
    table = read_table(WORKSPACE, str(ROOT / "gin" / "tables" / "hybrids.gin"), [])
    files = {row.name: ablation_runs.gin_files_of(WORKSPACE, tmp_path, row, table, []) for row in table.rows}
    counts = {name: ablation_runs.count_parameters(WORKSPACE, paths, []) for name, paths in files.items()}
    assert len(counts) == 15
    assert table.check_parameters(counts) < 0.001


@pytest.mark.usefixtures("only_sizes")
def test_the_last_file_overrides_the_others(tmp_path):
    """The row, then the table, then the user's file."""
    over, latents = tmp_path / "over.gin", tmp_path / "latents.gin"
    over.write_text("DCGANGenerator.width = 5\n")
    latents.write_text("VAE.latent_size = 4\n")
    row = Row("A", ("gin/vae.gin", str(latents)), ("DCGANGenerator.width = 3",))
    table = Ablation("t", (row,), "A", bindings=("VAE.latent_size = 7",))
    counts = [
        ablation_runs.count_parameters(
            WORKSPACE, ablation_runs.gin_files_of(WORKSPACE, tmp_path, row, table, files), ["data = 'digits'"]
        )
        for files in ([], [str(over)])
    ]
    decoders = [DCGANGenerator((16, 16, 1), 7, width=width, initial_scale=None) for width in (3, 5)]
    assert counts == [1 + sum(int(np.prod(v.shape)) for v in decoder.trainable_variables) for decoder in decoders]


@pytest.mark.full("what is reported beside the numbers")
@pytest.mark.usefixtures("eager")
def test_minutes_are_those_of_an_uninterrupted_training(tmp_path):
    """A run that is made longer has none; a damaged file is none."""

    def planned(steps):
        with WORKSPACE.configured([ROOT / "gin" / "gan.gin", TINY], [f"steps = {steps}", "Visualisation.samples = 0"]):
            return ablation_runs.PlannedRun("GAN", 0, tmp_path / "run", frozen(), 1)

    assert ablation_runs.train_run(planned(2), None) > 0
    assert ablation_runs.train_run(planned(2), None) > 0
    (tmp_path / "run" / "minutes.json").write_text("{")
    assert ablation_runs.train_run(planned(2), None) is None
    assert ablation_runs.train_run(planned(3), None) is None


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
def test_bindings_are_sorted_by_what_they_concern(line, kind):
    assert sort_bindings([line])[kind] == [line]


def test_rows_of_different_sizes_are_rejected():
    table = Ablation("t", (Row("A", ()), Row("B", ())), "A")
    assert table.check_parameters({"A": 100, "B": 101}) == 1 / 101
    with pytest.raises(UsageError, match=r"A 100, B 110\), more than Ablation\.tolerance=0\.015"):
        table.check_parameters({"A": 100, "B": 110})
