"""Seconds of phases."""

import re

import pytest

from launch import train
from tests.helpers import run, train_arguments
from tfade import stopwatch
from tfade.stopwatch import Stopwatch


def test_a_phase_lasts_from_the_end_of_the_one_before(monkeypatch):
    now = iter([12.0, 15.0, 15.5])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(now))
    watch = Stopwatch(10.0)
    watch.end("imports")
    watch.end("training")
    watch.end("imports")
    assert watch.seconds == {"imports": 2.5, "training": 3.0}
    assert str(watch) == "imports 2.5, training 3.0; together 5.5"


@pytest.mark.usefixtures("eager")
def test_training_tells_its_phases_on_request(tmp_path, capsys):
    assert run(train.main, [*train_arguments(tmp_path, "steps = 2"), "--verbose"]) == 0
    label, _, phases = capsys.readouterr().out.splitlines()[-1].partition(":")
    assert label == "seconds"
    names = [re.sub(r"[ \d.]+$", "", phase).strip() for phase in re.split("[,;]", phases)]
    assert names == ["imports", "data", "model", "first step", "training", "together"]
