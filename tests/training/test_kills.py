"""A run of stages that is killed again and again, within stages and between them, ends bit for bit."""

import time

import numpy as np
import pytest

from tests.helpers import ROOT, assert_same_state, newest_state, start, train_arguments
from tfade.training.checkpoints import Checkpoints

RECIPE = ROOT / "tests" / "training" / "two_stages.gin"
FIRST, LAST, KILLS = 40, 90, 20  # steps before and after the fit
SETTINGS = (
    f"steps = {FIRST}",
    f"last/Stage.steps = {LAST}",
    "fit_prior_by_em.restarts = 100",  # so that a kill hits the fit on a fast machine, too
    "Recipe.interval = 10",
)


def started(run):
    return start("launch.train", train_arguments(run, *SETTINGS, files=(RECIPE,)))


def wait_for(process, checkpoints: Checkpoints, step: int) -> None:
    deadline = time.monotonic() + 200
    while last(checkpoints) < step:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def last(checkpoints: Checkpoints) -> int:
    return max(checkpoints.steps(), default=0)


@pytest.mark.full("minutes")
def test_a_two_stage_run_that_is_killed_twenty_times_ends_bit_for_bit(tmp_path):
    """An autoencoder, a mixture by EM on its codes, more steps of the autoencoder; the kill is SIGKILL."""
    draws, whole, broken = np.random.default_rng(0), tmp_path / "whole", tmp_path / "broken"
    checkpoints, killed_at = Checkpoints(broken / "checkpoints"), []
    for kill in range(KILLS):
        begin, process = last(checkpoints), started(broken)
        if begin == FIRST and newest_state(broken)["stage"] < 2 and killed_at.count(FIRST) < 4:  # not fitted yet
            assert any("fitting" in line for line in process.stdout), f"kill {kill} came after the end"
            time.sleep(draws.uniform(0, 0.5))
        else:
            aim = begin + int(draws.integers(1, 8))
            wait_for(process, checkpoints, FIRST if begin < FIRST < aim else aim)
            time.sleep(draws.uniform(0, 0.05))
        process.kill()
        assert process.wait() < 0, f"kill {kill} came after the end"
        process.stdout.close()
        killed_at.append(last(checkpoints))
    assert killed_at.count(FIRST) >= 3, killed_at  # between the stages
    assert killed_at[-1] < FIRST + LAST
    for run in (broken, whole):
        process = started(run)
        output = process.communicate()[0]
        assert process.returncode == 0, output
    assert_same_state(newest_state(whole), newest_state(broken))
    assert (whole / "history.csv").read_text() == (broken / "history.csv").read_text()
