"""Which devices carry a run."""

import contextlib
import functools
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfade.errors import UsageError, check_whole
from tfade.training.cluster import EXAMPLE, FIRST_PORT, cluster_of, slurm_resolver, wait_for_cluster

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def make_strategy(kind: str = "auto", devices: int | None = None) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy of a run.

    Args:
        kind: "auto", all devices of this machine; "multi_worker" or "slurm", a cluster that TF_CONFIG or the step of a
            Slurm job describes; "slurm:PORT" where another job of the machine uses port 8888; "tpu", the TPU of this
            machine, or "tpu:NAME". For all but "auto" call this before any other TensorFlow operation.
        devices: how many replicas; None takes all GPUs, or the one CPU.

    Returns:
        TensorFlow's default strategy for one device, a mirrored one for several.

    Raises:
        UsageError: an unknown kind, fewer devices than asked for, no cluster or TPU, or as `cluster_of` and
            `wait_for_cluster`.
    """
    name, colon, which = str(kind).partition(":")
    takes = {"auto": not colon, "multi_worker": not colon, "slurm": which.isdecimal() or not colon, "tpu": True}
    if not takes.get(name):
        raise UsageError(
            f"strategy={kind!r} is unknown; use 'auto', 'multi_worker', 'slurm', 'slurm:PORT', 'tpu' or 'tpu:NAME'"
        )
    if name != "auto" and devices is not None:
        raise UsageError(f"devices={devices!r} has no effect with strategy={kind!r}, whose devices are all used")
    if name == "tpu":
        return _tpu(kind, which)
    return _one_machine(devices) if name == "auto" else _several_workers(kind, which)


def _several_workers(kind: str, port: str) -> tf.distribute.Strategy:
    if kind == "multi_worker":
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    else:
        resolver = slurm_resolver(int(port or FIRST_PORT))
    cluster = cluster_of(resolver)
    if cluster is None:
        raise UsageError(
            f"strategy={kind!r}, but TF_CONFIG describes no cluster; write {EXAMPLE}, or leave out the strategy"
        )
    wait_for_cluster(cluster)
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


def _tpu(kind: str, address: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"strategy={kind!r}, but no TPU answers ({reason}); give the name of one, or 'auto'"
        ) from error


def _one_machine(devices: int | None) -> tf.distribute.Strategy:
    gpus = tf.config.list_logical_devices("GPU")
    found = gpus or tf.config.list_logical_devices("CPU")
    if devices is not None:
        check_whole("devices", devices)
    if devices is not None and not 1 <= devices <= len(found):
        raise UsageError(
            f"devices={devices!r} asked for, {len(found)} found ({', '.join(device.name for device in found)}); "
            f"ask for 1 to {len(found)}, or leave it out"
        )
    count = devices or len(gpus) or 1
    if count == 1:
        return tf.distribute.get_strategy()
    return _mirrored(tuple(device.name for device in found[:count]))


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One strategy for each set of devices: a second one would number its collectives from the start again, and
    TensorFlow would take them for those of the first."""
    return tf.distribute.MirroredStrategy(devices)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run directory: the only one, or the first worker of a cluster."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Keras' dtype policy inside, the caller's outside.

    Raises:
        UsageError: not one of `PRECISIONS`.
    """
    if policy not in PRECISIONS:
        raise UsageError(f"precision={policy!r} is not one of {', '.join(PRECISIONS)}")
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)
