"""Launchers called from a program or a notebook: again and again, and without touching the caller's gin."""

import gin
import numpy as np
import pytest

from launch import common, evaluate, sample, train
from tests.helpers import train_arguments


@pytest.fixture
def bound():
    """A caller's own binding, in a gin configuration that is locked, as gin leaves it after parsing."""
    gin.parse_config_files_and_bindings([], ["load.image_size = 99"])
    yield
    with gin.unlock_config():
        gin.clear_config()


@pytest.mark.full("most tests of launchers share a process")
def test_every_launcher_twice_in_one_process(tmp_path, monkeypatch, bound, eager):
    """As in a notebook: `main` alone, with nothing of `launch.common.launch` around it."""
    monkeypatch.setattr(common, "CACHE", tmp_path / "cache")
    run_dir, quick = tmp_path / "run", "train_classifier.steps = 3"
    for steps in (1, 2):
        flags = train_arguments(run_dir, f"steps = {steps}", "Visualisation.samples = 0")
        assert train.main(flags) == 0
    for samples in (20, 30):
        flags = [f"--run_dir={run_dir}", f"--num_samples={samples}", "--metrics=pictures", f"--gin_bindings={quick}"]
        assert evaluate.main(flags) == 0
    for name in ("a.npz", "b.npz"):
        assert not sample.main([f"--run_dir={run_dir}", f"--out={tmp_path / name}", "--num_samples=2"])
    first, second = (np.load(tmp_path / name)["images"] for name in ("a.npz", "b.npz"))
    np.testing.assert_array_equal(first, second)
    assert gin.query_parameter("load.image_size") == 99
    with pytest.raises(RuntimeError, match="locked"):
        gin.bind_parameter("load.image_size", 3)
