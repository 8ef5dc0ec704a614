"""Measures the training step: against a hand-written one, with its data, its guard and inside `fit`; flows; and AV-ADE.

Every figure is a ratio of two things timed in turn in this one run, so that a noisy machine slows both alike.
"""

import itertools
import statistics
import time

from launch import common

DEFAULT = str(common.ROOT / "gin" / "vgh_pp.gin")


def main(arguments: list[str]) -> int | None:
    parser = common.Parser("benchmark", __doc__.splitlines()[0])
    common.add_gin_flags(parser)
    parser.add_argument("--steps", type=common.whole(10), default=200, help="timed steps of each kind")
    parser.add_argument(
        "--part",
        choices=("step", "flows", "ade", "all"),
        default="step",
        help="the training step of a recipe, flows against nflows and zuko (pip install torch nflows zuko), "
        "AV-ADE against its parts, or all",
    )
    parser.add_argument("--compile_peers", action="store_true", help="time the peers under torch.compile too (minutes)")
    parser.add_argument(
        "--threads", type=common.whole(1), default=1, help="of flows and peers; with --part=all of everything"
    )
    flags = parser.parse_args(arguments)
    if flags.part in ("flows", "ade") and (flags.gin_file or flags.gin_bindings):
        parser.error(f"--gin_file and --gin_bindings are of --part=step, --part={flags.part} has recipes of its own")
    print(f"{'figure':<60}{'measured':>10}{'limit':>8}")
    for name, value, limit in figures(flags):
        print(f"{name:<60}{value:>10.4g}{'' if limit is None else f'{limit:>8.4g}'}", flush=True)


def figures(flags):
    """(name, value, limit or None) of every figure of the parts that are asked for."""
    if flags.part in ("flows", "all"):  # first, while the number of threads can still be set
        from launch.benchmarks import flows as flow_benchmark

        yield from flow_benchmark.measure(flags.steps, flags.compile_peers, flags.threads)
    if flags.part in ("ade", "all"):
        from launch.benchmarks import ade as ade_benchmark

        yield from ade_benchmark.measure(max(10, flags.steps // 5))
    if flags.part in ("step", "all"):
        common.configure(flags.gin_file or [DEFAULT], flags.gin_bindings)
        yield from measure(flags.steps)


def measure(steps: int) -> list[tuple[str, float, float | None]]:
    """(name, value, limit or None) of every figure; limits are the project's own."""
    import keras

    from tfade.errors import UsageError
    from tfade.models.vgh import VGHPlusPlus
    from tfade.training.recipe import build_model

    recipe, _, dataset = with_data()
    if recipe.model.__name__ != VGHPlusPlus.__name__:
        raise UsageError(f"Recipe.model={recipe.model.__name__} has no hand-written step to compare; use VGHPlusPlus")

    def fresh():
        keras.utils.set_random_seed(recipe.seed)
        return build_model(recipe)

    ours, by_hand = fresh(), fresh()
    if ours.stochastic_codes or ours.encoder_fools_discriminator or len(ours.passes) > 1:
        raise UsageError("the hand-written step is VGH++ with its defaults; leave out schedules and switches")
    ours.make_train_function()
    iterator, other_iterator = iter(dataset), iter(dataset)
    hand_step = hand_written_step(by_hand)
    step_ratio, step_seconds = paired(
        lambda: ours.train_function(iterator), lambda: hand_step(next(other_iterator)["images"]), steps
    )
    return [
        ("step / hand-written step", step_ratio, 1.05),
        ("share of a step spent waiting for data", waiting_share(ours, iterator, steps), 0.03),
        ("guard / step", guard_share(ours, iterator, steps), 0.01),
        ("fit / bare step", fit_ratio(ours, dataset, iterator, steps), 1.05),
        ("milliseconds per step", 1e3 * step_seconds, None),
        ("images per second", recipe.batch_size / step_seconds, None),
    ]


def with_data():
    """The configured recipe with the shape of its data, the source, and the batches for training."""
    from tfade.data.pipeline import batches
    from tfade.training.recipe import recipe_of_data

    recipe, source = recipe_of_data()
    return recipe, source, batches(source, recipe.batch_size, recipe.seed)


def seconds(call) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def paired(one, other, count: int, warm_up: int = 5) -> tuple[float, float]:
    """Median of the ratios one/other over pairs timed in turn, and the median seconds of `one`."""
    for _ in range(warm_up):
        one(), other()
    pairs = []
    for index in range(count):  # who goes first alternates
        first = seconds(one) if index % 2 else None
        second = seconds(other)
        pairs.append((seconds(one) if first is None else first, second))
    return statistics.median(a / b for a, b in pairs), statistics.median(a for a, _ in pairs)


def hand_written_step(model):
    """VGH++ as one would write it for these networks alone: one tape, four optimizers, averages, no options."""
    import tensorflow as tf

    @tf.function
    def step(images):
        x = tf.cast(images, tf.float32) / 127.5 - 1.0
        z = tf.random.normal((tf.shape(x)[0], model.latent_size))
        with tf.GradientTape(persistent=True) as tape:
            code = model.encoder(x, training=True)
            reconstruction = model.generator(code, training=True)
            sample = model.generator(z, training=True)
            real, fake = model.discriminator(x, training=True), model.discriminator(reconstruction, training=True)
            fake_sample = model.discriminator(sample, training=True)
            prior, posterior = model.code_discriminator(z), model.code_discriminator(code)
            mean, softplus = tf.reduce_mean, tf.nn.softplus
            error = mean(tf.abs(x - reconstruction))
            losses = {
                "encoder": model.encoder_weight * error + mean(softplus(-posterior)),
                "generator": model.generator_weight * error + mean(softplus(-fake)) + mean(softplus(-fake_sample)),
                "discriminator": mean(softplus(-real)) + mean(softplus(fake)) + mean(softplus(fake_sample)),
                "code_discriminator": mean(softplus(-prior)) + mean(softplus(posterior)),
            }
        gradients = {
            name: tape.gradient(loss, model.networks[name].trainable_variables) for name, loss in losses.items()
        }
        for name, gradient in gradients.items():
            model.optimizers[name].apply(gradient, model.networks[name].trainable_variables)
        for name, average in model.averages.networks.items():
            for old, new in zip(average.variables, model.networks[name].variables):
                old.assign(0.99 * old + 0.01 * new)
        return losses

    return step


def waiting_share(model, iterator, steps: int) -> float:
    """Time spent in `next` over the time of all steps, with the pipeline at work beside them."""
    import tensorflow as tf

    step = tf.function(model.train_step)
    step(next(iterator))
    waited = total = 0.0
    for _ in range(steps):
        began = time.perf_counter()
        batch = next(iterator)
        got = time.perf_counter()
        step(batch)
        waited += got - began
        total += time.perf_counter() - began
    return waited / total


def guard_share(model, iterator, steps: int) -> float:
    """Time of the guard's look at a step over the time of the step."""
    from pathlib import Path

    from tfade.training.callbacks import FiniteGuard

    guard = FiniteGuard(Path("never-written.json"))
    guard.set_model(model)
    looks, bare = [], []
    for _ in range(steps):
        logs = {}
        bare.append(seconds(lambda logs=logs: logs.update(model.train_function(iterator))))
        looks.append(seconds(lambda logs=logs: guard.on_train_batch_end(0, logs)))
    return statistics.median(looks) / statistics.median(bare)


def fit_ratio(model, dataset, iterator, steps: int, rounds: int = 5) -> float:
    """A step inside `fit`, with the guard and the progress bar, over a bare one; rounds of both in turn."""
    from pathlib import Path

    import keras

    from tfade.training.callbacks import FiniteGuard, Progress

    ends: list[float] = []
    stamp = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: ends.append(time.perf_counter()))
    count = max(2, steps // rounds)
    inside, outside = [], []
    for _ in range(rounds):
        ends.clear()
        callbacks = [FiniteGuard(Path("never-written.json")), Progress(count, count), stamp]
        model.fit(dataset, steps_per_epoch=count, epochs=1, callbacks=callbacks, verbose=0, shuffle=False)
        inside.append(statistics.median(b - a for a, b in itertools.pairwise(ends)))
        outside.append(statistics.median(seconds(lambda: model.train_function(iterator)) for _ in range(count)))
    return statistics.median(a / b for a, b in zip(inside, outside))


if __name__ == "__main__":
    common.launch(main)
