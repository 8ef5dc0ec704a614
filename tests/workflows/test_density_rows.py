"""Rows of a table that are densities over the codes of another row's run."""

import pytest

from launch import ablation, common
from tests.helpers import ROOT, TINY, run
from tfade import load_run
from tfade.errors import UsageError
from tfade.workflows.ablation import Ablation, Row

TABLE = ROOT / "gin" / "tables" / "glf_table1.gin"
SMALL = (
    *(
        "steps = 2",
        "Visualisation.samples = 0",
        "Ablation.seeds = (0,)",
        "Ablation.rows = (@glf/Row(), @glf_gmm/Row())",
    ),
    *("fit_prior_by_em.restarts = 1", "Ablation.metrics = ('code_likelihood',)"),
    "Ablation.evaluation = ()",
)


@pytest.mark.full("densities over the codes of a run are those of test_latent_density.py")
@pytest.mark.usefixtures("eager")
def test_a_density_takes_the_autoencoder_of_another_row(tmp_path, monkeypatch, tmp_path_factory):
    monkeypatch.setattr(common, "CACHE", tmp_path_factory.getbasetemp() / "density_rows_cache")
    arguments = [f"--gin_file={TABLE}", f"--gin_file={TINY}", f"--run_dir={tmp_path}", "--num_samples=50"]
    arguments += [f"--gin_bindings={line}" for line in SMALL]
    assert run(ablation.main, arguments) == 0
    first, second = (load_run(tmp_path / f"{name}-seed0") for name in ("glf", "glf_s_codes___gmm"))
    for name in ("encoder", "decoder"):
        for weights, other in zip(first.networks[name].get_weights(), second.networks[name].get_weights(), strict=True):
            assert (weights == other).all()
    table = (tmp_path / "table.md").read_text()
    lines = [line for line in table.splitlines() if line.startswith("| GLF")]
    assert len(lines) == 2
    assert "training code nll" in table
    mixture = second.networks["prior"]
    sizes = [sum(weights.size for weights in network.get_weights()) for network in (first.networks["decoder"], mixture)]
    assert sizes[1] > 0
    assert run(ablation.main, arguments) == 0  # nothing is repeated


@pytest.mark.full("rows that fail are tested for models")
@pytest.mark.usefixtures("eager")
def test_a_density_of_a_run_that_failed_is_not_fitted(tmp_path):
    arguments = [f"--gin_file={TABLE}", f"--gin_file={TINY}", f"--run_dir={tmp_path}", "--num_samples=50"]
    diverging = "GLF.beta = 1e38", "Ablation.metrics = ('code_likelihood',)", "steps = 6"
    assert run(ablation.main, [*arguments, *(f"--gin_bindings={line}" for line in (*SMALL, *diverging))]) == 1
    assert "glf-seed0, whose training failed" in (tmp_path / "table.md").read_text()


def test_rows_that_cannot_be():
    with pytest.raises(UsageError, match="codes_of of B='A' is not an earlier row; those are none"):
        Ablation("t", (Row("B", (), codes_of="A"), Row("A", ())), "A")
    with pytest.raises(UsageError, match="Row.bindings of A bind steps, which Ablation.bindings override"):
        Ablation("t", (Row("A", (), bindings=("steps = 9",)),), "A", bindings=("steps=3", "batch_size = 2"))
    with pytest.raises(UsageError, match="Row.codes of B='all'"):
        Row("B", (), codes="all")
