"""Two workers on loopback train as two replicas of one process do."""

import csv
import json
import socket

import numpy as np

from tests.helpers import assert_same_state, newest_state, start, train_arguments, train_here
from tfade import files


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def rows(run_dir):
    with (run_dir / "history.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def test_two_workers_equal_two_replicas(tmp_path):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(2)]}
    flags = train_arguments(
        tmp_path / "workers", "Recipe.strategy = 'multi_worker'", "steps = 9", "Saving.every_steps = 3"
    )
    workers = [
        start(
            "tests.training.worker",
            [tmp_path / f"{index}.npz", *flags],
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
        )
        for index in range(2)
    ]
    outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(outputs)

    first, second = (files.read_arrays(tmp_path / f"{index}.npz") for index in range(2))
    assert_same_state(first, second)
    assert_same_state(first, newest_state(tmp_path / "workers"))

    assert train_here(tmp_path / "replicas", "Recipe.devices = 2", "steps = 9") == 0
    one, other = rows(tmp_path / "workers"), rows(tmp_path / "replicas")
    assert [row["step"] for row in one] == [3, 6, 9]
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name, value in a.items():
            np.testing.assert_allclose(value, b[name], rtol=1e-4, atol=1e-4, err_msg=name)
