"""Stages: one run, one history, one checkpoint; a stop anywhere ends where the uninterrupted run ends."""

import os
import signal

import keras
import numpy as np
import pytest

from tests.helpers import ROOT, TINY, assert_same_state, eagerly, newest_state, train_here
from tfade import load_run
from tfade.errors import UsageError
from tfade.models.stages import Stage
from tfade.training.checkpoints import Checkpoints
from tfade.training.loop import TrainingLoop, segments

RECIPE = ROOT / "tests" / "training" / "two_stages.gin"


class Stopped(BaseException):
    """A process that is gone: nothing catches it."""


def train(run, *bindings) -> int:
    return train_here(run, *bindings, files=(RECIPE,))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("stages") / "whole"
    with eagerly():
        assert train(run) == 0
    return run


@pytest.fixture
def stop_after(monkeypatch):
    """Ends the process, as it were, right after the n-th checkpoint is written, or just before."""

    def arrange(count: int, before: bool):
        save, calls = Checkpoints.save, []

        def then_stop(self, step, state):
            calls.append(step)
            if len(calls) == count and before:
                raise Stopped
            path = save(self, step, state)
            if len(calls) == count:
                raise Stopped
            return path

        monkeypatch.setattr(Checkpoints, "save", then_stop)

    return arrange


def test_history_counts_on_over_the_stages(whole):
    lines = (whole / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "2", "4", "5", "6", "8"]
    state = newest_state(whole)
    assert int(state["step"]) == 8
    assert int(state["stage"]) == 2  # the last stage is not ended before the checkpoint of its last step
    assert int(state["optimizer.first.autoencoder/000.adam/iteration"]) == 5
    assert int(state["optimizer.last.autoencoder/000.adam/iteration"]) == 3


# Tracing takes longer than these steps. Checkpoints: after each of five steps, after the mixture, after each of three steps.
@pytest.mark.every(5)
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("before", [False, True], ids=["after", "before"])
@pytest.mark.parametrize("count", [2, 5, 6, 7, 9])
def test_a_stop_anywhere_ends_bit_for_bit(whole, tmp_path, stop_after, monkeypatch, count, before):
    with monkeypatch.context():
        stop_after(count, before)
        with pytest.raises(Stopped):
            train(tmp_path / "run")
        monkeypatch.undo()
    assert train(tmp_path / "run") == 0
    assert_same_state(newest_state(whole), newest_state(tmp_path / "run"))
    assert (whole / "history.csv").read_text() == (tmp_path / "run" / "history.csv").read_text()


@pytest.mark.full("other signals are")
@pytest.mark.usefixtures("eager")
def test_a_signal_during_a_fit_is_heard(whole, tmp_path, monkeypatch):
    fit = TrainingLoop._fit_stage

    def signalled(self, writer):
        os.kill(os.getpid(), signal.SIGTERM)
        return fit(self, writer)

    monkeypatch.setattr(TrainingLoop, "_fit_stage", signalled)
    assert train(tmp_path / "run") == 128 + signal.SIGTERM
    assert int(newest_state(tmp_path / "run")["step"]) == 5  # where the fit is, before another step
    assert train(tmp_path / "run") == 0
    assert_same_state(newest_state(whole), newest_state(tmp_path / "run"))


@pytest.mark.full("as the stops anywhere")
def test_a_two_stage_flow_that_is_stopped_in_its_second_stage_ends_bit_for_bit(
    tmp_path, stop_after, monkeypatch, eager
):
    settings = (
        "steps = 2",
        "CheckpointSettings.every_steps = 1",
        "Visualisation.samples = 0",
        "codes/Stack.repeat = 1",
    )
    go_on = lambda name: train_here(tmp_path / name, *settings, files=(ROOT / "gin" / "glf_two_stage.gin", TINY))
    assert go_on("whole") == 0
    with monkeypatch.context():
        stop_after(3, before=False)
        with pytest.raises(Stopped):
            go_on("stopped")
        monkeypatch.undo()
    assert go_on("stopped") == 0
    assert int(newest_state(tmp_path / "stopped")["step"]) == 4
    assert_same_state(newest_state(tmp_path / "whole"), newest_state(tmp_path / "stopped"))


def test_the_density_is_fitted_to_the_codes_of_the_first_stage(whole):
    model = load_run(whole)
    mixture = model.prior()
    assert mixture.components_distribution.batch_shape == (3,)
    assert model.sample(4, seed=0).shape == (4, 16, 16, 1)
    assert np.isfinite(mixture.log_prob(model.prior().sample(5, seed=(0, 1)))).all()


def test_averages_of_a_network_survive_a_fit_of_another(whole):
    state = newest_state(whole)
    first = next(name for name in state if name.startswith("decoder/000."))
    assert not np.array_equal(state[f"average.{first}"], state[first])


def test_a_finished_run_is_not_trained_again(whole, capsys):
    before = newest_state(whole)
    assert train(whole) == 0
    assert "already trained, 8 steps of 8" in capsys.readouterr().out
    assert_same_state(before, newest_state(whole))


@pytest.mark.full("the best of one stage alone is kept in test_resume.py")
@pytest.mark.usefixtures("eager")
def test_the_best_of_one_stage_is_kept_through_the_others(tmp_path):
    """The other stages do not report what is monitored."""
    monitored = "CheckpointSettings.monitor = 'prior/nll'"
    settings = ("steps = 2", "Recipe.interval = 1", "Visualisation.samples = 0", "codes/Stack.repeat = 1")
    assert train_here(tmp_path / "run", *settings, monitored, files=(ROOT / "gin" / "glf_two_stage.gin", TINY)) == 0
    assert Checkpoints(tmp_path / "run" / "checkpoints").best()["step"] in (3, 4)


def test_stages_cannot_be_made_longer_afterwards(whole, capsys):
    assert train(whole, "steps = 6") == 2
    assert "belongs to another configuration" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "a b", "steps": 1}, "not an identifier"),
        ({"name": "a", "steps": 0}, "neither steps nor fit"),
        ({"name": "a", "steps": 2, "fit": print}, "both steps and fit"),
        ({"name": "a", "steps": -1}, "must be an integer"),
        ({"name": "a", "fit": 3}, "not a function"),
        ({"name": "a", "fit": print, "players": ("prior",)}, "'a' has fit and players, which is of training steps"),
        ({"name": "a", "fit": print, "optimizer": keras.optimizers.Adam}, "'a' has fit and optimizer"),
    ],
)
def test_wrong_stages_are_rejected(arguments, message):
    with pytest.raises(UsageError, match=message):
        Stage(**arguments)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Recipe.stages = (3,)", "are not stages"),
        ("last/Stage.name = 'first'", "a name of its own"),
        ("last/Stage.players = ('nobody',)", "the players are"),
        ("tests.ToyAutoencoder.prior = @StandardNormal", "fits a GaussianMixture"),
    ],
)
def test_wrong_recipes_are_one_line(tmp_path, capsys, line, message):
    bindings = [line] if "prior" not in line else [line, "GaussianMixture.components = 2"]
    assert train(tmp_path / "run", *bindings) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_reports_fall_on_intervals_and_on_the_ends_of_stages():
    assert list(segments(0, 5, 2)) == [(0, 4, 2), (4, 5, 1)]
    assert list(segments(5, 8, 2)) == [(5, 6, 1), (6, 8, 2)]
