"""Measures the share of the possible: a step's floating-point operations per second over what this machine can do.

Operations are those of matrix products and convolutions, their gradients included, two for a multiplication with its
addition. The peaks are a large product of matrices and a large convolution, measured in the same run with the same
threads. Part of `python -m launch.benchmark`.
"""

import math
import statistics
from collections.abc import Callable

from launch.benchmarks.ade import step_of
from launch.benchmarks.timing import BLOCK, Figures, block_seconds

RECIPES = ("vae", "gan", "vgh_pp", "av_ade", "hvae", "real_nvp", "glow")
BATCH = 64  # of every recipe
SIDE = 1024  # of the matrices
IMAGES, KERNEL = (64, 32, 32, 64), (3, 3, 64, 64)  # of the convolution


def measure(steps: int) -> Figures:
    """(name, value, limit or None) of every figure.

    Args:
        steps: timed steps of each kind.
    """
    rounds = max(5, steps // BLOCK)
    product, convolution = peaks()
    calls = {recipe: step_of(recipe, (f"batch_size = {BATCH}",)) for recipe in RECIPES}
    for recipe, (step, model) in calls.items():
        operations = step_operations(model)
        times = [[block_seconds(call) for call in (step, product, convolution)] for _ in range(rounds)]
        own, *others = (statistics.median(column) for column in zip(*times))
        speed = operations / own
        yield f"{recipe}, milliseconds a step", 1e3 * own, None
        yield f"{recipe}, 10⁹ operations a step", operations / 1e9, None
        possible = {"matrix product": 2 * SIDE**3, "convolution": convolution_operations()}
        for (name, work), seconds in zip(possible.items(), others):
            yield f"{recipe}, share of the speed of a {name}", speed / (work / seconds), None


def peaks(dtype: str = "float32", side: int = SIDE) -> tuple[Callable, Callable]:
    """A large product of matrices, of this many rows and columns, and a large convolution."""
    import tensorflow as tf

    matrix, images, kernel = (
        tf.cast(tf.random.stateless_normal(shape, (0, index)), dtype)
        for index, shape in enumerate(((side, side), IMAGES, KERNEL))
    )
    product = tf.function(lambda: tf.reduce_sum(matrix @ matrix))
    convolution = tf.function(lambda: tf.reduce_sum(tf.nn.conv2d(images, kernel, 1, "SAME")))
    return (lambda: float(product())), (lambda: float(convolution()))


def convolution_operations() -> int:
    """Floating-point operations of the convolution that is the peak."""
    return 2 * math.prod(IMAGES) * math.prod(KERNEL[:3])


def step_operations(model) -> int:
    """Floating-point operations of the products and convolutions in one replica's training step on `BATCH` examples."""
    import tensorflow as tf

    examples = tf.TensorSpec((BATCH, *model.spec.shape), tf.uint8 if model.spec.is_image else tf.float32)
    strategy = model.distribute_strategy
    step = tf.function(lambda batch: strategy.run(model.train_step, (batch,)), autograph=False)
    operations = executed(step.get_concrete_function(examples).graph)
    return sum(map(operations_of, operations)) // strategy.num_replicas_in_sync


def executed(graph) -> list:
    """The operations of a function's graph that its results or its effects depend on."""
    waiting = [*(tensor.op for tensor in graph.outputs), *graph.control_outputs]
    found = {}
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found[operation.name] = operation
            waiting += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
    return list(found.values())


def operations_of(operation) -> int:
    """Floating-point operations of a matrix product or a convolution; 0 of everything else."""
    match operation.type:
        case "Conv2D":
            return 2 * _count(operation.outputs[0]) * _count(operation.inputs[1], 3)
        case "Conv2DBackpropInput":
            return 2 * _count(operation.inputs[2]) * _count(operation.inputs[1], 3)
        case "Conv2DBackpropFilter":
            return 2 * _count(operation.inputs[2]) * _count(operation.outputs[0], 3)
        case "MatMul" | "BatchMatMulV2":
            transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
            return 2 * _count(operation.outputs[0]) * operation.inputs[0].shape[-2 if transposed else -1]
    return 0


def _count(tensor, axes: int | None = None) -> int:
    """Elements of a tensor, or the product of its first axes."""
    return math.prod(tensor.shape[:axes])
