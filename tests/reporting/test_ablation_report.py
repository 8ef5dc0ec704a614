"""The report of an ablation: columns, means over seeds, and notes on comparisons that are not fair."""

import dataclasses

from tfade.evaluation.result import Result
from tfade.reporting.ablation_report import RunReport, Table, cells, footnotes, write_report


def a_run(row, seed, distance, parameters=100, **more):
    protocol = {"data": "d", "split": "test", "shape": [2], "inference": "its own"}
    values = {"classifier_frechet_distance": distance, "bits_per_dim": 4.0 + seed}
    results = {name: Result(name, value, None, protocol) for name, value in values.items()}
    return RunReport(row, seed, parameters, 1.5, {**results, **more}, picture="none.png")


def with_protocol(run, name, **protocol):
    """The run with one result of another protocol."""
    result = dataclasses.replace(run.results[name], protocol={**run.results[name].protocol, **protocol})
    return dataclasses.replace(run, results={**run.results, name: result})


def test_different_protocols_are_noted():
    """Number by number: a reconstruction error may be of more images than a distance."""
    table = Table("t", {"A": {}, "B": {}}, "A", (0,))
    distance = "classifier_frechet_distance"
    error = Result("mean_absolute_error", 1.0, None, {"num_real": 353})
    runs = [a_run("A", 0, 10.0, mean_absolute_error=error), a_run("B", 0, 5.0)]
    runs = [with_protocol(run, distance, num_fake=50, num_real=60) for run in runs]
    notes = footnotes(table, runs)
    assert "50 samples against 60 images." in notes
    assert not any("DIFFERENT PROTOCOLS" in note for note in notes)
    runs[1] = with_protocol(runs[1], distance, num_real=70)
    runs = [
        dataclasses.replace(with_protocol(run, distance, extractor_fingerprint=name), revision=name)
        for run, name in zip(runs, ("x", "y"))
    ]
    runs = [with_protocol(run, "bits_per_dim", inference=how) for run, how in zip(runs, ("its own", "fitted"))]
    runs = [with_protocol(run, "bits_per_dim", likelihood=how) for run, how in zip(runs, ("exact", "lower_bound"))]
    notes = footnotes(table, runs)
    assert not any(
        "bits per dim" in note for note in notes if "DIFFERENT PROTOCOLS" in note
    )  # one of them is in brackets
    assert "DIFFERENT PROTOCOLS, num real of classifier frechet distance: 60 (A, seed 0); 70 (B, seed 0)." in notes
    for key in ("revision", "extractor fingerprint of classifier frechet distance"):
        assert f"DIFFERENT PROTOCOLS, {key}: x (A, seed 0); y (B, seed 0)." in notes


def test_other_metrics_have_a_column_for_every_result():
    values = {"precision": (0.8529, None), "recall": (0.5, 0.0123)}
    run = a_run("A", 0, 10.0, **{name: Result(name, *value) for name, value in values.items()})
    header, (row,) = cells(Table("t", {"A": {}}, "A", (0,)), [run])
    assert dict(zip(header, row))["precision"] == "0.853"
    assert dict(zip(header, row))["recall"] == "0.500 ± 0.012"


def test_what_applies_to_no_row_has_no_column_and_no_note():
    """A table of vectors: neither bits per dimension nor a distance in features of a classifier, but nats."""
    protocol = {"data": "toy:ring", "split": "test", "shape": [2], "num_fake": 2500}
    values = {"mode_coverage": 8, "negative_log_likelihood": 1.5}
    run = RunReport("A", 0, 100, results={name: Result(name, value, None, protocol) for name, value in values.items()})
    table = Table("t", {"A": {}}, "A", (0,))
    header, (row,) = cells(table, [run])
    assert header == ["", "mode coverage", "negative log likelihood", "parameters of p(x)", "minutes"]
    assert row[2] == "1.500"
    notes = footnotes(table, [run])
    assert "2,500 samples." in notes
    assert not any("Bits per dimension" in note or "Fréchet" in note for note in notes)


def test_the_numbers_of_the_table(tmp_path):
    table = Table("t <1>", {"A": {}, "B": {"FID": "3"}}, "A", seeds=(0, 1))
    runs = [a_run("A", 0, 10.0), a_run("A", 1, 30.0), a_run("B", 0, 5.0, parameters=110)]
    header, rows = cells(table, runs)
    assert header[-1] == "paper: FID"
    assert rows[0][:4] == ["A", "4.500 ± 0.707", "20.0 ± 14.1", "1.00 ± 0.71"]
    assert rows[1] == ["B", "4.000", "5.0", "0.25", "110", "1.5", "3"]
    assert "differ by 9.1%" in footnotes(table, runs)[3]
    failed = RunReport("B", 1, 110, failed="NaN at step 7")
    assert cells(table, [*runs, failed])[1] == rows
    assert footnotes(table, [*runs, failed])[-1] == "B, seed 1: NaN at step 7"
    assert "3 of 4 runs" in footnotes(table, runs)[0]
    write_report(tmp_path, table, runs)
    assert "t &lt;1&gt;" in (tmp_path / "table.html").read_text()
