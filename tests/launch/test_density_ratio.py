"""The command of the density-ratio study: a table, a plot, and runs that are not made twice."""

import json

import pytest

from launch import density_ratio
from tests.helpers import ROOT, run

SMALL = (
    "DensityRatioStudy.dimensions = (2,)",
    "DensityRatioStudy.seeds = (0,)",
    "DensityRatioStudy.steps = 4",
    "DensityRatioStudy.reports = 2",
    "RatioClassifier.width = 8",
)


def arguments(out, *bindings):
    lines = [f"--gin_bindings={line}" for line in (*SMALL, *bindings)]
    return [f"--gin_file={ROOT / 'gin' / 'tables' / 'density_ratio.gin'}", f"--out={out}", *lines]


def test_table_plot_and_no_run_twice(tmp_path, capsys):
    one = arguments(tmp_path, "DensityRatioStudy.modes = ('estimation',)")
    assert run(density_ratio.main, one) == 0
    files = sorted((tmp_path / "runs").iterdir())
    assert [file.name for file in files] == ["estimation-2-seed0.json"]
    made = [file.stat().st_mtime_ns for file in files]
    assert run(density_ratio.main, arguments(tmp_path)) == 0
    assert [file.stat().st_mtime_ns for file in files] == made
    assert len(list((tmp_path / "runs").iterdir())) == 2
    result = json.loads(files[0].read_text())
    assert [point["step"] for point in result["curve"]] == [2, 4]
    table = (tmp_path / "table.md").read_text()
    assert table.count("| 2 | 0 |") == 2
    assert f"{result['curve'][-1]['known']:.3g}" in table
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    files[0].write_text("{")  # a damaged one is made again
    assert run(density_ratio.main, one) == 0
    assert json.loads(files[0].read_text())["curve"] == result["curve"]
    assert run(density_ratio.main, [*one, "--gin_bindings=RatioClassifier.layers = 1"]) == 0
    assert all(file.stat().st_mtime_ns > before for file, before in zip(files, made, strict=True))
    assert "table.md" in capsys.readouterr().out


def test_wrong_settings_are_one_line(tmp_path, capsys):
    assert run(density_ratio.main, arguments(tmp_path, "DensityRatioStudy.dimensions = (0,)")) == 2
    assert "DensityRatioStudy.dimensions=(0,)" in capsys.readouterr().err
    recipe = [f"--gin_file={ROOT / 'gin' / 'vae.gin'}", f"--out={tmp_path}"]
    assert run(density_ratio.main, recipe) == 2
    assert "bind no parameter of DensityRatioStudy" in capsys.readouterr().err
    with pytest.raises(SystemExit) as status:
        run(density_ratio.main, [f"--out={tmp_path}"])
    assert status.value.code == 2
    assert "--gin_file is missing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
