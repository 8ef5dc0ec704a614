"""What the benchmarks share: timing in turn, threads, and the configured recipe with its batches."""

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator

BLOCK = 10  # calls timed at a time by `block_seconds`
SETTLE = 0.05  # seconds of calls before: another library's threads spin for milliseconds after their last work
Figures = Iterator[tuple[str, float, float | None]]  # name, value, limit or None


def seconds(call: Callable) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def block_seconds(call: Callable) -> float:
    """Seconds of one call, from a block of them."""
    began = time.perf_counter()
    while time.perf_counter() - began < SETTLE:
        call()
    return seconds(lambda: [call() for _ in range(BLOCK)]) / BLOCK


def paired(one: Callable, other: Callable, count: int, warm_up: int = 5) -> tuple[float, float]:
    """Median of the ratios one/other over pairs timed in turn, and the median seconds of `one`."""
    for _ in range(warm_up):
        one(), other()
    pairs = []
    for index in range(count):  # who goes first alternates
        first = seconds(one) if index % 2 else None
        second = seconds(other)
        pairs.append((seconds(one) if first is None else first, second))
    return statistics.median(a / b for a, b in pairs), statistics.median(a for a, _ in pairs)


def set_threads(count: int, between: int = 1) -> None:
    """As many threads for TensorFlow within an operation as for torch.

    Between small operations one is best: handing them over costs more.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(between)
    except RuntimeError:  # TensorFlow has started; this happens in tests only
        print(f"TensorFlow runs already and keeps its number of threads; torch gets {count}")
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(count)


def with_data():
    """The configured recipe with the specification of its data, and its batches of images for training."""
    from tfade.data.pipeline import batches
    from tfade.training.recipe import recipe_of_data

    recipe, source, _ = recipe_of_data()
    return recipe, batches(source, recipe.batch_size, recipe.seed)
