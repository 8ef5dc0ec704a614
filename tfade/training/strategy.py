"""Which devices carry a run."""

import contextlib
import functools
from collections.abc import Iterator

import keras
import tensorflow as tf

from tfade.errors import UsageError, check_whole
from tfade.training.cluster import EXAMPLE, await_others, cluster_of

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def make_strategy(kind: str = "auto", devices: int | None = None) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy of a run.

    Args:
        kind: "auto", or "multi_worker" for a cluster that TensorFlow finds in TF_CONFIG (call this before any
            other TensorFlow operation then).
        devices: how many replicas; None takes all GPUs, or the one CPU.

    Returns:
        TensorFlow's default strategy for one device, a mirrored one for several.

    Raises:
        UsageError: an unknown kind, fewer devices than asked for, or as `cluster_of` and `await_others`.
    """
    if kind == "multi_worker":
        if devices is not None:
            raise UsageError(
                f"devices={devices!r} has no effect with strategy='multi_worker'; TF_CONFIG names the workers"
            )
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        cluster = cluster_of(resolver)
        if cluster is None:
            raise UsageError(
                f"strategy={kind!r}, but TF_CONFIG describes no cluster; write {EXAMPLE}, or leave out the strategy"
            )
        await_others(cluster)
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    if kind != "auto":
        raise UsageError(f"strategy={kind!r} is neither 'auto' nor 'multi_worker'")
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
