"""Runs side by side: numbers of one protocol share a column, others do not, and notes say what to type."""

import dataclasses

import pytest

from tfade.evaluation import Record, Result
from tfade.reporting.comparison import Run, cells, find_columns
from tfade.reporting.comparison_notes import differences, missing, stale

PROTOCOL = {"data": "digits", "split": "test", "num_real": 353, "num_fake": 1000, "seed": 0}


def record(value, *settings, metric="distance", step=10, base=(), real=0.5, diagnostics=None, **protocol):
    protocol = {**PROTOCOL, **protocol}
    beside = Result(metric, real, None, {**protocol, "fake": "train split"})
    results = [Result(metric, value, 0.25, protocol, diagnostics or {}, beside)]
    origin = {"checkpoint": step, "weights": f"w{step}", "settings": list(settings), "base": list(base)}
    return Record(metric, 1.0, tuple(results), (), None, origin)


def runs_of(tmp_path, **records):
    runs = []
    for label, own in records.items():
        (tmp_path / label).mkdir()
        (tmp_path / label / "config.gin").write_text("")
        runs.append(Run(label, tmp_path / label, list(own)))
    return runs


def test_like_protocols_share_a_column(tmp_path):
    runs = runs_of(tmp_path, a=[record(2.0)], b=[record(3.0, diagnostics={"latent_size": 16})])
    header, rows = cells(runs, find_columns(runs))
    assert header == ["", "distance"]
    assert rows == [["a", "2.00 ± 0.25"], ["b", "3.00 ± 0.25"], ["real data", "0.5"]]
    assert differences(runs, find_columns(runs)) == missing(runs, find_columns(runs)) == stale(runs) == []


@pytest.mark.parametrize(
    "different",
    [
        {"num_fake": 500},
        {"num_real": 100},
        {"seed": 1},
        {"split": "train"},
        {"extractor_fingerprint": "ab"},
        {"resize": "clean"},
        {"dtype": "float32"},
        {"k": 5},
        {"batch_size": 64},
    ],
)
def test_different_protocols_do_not(tmp_path, different):
    runs = runs_of(tmp_path, a=[record(2.0)], b=[record(3.0, "--seed=1", **different)], c=[record(4.0)])
    columns = find_columns(runs)
    assert [sorted(column.values) for column in columns] == [["a", "c"], ["b"]]
    header, rows = cells(runs, columns)
    (key,) = different
    assert len(set(header)) == 3
    assert all(key.replace("_", " ") in text for text in header[1:])
    assert rows[1][1:] == ["", "3.00 ± 0.25"]
    (note,) = differences(runs, columns)
    assert "a, c against b" in note
    assert key.replace("_", " ") in note


def test_the_command_that_makes_protocols_agree(tmp_path):
    first = record(2.0, "--num_samples=1000", "--gin_bindings=x = 'y z'")
    runs = runs_of(tmp_path, a=[first], b=[record(3.0, "--num_samples=500", num_fake=500)])
    (note,) = differences(runs, find_columns(runs))
    wanted = f"--run_dir={tmp_path / 'b'} --metrics=distance --num_samples=1000 '--gin_bindings=x = '\"'\"'y z'\"'\"''"
    assert note.endswith(f"They agree after: python -m launch.evaluate {wanted}")
    assert "num fake 1,000 or 500" in note
    other = runs_of(tmp_path, c=[record(3.0, data="tfds:mnist", num_real=10_000)])
    (note,) = differences([runs[0], *other], find_columns([runs[0], *other]))
    assert note.endswith("data digits or tfds:mnist. No command makes these agree.")
    same = runs_of(tmp_path, d=[record(3.0, "--num_samples=1000", "--gin_bindings=x = 'y z'", k=5)])
    (note,) = differences([runs[0], *same], find_columns([runs[0], *same]))
    assert "flags were the same" in note


def test_missing_numbers_are_named_with_their_command(tmp_path):
    never = Record("distance", 0.1, not_applicable="it has no encoder")
    external = Run("f", tmp_path, [record(1.0, metric="other", base=("--images=x.npz", "--out=f"))])
    runs = [*runs_of(tmp_path, a=[record(2.0, "--seed=3")], b=[], c=[never]), external]
    columns = [column for column in find_columns(runs) if column.name == "distance"]
    assert [row[1] for row in cells(runs, columns)[1]] == ["2.00 ± 0.25", "–", "–", "–", "0.5"]
    notes = missing(runs, columns)
    command = "python -m launch.evaluate"
    assert notes[0] == f"b has no distance yet: {command} --run_dir={tmp_path / 'b'} --metrics=distance --seed=3"
    assert notes[1] == "c: distance not applicable, it has no encoder"
    assert notes[2] == f"f has no distance yet: {command} --images=x.npz --out=f --metrics=distance --seed=3"


def test_one_command_makes_all_that_is_missing(tmp_path):
    others = [record(1.0, metric="one"), record(1.0, "--seed=3", metric="two")]
    runs = runs_of(tmp_path, a=[record(2.0, "--seed=3"), *others], b=[])
    notes = missing(runs, find_columns(runs))
    assert [note.partition("--metrics=")[2] for note in notes] == ["distance,two --seed=3", "one"]
    assert notes[0].startswith("b has no distance, two yet: ")


def test_numbers_of_an_older_checkpoint_are_marked(tmp_path):
    runs = runs_of(tmp_path, a=[record(2.0, step=10), record(1.0, metric="other", step=20)], b=[record(3.0)])
    columns = find_columns(runs)
    assert cells(runs, columns)[1][0] == ["a", "2.00 ± 0.25†", "1.00 ± 0.25"]
    (note,) = stale(runs)
    assert "step 10" in note
    assert "step 20" in note


def test_the_newest_file_of_equal_steps_counts(tmp_path):
    """A run that was trained anew to the same step, or external images, which have no steps."""
    old = dataclasses.replace(record(2.0), origin={"weights": "old"}, saved=1.0)
    new = dataclasses.replace(record(1.0, metric="other"), origin={"weights": "new"}, saved=2.0)
    runs = runs_of(tmp_path, a=[old, new], b=[record(3.0)])
    columns = find_columns(runs)
    assert cells(runs, columns)[1][0] == ["a", "2.00 ± 0.25†", "1.00 ± 0.25"]
