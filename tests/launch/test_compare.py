"""`launch.evaluate --compare`: the files that it writes, and what it refuses."""

from launch import evaluate
from tests.helpers import run
from tests.reporting.outline import Outline
from tests.reporting.test_comparison import record
from tfade.evaluation import Figure, Record


def test_the_command(tmp_path, capsys):
    samples, map_of_codes = Figure("samples", "s", b"\x89PNG-a"), Figure("latent_map", "m", b"\x89PNG-b")
    for name, value in (("a", 2.0), ("b<b>", 3.0)):
        record(value).save(tmp_path / name / "evaluation")
        Record("pictures", 0.1, figures=(samples, map_of_codes)).save(tmp_path / name / "evaluation")
    out = tmp_path / "c" / "compare.html"
    paths = [tmp_path / "a", tmp_path / "b<b>"]
    assert run(evaluate.main, ["--compare", *paths, f"--out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "2.00 ± 0.25" in printed
    assert str(out) in printed
    assert max(map(len, printed.splitlines())) <= 160
    outline = Outline(out.read_text())
    assert {"2.00 ± 0.25", "3.00 ± 0.25", "b<b>", "distance"} <= set(outline.text)
    assert outline.alts == [f"{name} of {run}" for name in ("samples", "latent map") for run in ("a", "b<b>")]
    assert len(outline.sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in outline.sources)
    assert "| a | 2.00 ± 0.25 |" in out.with_suffix(".md").read_text()


def test_runs_that_cannot_be_compared_are_rejected(tmp_path, capsys):
    record(2.0).save(tmp_path / "a" / "evaluation")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged" / "evaluation").mkdir(parents=True)
    (tmp_path / "damaged" / "evaluation" / "distance.json").write_text('{"metric": ')
    for names, words in (
        (["a"], "two runs or more"),
        (["a", "a"], "each once"),
        (["a", "empty"], "neither a run nor an evaluation"),
        (["a", "damaged"], "distance.json"),
    ):
        paths = [tmp_path / name for name in names]
        assert run(evaluate.main, ["--compare", *paths, f"--out={tmp_path / 'c.html'}"]) == 2
        error = capsys.readouterr().err.strip()
        assert words in error
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "c.html").exists()
