"""What TF_CONFIG may hold, workers that do not come, and workers that leave: one line each."""

import json
import socket
import threading
import time

import pytest
import tensorflow as tf

from launch import train
from tests.helpers import fails, train_arguments
from tests.training.test_workers import free_ports
from tfade.errors import UsageError
from tfade.training import cluster
from tfade.training.cluster import Cluster, Task, cluster_of, reporting_lost_workers, slurm_resolver, wait_for_cluster
from tfade.training.strategy import make_strategy

WORKERS = ["127.0.0.1:2001", "127.0.0.1:2002"]
GOOD = {"cluster": {"worker": WORKERS}, "task": {"type": "worker", "index": 1}}
Resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver

WRONG = {
    "garbage": ("{'cluster':", "is not the description of a cluster"),
    "no JSON": ("worker 0", "is not the description of a cluster"),
    "a number": ("3", "is not the description of a cluster"),
    "no task": (json.dumps({"cluster": GOOD["cluster"]}), "no task"),
    "no index": (json.dumps({**GOOD, "task": {"type": "worker"}}), "no task"),
    "an index too high": (json.dumps({**GOOD, "task": {"type": "worker", "index": 2}}), "index=2.*workers 0 to 1"),
    "a negative index": (json.dumps({**GOOD, "task": {"type": "worker", "index": -1}}), "index=-1"),
    "another type": (json.dumps({**GOOD, "task": {"type": "boss", "index": 0}}), "task type 'boss'"),
    "no port": (json.dumps({**GOOD, "cluster": {"worker": ["a", "b"]}}), "host:port"),
    "a port too high": (json.dumps({**GOOD, "cluster": {"worker": ["a:99999", "b:1"]}}), "host:port"),
    "one address twice": (json.dumps({**GOOD, "cluster": {"worker": [WORKERS[0]] * 2}}), "one address to several"),
    "workers as text": (
        json.dumps({**GOOD, "cluster": {"worker": "127.0.0.1:2001"}}),
        "is not the description of a cluster",
    ),
    "workers as a number": (json.dumps({**GOOD, "cluster": {"worker": 7}}), "is not the description of a cluster"),
    "a cluster as text": (json.dumps({**GOOD, "cluster": "worker"}), "is not the description of a cluster"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_descriptions_that_are_wrong(tmp_path, monkeypatch, capsys, kind):
    text, words = WRONG[kind]
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match=f"(?s)TF_CONFIG.*{words}") as raised:
        cluster_of(Resolver())
    assert "\n" not in str(raised.value)
    fails(capsys, train.main, train_arguments(tmp_path / "run", "Recipe.strategy = 'multi_worker'"), "TF_CONFIG")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["[1, 2]", "{}", None])
def test_no_cluster_at_all(tmp_path, monkeypatch, capsys, text):
    monkeypatch.setenv("TF_CONFIG", text) if text else monkeypatch.delenv("TF_CONFIG", raising=False)
    arguments = train_arguments(tmp_path / "run", "Recipe.strategy = 'multi_worker'")
    fails(capsys, train.main, arguments, "strategy='multi_worker'", "TF_CONFIG describes no cluster")
    assert not (tmp_path / "run").exists()


def test_descriptions_that_are_right(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps(GOOD))
    found = cluster_of(Resolver())
    assert found == Cluster(Task("worker", 1, WORKERS[1]), (Task("worker", 0, WORKERS[0]),))
    assert str(found.own) == "worker 1 (127.0.0.1:2002)"
    chief = {"cluster": {"chief": ["a:1"], "worker": ["b:2"]}, "task": {"type": "chief", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(chief))
    assert [str(task) for task in cluster_of(Resolver()).others] == ["worker 0 (b:2)"]
    monkeypatch.delenv("TF_CONFIG")
    assert cluster_of(Resolver()) is None
    assert cluster_of(None) is None


SLURM = {
    **{"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "3"},
    **{"SLURM_STEP_NODELIST": "node[07-08]", "SLURM_STEP_TASKS_PER_NODE": "2,1"},
}


def test_the_tasks_of_a_slurm_step(monkeypatch):
    """Two on one node, at two ports, and one on another; a machine without GPUs will do."""
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    found = cluster_of(slurm_resolver(20007))
    assert found.own == Task("worker", 2, "node08:20007")
    assert [task.address for task in found.others] == ["node07:20007", "node07:20008"]


@pytest.mark.parametrize("missing", ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST"])
def test_outside_of_a_slurm_step(tmp_path, monkeypatch, capsys, missing):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    arguments = train_arguments(tmp_path / "run", "Recipe.strategy = 'slurm'")
    fails(capsys, train.main, arguments, "strategy='slurm'", missing.removeprefix("SLURM_"), "srun")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["tpu", "tpu:nobody"])
def test_a_tpu_that_is_not_there(kind):
    with pytest.raises(UsageError, match=f"strategy='{kind}', but no TPU answers") as raised:
        make_strategy(kind)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["gpus", "slurm:a", "slurm:", "auto:1", ""])
def test_strategies_that_there_are_not(kind):
    with pytest.raises(UsageError, match="is unknown; use 'auto', 'multi_worker', 'slurm'"):
        make_strategy(kind)
    with pytest.raises(UsageError, match="devices=2 has no effect with strategy='slurm'"):
        make_strategy("slurm", 2)


def clusters(count: int) -> list[Cluster]:
    """The cluster as each of its processes sees it."""
    tasks = [Task("worker", index, f"127.0.0.1:{port}") for index, port in enumerate(free_ports(count))]
    return [Cluster(own, tuple(task for task in tasks if task is not own)) for own in tasks]


def test_workers_find_each_other_however_late_one_is():
    """Each ends its wait when all are there; TensorFlow's servers then listen at their ports."""
    met, everybody, errors = threading.Barrier(3), clusters(3), []

    def come(each, delay):
        time.sleep(delay)
        try:
            wait_for_cluster(each, 20)
            with socket.create_server(("", each.own.host_and_port[1])):
                met.wait(20)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=come, args=(each, 0.2 * place)) for place, each in enumerate(everybody)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not errors
    assert not met.broken


def test_a_worker_that_does_not_come(monkeypatch):
    monkeypatch.setattr(cluster, "NOTE_AFTER", 0.1)
    lines = []
    (one, _) = clusters(2)
    with pytest.raises(
        UsageError, match=r"worker 1 \(127\.0\.0\.1:\d+\) did not connect within 0 s; start every index"
    ):
        wait_for_cluster(one, 0.4, lines.append)
    assert lines == [f"waiting for {one.others[0]}"]
    assert cluster.PATIENCE <= 60


def test_two_processes_of_one_index_and_ports_in_use(tmp_path, monkeypatch, capsys):
    one, two = clusters(2)
    with socket.create_server(("", one.own.host_and_port[1])):
        with pytest.raises(UsageError, match="port is in use: by another process of the same index"):
            wait_for_cluster(one)
        described = {"cluster": {"worker": [one.own.address, two.own.address]}, "task": {"type": "worker", "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(described))
        fails(
            capsys,
            train.main,
            train_arguments(tmp_path / "run", "Recipe.strategy = 'multi_worker'"),
            "worker 0",
            "port",
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", [tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError])
def test_who_left_is_told(kind):
    one, two = clusters(2)

    def lose():
        with reporting_lost_workers(one, lambda: "The last good state is x. "):
            raise kind(None, None, "Collective ops is aborted by: failed to connect to all addresses\nand more")

    with pytest.raises(ConnectionError, match=r"^worker 1 \(.*\) left; start all again .*The last good state is x\.$"):
        lose()
    expected = tf.errors.InternalError if kind is tf.errors.InternalError else ConnectionError
    with socket.create_server(("", two.own.host_and_port[1])), pytest.raises(expected):
        lose()
    with pytest.raises(kind), reporting_lost_workers(None, str):
        raise kind(None, None, "of one process")
