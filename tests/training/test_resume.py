"""A run that was killed, stopped, damaged or moved ends where the uninterrupted one ends."""

import json
import os
import shutil
import signal
import time

import gin
import keras
import numpy as np
import pytest

from tests.helpers import PLAYERS, assert_same_state, eagerly, newest_state, start, train_arguments, train_here
from tfade import load_run
from tfade.training.checkpoints import Checkpoints, snapshot

QUIET = "Visualisation.samples = 0"
LONG = ("steps = 110", "Recipe.interval = 40", "CheckpointSettings.every_steps = 7")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of six steps."""
    run = tmp_path_factory.mktemp("resume") / "run"
    with eagerly():
        assert train_here(run, QUIET) == 0
    return run


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it."""
    return shutil.copytree(finished, tmp_path / "run")


def wait_for_checkpoint(process, run_dir):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if list((run_dir / "checkpoints").glob("step-*.npz")):
            return
        time.sleep(0.005)
    pytest.fail(f"no checkpoint came: {process.communicate()[0]}")


def test_killed_stopped_and_continued_ends_bit_for_bit_like_the_uninterrupted(tmp_path, monkeypatch, capsys):
    """Compiled, as users have it."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    process = start("launch.train", train_arguments(broken, *LONG))
    wait_for_checkpoint(process, broken)
    process.kill()
    process.communicate()
    killed_at = int(newest_state(broken)["step"])
    assert 0 < killed_at < 110

    save, asked = Checkpoints.save, []

    def ask_to_stop(self, step, state):
        if not asked:  # the second signal would end this process at once
            os.kill(os.getpid(), signal.SIGTERM)
        asked.append(step)
        return save(self, step, state)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", ask_to_stop)
        assert train_here(broken, *LONG) == 128 + signal.SIGTERM
    stopped_at = int(newest_state(broken)["step"])
    assert killed_at < stopped_at < 110
    printed = "".join(capsys.readouterr())
    assert f"continuing {broken} at step {killed_at} of 110" in printed
    assert f"stopped by SIGTERM after step {stopped_at}" in printed

    assert train_here(broken, *LONG) == 0
    assert train_here(whole, *LONG) == 0
    assert_same_state(newest_state(whole), newest_state(broken))
    assert (whole / "history.csv").read_text() == (broken / "history.csv").read_text()
    assert len((whole / "history.csv").read_text().splitlines()) == 1 + 3
    for picture in ("samples-000000110.png", "reconstructions-000000080.png", "interpolation-000000110.png"):
        assert (whole / "samples" / picture).read_bytes() == (broken / "samples" / picture).read_bytes()


@pytest.mark.full("the next test continues one, too")
@pytest.mark.usefixtures("eager")
def test_a_longer_run_continues_a_finished_one(tmp_path):
    assert train_here(tmp_path / "grown", "steps = 3") == 0
    assert train_here(tmp_path / "grown", "steps = 6") == 0
    assert train_here(tmp_path / "whole", "steps = 6") == 0
    assert_same_state(newest_state(tmp_path / "grown"), newest_state(tmp_path / "whole"))


@pytest.mark.full("as the test above, and averages in that of every variable")
@pytest.mark.usefixtures("eager")
def test_averages_critic_batches_and_decay_resume_too(tmp_path):
    settings = (
        "Optimization.average_decay = {'generator': 0.9, 'encoder': 0.5}",
        "Optimization.schedule = (('discriminator',), ('encoder', 'generator', 'code_discriminator'))",
        "Visualisation.samples = 0",
        "Optimization.fresh_batches = True",
        "adam.learning_rate = @LinearDecay()",
        "LinearDecay.initial = 1e-3",
        "LinearDecay.steps = 2",
        "Recipe.horizontal_flip = True",
    )
    assert train_here(tmp_path / "two", *settings, "steps = 1", files=PLAYERS) == 0
    assert train_here(tmp_path / "two", *settings, "steps = 2", files=PLAYERS) == 0
    assert train_here(tmp_path / "one", *settings, "steps = 2", files=PLAYERS) == 0
    one = newest_state(tmp_path / "one")
    assert_same_state(one, newest_state(tmp_path / "two"))
    first = next(name for name in one if name.startswith("generator/000."))
    assert not np.array_equal(one[f"average.{first}"], one[first])


@pytest.mark.full("test_damage finds every flipped bit and takes the one before")
@pytest.mark.usefixtures("eager")
def test_a_damaged_newest_checkpoint_is_reported_and_passed_over(run, capsys):
    whole = newest_state(run)
    newest = run / "checkpoints" / "step-000000006.npz"
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    capsys.readouterr()
    assert train_here(run, QUIET) == 0
    output = capsys.readouterr().out
    assert newest.with_suffix(".damaged").is_file()
    assert "step-000000006.npz is damaged, skipping it" in output
    assert "at step 3 of 6" in output
    assert_same_state(whole, newest_state(run))

    flipped = bytearray(newest.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    newest.write_bytes(bytes(flipped))
    assert train_here(run, QUIET) == 0
    assert_same_state(whole, newest_state(run))


@pytest.mark.usefixtures("eager")
def test_every_variable_comes_back(tmp_path):
    """Against the model's own list of variables, so that nothing can be left out of both sides."""
    average = "Optimization.average_decay = {'generator': 0.9}"
    assert train_here(tmp_path / "run", average, "steps = 2", QUIET, files=PLAYERS) == 0
    model = load_run(tmp_path / "run")
    state = newest_state(tmp_path / "run")
    assert_same_state(snapshot(model.state()), state)
    listed = {id(variable) for variable in model.state().values()}
    owners = [*model.networks.values(), *model.averages.networks.values(), *model.optimizers.values()]
    assert {id(variable) for owner in owners for variable in owner.variables} <= listed
    assert {id(variable) for variable in model.variables} <= listed
    assert int(model.step.numpy()) == 2
    assert int(state["optimizer.generator/000.adam/iteration"]) == 2


@pytest.mark.usefixtures("eager")
def test_the_best_is_kept_besides_the_newest(tmp_path):
    settings = ("CheckpointSettings.monitor = 'validation/nll'", "CheckpointSettings.keep = 1", "steps = 9")
    assert train_here(tmp_path / "run", *settings, QUIET) == 0
    folder = tmp_path / "run" / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["best.json", "best.npz", "step-000000009.npz"]
    lines = [line.split(",") for line in (tmp_path / "run" / "history.csv").read_text().splitlines()]
    column = lines[0].index("validation/nll")
    value, step = min((float(line[column]), int(line[0])) for line in lines[1:])
    assert int(load_run(tmp_path / "run", "best").step.numpy()) == step
    assert json.loads((folder / "best.json").read_text()) == {
        "step": step,
        "metric": "validation/nll",
        "value": value,
    }


@pytest.mark.usefixtures("eager")
def test_loading_leaves_the_callers_configuration_alone(run, tmp_path, images, monkeypatch):
    """And needs no data."""
    assert train_here(tmp_path / "b", "seed = 1", "VAE.latent_size = 9", "steps = 1", QUIET) == 0
    gin.clear_config()
    gin.parse_config("adam.learning_rate = 0.123")
    monkeypatch.setattr("tfade.data.load", lambda *_, **__: pytest.fail("data are loaded"))
    before, policy = gin.config_str(), keras.mixed_precision.dtype_policy().name
    a, b = load_run(run), load_run(tmp_path / "b")
    again = load_run(run)
    assert gin.config_str() == before
    assert keras.mixed_precision.dtype_policy().name == policy
    gin.clear_config()
    assert (a.latent_size, b.latent_size) == (6, 9)
    np.testing.assert_array_equal(a.sample(3, seed=0), again.sample(3, seed=0))
    grey = images[..., :1]
    np.testing.assert_array_equal(a.reconstruct(grey), again.reconstruct(grey))


@pytest.mark.usefixtures("eager")
def test_checkpoints_by_minutes(tmp_path):
    settings = ("CheckpointSettings.every_minutes = 1e-9", "CheckpointSettings.keep = 100", "steps = 4")
    assert train_here(tmp_path / "run", QUIET, *settings) == 0
    names = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert names == [f"step-{step:09d}.npz" for step in range(1, 5)]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("moment", ["on_epoch_end", "on_train_end"])
def test_a_signal_at_the_end_is_heard(moment, tmp_path, monkeypatch, capsys):
    """The evaluation that follows training takes minutes; whoever stops the process does not wait for it."""
    from tfade.training.callbacks import History

    report, settings = getattr(History, moment), ("steps = 3", QUIET)

    def then_stop(self, *arguments):
        report(self, *arguments)
        if self.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(History, moment, then_stop)
        assert train_here(tmp_path / "run", *settings) == 128 + signal.SIGTERM
    assert "stopped by SIGTERM after step 3" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
    assert train_here(tmp_path / "run", *settings) == 0
    assert "is already trained, 3 steps of 3" in capsys.readouterr().out


def test_all_checkpoints_damaged_is_an_error_and_nothing_is_removed(run, capsys):
    checkpoints = sorted((run / "checkpoints").iterdir())
    for path in checkpoints:
        path.write_bytes(b"x")
    assert train_here(run, QUIET) == 2
    assert "all 2 are damaged" in capsys.readouterr().err
    assert sorted((run / "checkpoints").iterdir()) == checkpoints


@pytest.mark.usefixtures("eager")
def test_what_a_killed_process_left_half_written_is_swept_up(run):
    leftover = run / "checkpoints" / ".step-000000009.npz.123.abcd"
    leftover.write_bytes(b"half")
    assert train_here(run, QUIET, "steps = 7") == 0
    assert not leftover.exists()
