"""A model of two data sets from its recipe: its history of translations is saved, and both test splits evaluate it."""

import numpy as np
import pytest

from launch import evaluate, sample
from tests.helpers import ROOT, TINY, fails, newest_state, run, train_here
from tfade.evaluation import read_records

FILES = (ROOT / "gin" / "cycle_gan.gin", TINY)
SETTINGS = ("batch_size = 6", "CycleGAN.pool_size = 9", "Visualisation.samples = 0")


@pytest.mark.usefixtures("eager")
def test_a_translator_is_trained_and_evaluated(tmp_path, capsys):
    assert train_here(tmp_path / "run", *SETTINGS, "steps = 2", files=FILES) == 0
    state = newest_state(tmp_path / "run")
    assert {f"model/{name}" for name in ("pool", "pool_count", "other_pool", "other_pool_count")} <= state.keys()
    assert len(np.unique(state["model/pool"].reshape(9, -1), axis=0)) == state["model/pool_count"] == 9
    arguments = [f"--run_dir={tmp_path / 'run'}", "--metrics=cycle_error", "--num_samples=20"]
    assert run(evaluate.main, arguments) == 0
    results = {
        result.name: result for record in read_records(tmp_path / "run" / "evaluation") for result in record.results
    }
    assert {"cycle_error", "translation_error", "cycle_error_back", "translation_error_back"} == results.keys()
    assert results["cycle_error"].protocol["data"] == "first_half:digits"
    assert results["cycle_error_back"].protocol["data"] == "painted:second_half:digits"
    out = [f"--run_dir={tmp_path / 'run'}", f"--out={tmp_path / 'x.png'}"]
    fails(capsys, sample.main, out, "CycleGAN")


def test_a_second_data_set_is_missing(tmp_path, capsys):
    assert train_here(tmp_path / "run", *SETTINGS, "other_data = None", files=FILES) == 2
    error = capsys.readouterr().err.strip()
    assert error.splitlines()[-1].endswith("set other_data = NAME")
