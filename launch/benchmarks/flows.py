"""Measures flows against nflows and zuko, where these are installed: a training step, and densities and samples.

The same architectures, the same number of threads, in one process; ours and theirs take turns, so that a noisy machine
slows both alike. One thread each compares what the libraries do. With two the ratio is also one of thread pools: chains
of products of 256×256 matrices gain 1.25 from TensorFlow's second thread, and 1.85 from torch's. Each figure is a ratio
of ours to one peer: the fastest peer has the largest. Part of `python -m launch.benchmark`.
"""

import functools
import statistics
from collections.abc import Callable

from launch import common
from launch.benchmarks.peers import BATCH, PEER_FLOWS, RATE, installed, normal_batch, their_density, their_training_step
from launch.benchmarks.timing import BLOCK, Figures, block_seconds, seconds, set_threads, with_data

LIMIT = 0.85
COUPLINGS = (64, 256, 8)  # dimensions, width of both hidden layers, layers
AUTOREGRESSIVE = ((16, 128, 5), (64, 256, 5), (16, 128, 1))  # the last one is limited by the cost of a call: reported


def measure(steps: int, compile_peers: bool = False, threads: int = 1) -> Figures:
    """(name, value, limit or None) of every figure, as they are measured; limits are the project's own.

    Args:
        steps: timed calls of each kind.
        compile_peers: also time the peers under torch.compile, which takes minutes to compile.
        threads: of either side.
    """
    set_threads(threads)
    rounds = max(5, steps // BLOCK)
    for title, ours, theirs, limit in comparisons():
        if not theirs:
            continue
        best = fastest([ours(jit) for jit in (False, True)])
        peers = {
            name + ", compiled" * compiled: make(compiled)
            for name, make in theirs.items()
            for compiled in (False, True)[: 1 + compile_peers]
        }
        times = [[block_seconds(call) for call in (best, *peers.values())] for _ in range(rounds)]
        for place, name in enumerate(peers, 1):
            yield f"{title} / {name}", statistics.median(row[0] / row[place] for row in times), limit
        yield f"{title}, milliseconds", 1e3 * statistics.median(row[0] for row in times), None
    yield from real_nvp_step(steps)


def comparisons() -> list[tuple[str, Callable, dict[str, Callable], float | None]]:
    """What is compared: title, `ours(jit)`, {peer: `make(compiled)`} of installed peers, limit."""
    peers = {name: flows for name, flows in PEER_FLOWS.items() if installed(name)}
    cases = [
        (
            f"{COUPLINGS[2]} couplings of {COUPLINGS[0]}-D, training step",
            functools.partial(our_training_step, *COUPLINGS),
            {
                name: functools.partial(their_training_step, couplings, *COUPLINGS)
                for name, (couplings, _) in peers.items()
            },
            LIMIT,
        )
    ]
    for dimensions, width, layers in AUTOREGRESSIVE:
        for kind, inverse, task in (("IAF", True, "sample and density"), ("MAF", False, "density")):
            arguments = (inverse, dimensions, width, layers)
            title = f"{kind} of {dimensions}-D, {layers} layer{'s' * (layers > 1)}, {task}"
            theirs = {name: functools.partial(their_density, flow, *arguments) for name, (_, flow) in peers.items()}
            cases.append((title, functools.partial(our_density, *arguments), theirs, LIMIT if layers > 1 else None))
    return cases


def fastest(calls: list[Callable]) -> Callable:
    """The quickest of ours: XLA pays for some sizes and not for others."""
    times = [[block_seconds(call) for call in calls] for _ in range(5)]
    medians = [statistics.median(column) for column in zip(*times)]
    return calls[medians.index(min(medians))]


def our_flow(kind, dimensions: int, layers: int):
    """A stack under a standard normal: its variables, and a function that gives the distribution."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    from tfade.flows.stack import Stack

    flow = Stack([kind], repeat=layers)
    flow.build((dimensions,))

    def distribution():
        return tfp.distributions.TransformedDistribution(
            tfp.distributions.MultivariateNormalDiag(tf.zeros(dimensions)), flow.bijector()
        )

    return flow.trainable_variables, distribution


def our_training_step(dimensions: int, width: int, layers: int, jit: bool) -> Callable:
    import keras
    import tensorflow as tf

    from tfade.flows.coupling import Coupling
    from tfade.networks.conditioner import MLPConditioner

    conditioner = functools.partial(MLPConditioner, width=width, depth=2)
    variables, distribution = our_flow(functools.partial(Coupling, conditioner=conditioner), dimensions, layers)
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(variables)
    x = tf.constant(normal_batch(dimensions))

    @tf.function(jit_compile=jit)
    def step(x):
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(distribution().log_prob(x))
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    return lambda: step(x).numpy()


def our_density(inverse: bool, dimensions: int, width: int, layers: int, jit: bool) -> Callable:
    import tensorflow as tf

    from tfade.flows.autoregressive import IAF, MAF
    from tfade.networks.made import MADE

    kind = functools.partial(IAF if inverse else MAF, conditioner=functools.partial(MADE, width=width, depth=2))
    _, distribution = our_flow(kind, dimensions, layers)
    if not inverse:
        density = tf.function(lambda x: distribution().log_prob(x), jit_compile=jit)
        x = tf.constant(normal_batch(dimensions))
        return lambda: density(x).numpy()
    seed = tf.constant([1, 2])

    @tf.function(jit_compile=jit)
    def sample(seed):
        # The algorithm is named: what TFP's samplers leave open is 30 times slower under XLA on CPUs.
        z = tf.random.stateless_normal((BATCH, dimensions), seed, alg="philox")
        whole = distribution()
        x, log_det = whole.bijector.forward_and_log_det(z)
        return x, whole.distribution.log_prob(z) - log_det

    return lambda: [tensor.numpy() for tensor in sample(seed)]


def real_nvp_step(steps: int) -> Figures:
    """A training step of gin/real_nvp.gin, by itself: neither peer has an image flow with residual conditioners."""
    from tfade.training.recipe import build_model

    with common.workspace().configured([str(common.ROOT / "gin" / "real_nvp.gin")]):
        recipe, dataset = with_data()
        model = build_model(recipe)
        model.make_train_function()
        iterator = iter(dataset)
        model.train_function(iterator)
        times = [seconds(lambda: model.train_function(iterator)) for _ in range(max(5, steps // 10))]
    shape = "×".join(map(str, recipe.spec["shape"]))
    name = f"RealNVP of {shape} images, batch {recipe.batch_size}, milliseconds a step"
    yield name, 1e3 * statistics.median(times), None
