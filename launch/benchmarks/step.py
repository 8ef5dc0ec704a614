"""Measures the training step: against a hand-written one, with its data, with its guard, and inside `fit`.

Part of `python -m launch.benchmark`.
"""

import itertools
import statistics
import time

from launch.benchmarks.timing import Figures, paired, seconds, set_threads, with_data

GRAPHS = 8  # pairs of freshly built models: where variables lie and how a graph's operations are ordered is drawn


def measure(steps: int, threads: int = 1) -> Figures:
    """(name, value, limit or None) of every figure of the configured recipe; limits are the project's own.

    Args:
        steps: timed steps of each kind.
        threads: of TensorFlow. With one a step takes the time of its operations; with more it also depends on which of
            them happen to run together.
    """
    import keras

    from tfade.errors import UsageError
    from tfade.models.vgh import VGHPlusPlus
    from tfade.training.recipe import build_model

    set_threads(threads, between=threads)
    recipe, dataset = with_data()
    if recipe.model.__name__ != VGHPlusPlus.__name__:
        raise UsageError(f"Recipe.model={recipe.model.__name__} has no hand-written step to compare; use VGHPlusPlus")

    def fresh():
        keras.utils.set_random_seed(recipe.seed)
        return build_model(recipe)

    ours, iterator, other_iterator = fresh(), iter(dataset), iter(dataset)
    ours.make_train_function()
    if ours.gaussian_codes or ours.encoder_fools_discriminator or len(ours.passes) > 1:
        raise UsageError("the hand-written step is VGH++ with its defaults; leave out schedules and switches")

    def ratio_and_seconds():
        model, by_hand = fresh(), hand_written_step(fresh())
        model.make_train_function()
        pairs = max(5, steps // GRAPHS)
        return paired(lambda: model.train_function(iterator), lambda: by_hand(other_iterator), pairs)

    step_ratio, step_seconds = map(statistics.median, zip(*(ratio_and_seconds() for _ in range(GRAPHS)), strict=True))
    yield "step / hand-written step", step_ratio, 1.02
    yield "share of a step spent waiting for data", waiting_share(ours, iterator, steps), 0.02
    yield "guard / step", guard_share(ours, iterator, steps), 0.01
    yield "fit / bare step", fit_ratio(ours, dataset, iterator, steps), 1.05
    yield "milliseconds per step", 1e3 * step_seconds, None
    yield "images per second", recipe.batch_size / step_seconds, None


def hand_written_step(model):
    """VGH++ as one would write it for these networks alone: one tape, four of Keras' Adams, averages, no options."""
    import keras
    import tensorflow as tf

    from tfade.training import optimizers as own

    optimizers = {}
    for name, optimizer in model.optimizers.items():
        with keras.saving.custom_object_scope(vars(own)):  # its schedules
            optimizers[name] = keras.optimizers.Adam.from_config(optimizer.get_config())
        optimizers[name].build(model.networks[name].trainable_variables)

    @tf.function
    def step(iterator):
        x = tf.cast(next(iterator)["images"], tf.float32) / 127.5 - 1.0
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
            optimizers[name].apply(gradient, model.networks[name].trainable_variables)
        for name, average in model.averages.networks.items():
            for old, new in zip(average.variables, model.networks[name].variables):
                old.assign(0.99 * old + 0.01 * new)
        return losses

    return step


def waiting_share(model, iterator, steps: int) -> float:
    """Time until the batch is there over the time of the step, both inside the compiled step as it is trained."""
    import tensorflow as tf

    @tf.function(autograph=False)
    def step(iterator):
        began = tf.timestamp()
        with tf.control_dependencies([began]):
            batch = next(iterator)
        with tf.control_dependencies(tf.nest.flatten(batch)):
            waited = tf.timestamp() - began
        with tf.control_dependencies([waited]):  # nothing of the step runs before, and none of its time is counted
            return waited, model.distribute_strategy.run(model.train_step, args=(batch,))

    step(iterator)
    waited = total = 0.0
    for _ in range(steps):
        began = time.perf_counter()
        waited += float(step(iterator)[0])
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
