"""Two workers on loopback train as two replicas of one process do."""

import csv
import json
import signal
import socket
import time

import numpy as np
import pytest

from tests.helpers import ROOT, TINY, assert_same_state, newest_state, start, train_arguments, train_here
from tfade.files import read_arrays


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def rows(run_dir):
    with (run_dir / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def start_workers(module, flags, *own):
    """Two processes of one cluster; `own(index)` gives further arguments of each."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    task = lambda index: json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    return [start(module, [*(f(index) for f in own), *flags], TF_CONFIG=task(index)) for index in range(2)]


@pytest.mark.full("two processes for most of a minute; replicas are tested")
def test_two_workers_equal_two_replicas_and_leave_together(tmp_path):
    """Two players with batch normalisation and averages; after nine steps or more one worker is asked to stop."""
    files, run = (ROOT / "gin" / "aae.gin", TINY), tmp_path / "workers"
    settings = ("CheckpointSettings.every_steps = 3", "Visualisation.samples = 0")
    monitor = "CheckpointSettings.monitor = 'validation/reconstruction'"
    flags = train_arguments(run, "Recipe.strategy = 'multi_worker'", "steps = 100000", monitor, *settings, files=files)
    workers = start_workers("tests.training.worker", flags, lambda index: tmp_path / f"{index}.npz")
    deadline = time.monotonic() + 200
    while last_step(run) < 9:
        assert time.monotonic() < deadline
        assert [worker.poll() for worker in workers] == [None, None], [w.communicate()[0] for w in workers]
        time.sleep(0.02)
    workers[1].send_signal(signal.SIGTERM)
    outputs = [worker.communicate(timeout=120)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [128 + signal.SIGTERM] * 2, "\n".join(outputs)
    last = newest_state(run)
    step = int(last["step"])
    assert step % 3 == 0
    for output in outputs:
        assert f"stopped by SIGTERM after step {step}" in output

    first, second = (read_arrays(tmp_path / f"{index}.npz") for index in range(2))
    assert_same_state(first, second)
    assert_same_state(first, last)

    assert train_here(tmp_path / "replicas", "Recipe.devices = 2", "steps = 9", *settings, files=files) == 0
    one, other = rows(run), rows(tmp_path / "replicas")
    assert [row["step"] for row in other] == [3, 6, 9]
    for a, b in zip(one[:3], other, strict=True):
        assert a.keys() == b.keys()
        for name, value in a.items():
            np.testing.assert_allclose(value, b[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.full("half a minute")
def test_workers_that_read_different_checkpoints_do_not_train(tmp_path):
    """One of them sees a folder that is older, as on a file system that is shared and slow."""
    settings = ("Recipe.strategy = 'multi_worker'", "Visualisation.samples = 0")
    flags = train_arguments(tmp_path, "steps = 6", *settings, files=(ROOT / "gin" / "vae.gin", TINY))
    both = tmp_path / "0"
    assert train_here(both, *settings[1:], "steps = 3", files=(ROOT / "gin" / "vae.gin", TINY)) == 0
    flags.remove(f"--run_dir={tmp_path}")
    workers = start_workers("launch.train", flags, lambda index: f"--run_dir={tmp_path / str(index)}")
    outputs = [worker.communicate(timeout=200)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [2, 2], "\n".join(outputs)
    for output in outputs:
        assert "the workers begin with different states, at steps 0, 3" in output


@pytest.mark.full("minutes")
def test_workers_that_are_killed_again_and_again_end_bit_for_bit(tmp_path):
    """A supervisor starts both again with the same command; ten times one of them is killed, now here, now there."""
    draws = np.random.default_rng(0)
    files, whole, broken = (ROOT / "gin" / "vae.gin", TINY), tmp_path / "whole", tmp_path / "broken"
    settings = ("Recipe.strategy = 'multi_worker'", "steps = 900", "CheckpointSettings.every_steps = 5")
    quiet = ("Recipe.interval = 300", "Visualisation.samples = 0")

    def started(run):
        return start_workers("launch.train", train_arguments(run, *settings, *quiet, files=files))

    begins = []
    for kill in range(10):
        workers, deadline = started(broken), time.monotonic() + 200
        before = last_step(broken)
        while last_step(broken) <= before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(draws.uniform(0, 0.5))
        workers[int(draws.integers(2))].kill()
        assert all(worker.wait(timeout=120) for worker in workers), f"kill {kill} came after the end"
        begins.append(before)
    for run in (broken, whole):
        assert [worker.wait(timeout=300) for worker in started(run)] == [0, 0]
    assert begins == sorted(set(begins))
    assert begins[-1] < 900
    assert_same_state(newest_state(whole), newest_state(broken))
    assert (whole / "history.csv").read_text() == (broken / "history.csv").read_text()


def last_step(run) -> int:
    """The step of a run's newest checkpoint; -1 before there is one."""
    found = (run / "checkpoints").glob("step-*.npz")
    return max((int(path.stem.removeprefix("step-")) for path in found), default=-1)
