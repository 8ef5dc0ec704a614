"""Measures a residual block: memory by the number of terms, and a step against a power series that is differentiated.

The reference is the series as one would write it: a loop over the terms, all of which the gradient passes again. Part
of `python -m launch.benchmark`.
"""

import statistics
from collections.abc import Callable

from launch.benchmarks.timing import Figures, paired

BATCH, SHAPE, WIDTH = 64, (16, 16, 4), 64
FEW, MANY = 2, 10  # terms
GRAPHS = 32  # of which the memory is averaged: the order of a graph's operations is drawn when it is made


def measure(steps: int) -> Figures:
    """(name, value, limit or None) of every figure; limits are the project's own.

    Args:
        steps: timed steps of each kind.
    """
    few, many = (mean_peak(terms, estimate, GRAPHS) for terms in (FEW, MANY))
    series = mean_peak(MANY, differentiated_series, 1)
    yield f"residual block's memory, {MANY} terms / {FEW}", many / few, 1.1
    yield f"a differentiated series' memory, {MANY} terms / the block's of {FEW}", series / few, None
    block, reference = block_step(MANY, estimate), block_step(MANY, differentiated_series)
    ratio, seconds = paired(block, reference, max(5, steps // 20), warm_up=2)
    yield f"residual block's step of {MANY} terms / differentiated series", ratio, 1.0
    yield "residual block's step, milliseconds", 1e3 * seconds, None


def mean_peak(terms: int, log_det: Callable, graphs: int) -> float:
    """`peak_bytes` of a block's step, the mean over graphs of it."""
    return statistics.fmean(peak_bytes(block_step(terms, log_det)) for _ in range(graphs))


def peak_bytes(step: Callable) -> float:
    """The most bytes of tensors that a call of `step` has at a time on the first device, beyond those before it.

    Raises:
        UsageError: TensorFlow does not count the bytes of this device.
    """
    import tensorflow as tf

    from tfade.errors import UsageError

    device = "GPU:0" if tf.config.list_logical_devices("GPU") else "CPU:0"
    step()  # what the first call alone allocates
    try:
        tf.config.experimental.reset_memory_stats(device)
    except ValueError as error:
        raise UsageError(
            f"TensorFlow does not count the memory of {device}; on a CPU it does with oneDNN's kernels: "
            "leave TF_ENABLE_ONEDNN_OPTS unset"
        ) from error
    before = tf.config.experimental.get_memory_info(device)["current"]
    step()
    return tf.config.experimental.get_memory_info(device)["peak"] - before


def block_step(terms: int, log_det: Callable) -> Callable:
    """A function that computes the gradient of a block's density of a batch, with `log_det(g, x, parameters, v, n)`."""
    import keras
    import tensorflow as tf

    from tfade.networks.lipschitz import LipschitzConvNet

    keras.utils.set_random_seed(0)
    network = LipschitzConvNet(SHAPE, width=WIDTH)
    for layer in network.linear:
        layer.kernel.assign_add(0.1 * tf.random.stateless_normal(layer.kernel.shape, (1, 2)))
        layer.kernel.constraint(layer.kernel)  # as after an update
    variables = network.trainable_variables
    x, probe = (tf.random.stateless_normal((BATCH, *SHAPE), (seed, 0)) for seed in (3, 4))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value, found = log_det(network.evaluate, x, network.parameters(), probe, terms)
            loss = tf.reduce_mean(0.5 * tf.reduce_sum(tf.square(x + value), [1, 2, 3]) - found)
        return tape.gradient(loss, [variable.value for variable in variables])

    step.get_concrete_function()
    return lambda: step()[0].numpy()


def estimate(residual, x, parameters, probe, terms: int):
    """The block's own, of a fixed number of terms."""
    import numpy as np
    import tensorflow as tf

    from tfade.flows.power_series import residual_and_log_det

    return residual_and_log_det(residual, x, parameters, probe, tf.constant(terms), terms, np.ones(1))


def differentiated_series(residual, x, parameters, probe, terms: int):
    """The reference: Σ_k (-1)^(k+1) / k · vᵀ Jᵏ v, term by term, on the tape of the caller."""
    import tensorflow as tf

    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(x)
        value = residual(x, parameters)
        left, total = probe, 0.0
        for k in range(1, terms + 1):
            left = tape.gradient(value, x, left)
            total += (-1) ** (k + 1) / k * tf.reduce_sum(left * probe, [1, 2, 3])
    return value, total
