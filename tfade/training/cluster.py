"""The workers of a cluster: what TF_CONFIG or Slurm says of them, that all are there, and which of them has left."""

import contextlib
import errno
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError

PATIENCE = 60.0  # seconds that workers wait for each other at the start
NOTE_AFTER = 10.0  # seconds of waiting after which it is said
FIRST_PORT = 8888  # of Slurm's workers on a machine
MOST_TASKS = 4_096  # of Slurm's, on a machine
EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
# What TensorFlow raises where another process of a collective is gone.
LOST = (
    *(tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError),
    *(tf.errors.DeadlineExceededError, tf.errors.InternalError, tf.errors.FailedPreconditionError),
)


class Task(NamedTuple):
    """A process of a cluster."""

    kind: str
    index: int
    address: str  # host:port

    def __str__(self):
        return f"{self.kind} {self.index} ({self.address})"

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, _, port = self.address.rpartition(":")
        return host, int(port)


class Cluster(NamedTuple):
    """All processes that train together, and this one."""

    own: Task
    others: tuple[Task, ...]


def cluster_of(resolver: tf.distribute.cluster_resolver.ClusterResolver | None) -> Cluster | None:
    """The cluster that a resolver, such as that of TF_CONFIG, describes; None where it describes none.

    Raises:
        UsageError: TF_CONFIG is not JSON, has no task or one that is not in the cluster, or an address without a port.
    """
    if resolver is None:
        return None
    try:
        spec, kind, index = resolver.cluster_spec(), resolver.task_type, resolver.task_id
        tasks = {job: spec.job_tasks(job) for job in spec.jobs}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"TF_CONFIG is not the description of a cluster ({error}); write {EXAMPLE}") from error
    if not tasks:
        return None
    if kind is None or index is None:
        raise UsageError(f"TF_CONFIG has no task, or one without type or index; write {EXAMPLE}")
    if kind not in ("chief", "worker") or kind not in tasks:
        raise UsageError(f"TF_CONFIG has the task type {kind!r}; use one of {', '.join(sorted(tasks))} of the cluster")
    if not isinstance(index, int) or not 0 <= index < len(tasks[kind]):
        last = len(tasks[kind]) - 1
        raise UsageError(f"TF_CONFIG has index={index!r}, but the cluster has {kind}s 0 to {last}; start each once")
    found = [
        Task(job, number, address)
        for job in sorted({"chief", "worker"} & tasks.keys())
        for number, address in enumerate(tasks[job])
    ]
    for task in found:
        if not task.address.rpartition(":")[2].isdecimal() or not 0 < task.host_and_port[1] < 2**16:
            raise UsageError(f"TF_CONFIG gives {task}; an address is host:port, such as host1:2222")
    if len({task.address for task in found}) < len(found):
        raise UsageError("TF_CONFIG gives one address to several workers; give each its own host:port")
    own = next(task for task in found if (task.kind, task.index) == (kind, index))
    return Cluster(own, tuple(task for task in found if task is not own))


def slurm_resolver(port: int = FIRST_PORT) -> tf.distribute.cluster_resolver.ClusterResolver:
    """The tasks of this step of a Slurm job, `srun`: each is a worker.

    Each task uses the devices that Slurm shows it (`srun --gpus-per-task=1`). TensorFlow's resolver would divide those
    of a node among its tasks, which fails where there are none or where Slurm has done so.

    Args:
        port: of the first task on each machine; the next ones follow.

    Raises:
        UsageError: this process is no task of a step.
    """
    try:
        return tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port, gpus_per_node=MOST_TASKS, gpus_per_task=1, auto_set_gpu=False
        )
    except (RuntimeError, ValueError, AssertionError) as error:
        raise UsageError(
            f"strategy='slurm', but this process is no task of a Slurm step ({error}); start it with srun"
        ) from error


def wait_for_cluster(cluster: Cluster, patience: float = PATIENCE, notify: Callable[[str], None] = print) -> None:
    """Waits until every process of the cluster is there: TensorFlow alone would wait for ever.

    The port of this one is held meanwhile, so that a second process of the same index is found.

    Args:
        cluster: the processes.
        patience: seconds to wait.
        notify: receives a note after `NOTE_AFTER` seconds.

    Raises:
        UsageError: the port is in use, or a process does not connect in time.
    """
    port = cluster.own.host_and_port[1]
    try:
        held = socket.create_server(("", port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"TF_CONFIG gives {cluster.own}, whose port cannot be used: {error.strerror}") from error
        raise UsageError(
            f"TF_CONFIG gives {cluster.own}, whose port is in use: by another process of the same index, or by another "
            "program; give each process an index of its own, or other ports"
        ) from error
    with held:
        missing, began, noted = list(cluster.others), time.monotonic(), False
        while missing := [task for task in missing if not is_reachable(task)]:
            waited = time.monotonic() - began
            names = ", ".join(map(str, missing))
            if waited > patience:
                raise UsageError(
                    f"TF_CONFIG: {names} did not connect within {patience:.0f} s; start every index of the cluster "
                    "once, within a minute, and check that hosts reach each other's ports"
                )
            if waited > NOTE_AFTER and not noted:
                notify(f"waiting for {names}")
                noted = True
            time.sleep(0.1)


def is_reachable(task: Task, timeout: float = 2.0) -> bool:
    """Whether something listens at a task's address."""
    try:
        with socket.create_connection(task.host_and_port, timeout):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def reporting_lost_workers(cluster: Cluster | None, hint: Callable[[], str]) -> Iterator[None]:
    """Inside, TensorFlow's errors after the loss of a process of the cluster become one line that names it.

    Args:
        cluster: the processes; None for one process, whose errors are left as they are.
        hint: where the last good state is, a sentence.

    Raises:
        ConnectionError: processes that are not reachable any more, and what to do.
    """
    try:
        yield
    except LOST as error:
        if cluster is None:
            raise
        left = [task for task in cluster.others if not is_reachable(task)]
        if not left and not isinstance(error, LOST[:4]):
            raise
        names = ", ".join(map(str, left)) or "another worker"
        raise ConnectionError(f"{names} left; start all again with the same commands. {hint()}".strip()) from error


def require_same_state(strategy: tf.distribute.Strategy, step: int, state: Mapping[str, keras.Variable]) -> None:
    """Rejects workers that begin with different states: nothing else would tell, as their gradients fit each other.

    Args:
        strategy: of this process; only one of several workers asks the others.
        step: the training step that this worker begins at.
        state: every variable by its name.

    Raises:
        UsageError: another worker has read another checkpoint, or none. All workers raise it.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    digest = 0
    for name in sorted(state):
        digest = zlib.crc32(np.ascontiguousarray(state[name].numpy()), digest)
    replicas = strategy.run(lambda: tf.constant([[step, digest]], tf.int64))
    found = {tuple(row) for row in strategy.gather(replicas, axis=0).numpy().tolist()}
    if len(found) > 1:
        steps = ", ".join(f"{other:,}" for other, _ in sorted(found))
        raise UsageError(
            f"the workers begin with different states, at steps {steps}; give all of them one run_dir in a folder that "
            "they share, and start them again once every machine sees its newest checkpoint"
        )
