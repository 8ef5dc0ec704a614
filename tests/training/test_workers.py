"""Two workers on loopback train as two replicas of one process do."""

import csv
import json
import signal
import socket
import time

import numpy as np

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


def test_two_workers_equal_two_replicas_and_leave_together(tmp_path):
    """Two players with batch normalisation and averages; after nine steps or more one worker is asked to stop."""
    files, run = (ROOT / "gin" / "aae.gin", TINY), tmp_path / "workers"
    settings = ("CheckpointSettings.every_steps = 3", "Visualisation.samples = 0")
    monitor = "CheckpointSettings.monitor = 'validation/reconstruction'"
    flags = train_arguments(run, "Recipe.strategy = 'multi_worker'", "steps = 100000", monitor, *settings, files=files)
    workers = start_workers("tests.training.worker", flags, lambda index: tmp_path / f"{index}.npz")
    deadline = time.monotonic() + 200
    while not any(int(path.stem.removeprefix("step-")) >= 9 for path in (run / "checkpoints").glob("step-*.npz")):
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
