"""Measures training steps on this machine's devices: by precision, with XLA and without, on all GPUs at once.

Images per second, the share of the speed of matrix products of the same precision, and memory. Part of
`python -m launch.benchmark`.
"""

import itertools
import statistics
from collections.abc import Iterator, Sequence

from launch.benchmarks.ade import step_of
from launch.benchmarks.peak import BATCH, SIDE, peaks, step_operations
from launch.benchmarks.timing import BLOCK, Figures, block_seconds

RECIPES = ("vgh_pp", "av_ade")
DTYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}  # precision → its products
GPU_BATCH, GPU_SIDE = 256, 8192  # of each GPU, which more work keeps busy


def measure(steps: int) -> Figures:
    """(name, value, limit or None) of every figure; on CPUs in float32 only, which they are made for.

    Args:
        steps: timed steps of each kind.
    """
    import tensorflow as tf

    gpus = tf.config.list_logical_devices("GPU")
    yield "GPUs", len(gpus), None
    precisions, replicas = (DTYPES if gpus else ("float32",)), max(len(gpus), 1)
    batch = GPU_BATCH * replicas if gpus else BATCH
    for precision in precisions:
        product, _ = peaks(DTYPES[precision], GPU_SIDE if gpus else SIDE)
        peak = 2 * (GPU_SIDE if gpus else SIDE) ** 3 / statistics.median(block_seconds(product) for _ in range(5))
        yield f"{precision}, product of matrices, 10¹² operations a second", peak / 1e12, None
        for recipe, xla in itertools.product(RECIPES, (False, True)):
            bindings = (
                f"Recipe.precision = {precision!r}",
                f"Optimization.jit_compile = {xla}",
                f"batch_size = {batch}",
            )
            yield from _of_recipe(
                recipe, f"{recipe}, {precision}{', XLA' if xla else ''}", bindings, batch, steps, peak, gpus
            )


def _of_recipe(recipe: str, name: str, bindings: Sequence[str], batch: int, steps: int, peak: float, gpus) -> Figures:
    """The figures of one recipe; `peak`: operations a second of one device."""
    import tensorflow as tf

    for gpu in gpus:
        tf.config.experimental.reset_memory_stats(_short(gpu))
    step, model = step_of(recipe, bindings)
    seconds = statistics.median(block_seconds(step) for _ in range(max(2, steps // BLOCK)))
    replicas = model.distribute_strategy.num_replicas_in_sync
    yield f"{name}, milliseconds a step", 1e3 * seconds, None
    yield f"{name}, images a second", batch / seconds, None
    yield (
        f"{name}, share of products' speed",
        step_operations(model) * batch / BATCH / seconds / (replicas * peak),
        None,
    )
    for gpu in gpus[:1]:
        memory = tf.config.experimental.get_memory_info(_short(gpu))["peak"]
        yield f"{name}, peak memory of the first GPU, MiB", memory / 2**20, None


def _short(device) -> str:
    """A device as the memory statistics name it: "GPU:0"."""
    return ":".join(device.name.split(":")[-2:])


def describe() -> Iterator[str]:
    """Lines that say what the figures are of: devices, kernels, versions."""
    import tensorflow as tf

    from tfade.kernels import cpu_kernels

    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        yield f"{gpu.name}: {details.get('device_name', 'unknown')}, {details.get('compute_capability', '')}"
    kernels = cpu_kernels()
    threads = [kernels[f"{kind}_op_threads"] or "all" for kind in ("intra", "inter")]
    sets = ", ".join(kernels["instruction_sets"]) or "unknown"
    yield f"CPU: {kernels['library']}'s kernels, {sets}"
    yield f"threads: {threads[0]} within operations, {threads[1]} between them"
    yield f"TensorFlow {tf.__version__}"
