"""Measures AV-ADE's training step against the steps of its parts, timed in turn in one process.

The parts are a VAE's step, a GAN's step by the same schedule with the same discriminator and a generator of the
decoder's size, and what f adds: densities and samples of a batch with their gradients, and the samples that the
discriminator's own pass draws without. Part of `python -m launch.benchmark`.
"""

import resource
from collections.abc import Callable, Sequence

from launch import common
from launch.benchmarks.timing import Figures, paired

LIMIT = 1.05


def measure(steps: int) -> Figures:
    """(name, value, limit or None) of every figure.

    Args:
        steps: timed steps of each kind.
    """
    whole, model = step_of("av_ade")
    for _ in range(3):
        whole()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # before there are any parts
    vae, _ = step_of("vae", files=("fragments/ade_autoencoder",))
    gan, _ = step_of("gan", files=("fragments/ade_gan",))
    through = flow_passes(model)

    def parts():
        vae(), gan(), through()

    ratio, seconds = paired(whole, parts, steps)
    yield "AV-ADE's step / the steps of its parts", ratio, LIMIT
    yield "AV-ADE's step, milliseconds", 1e3 * seconds, None
    yield "peak memory of the process before there are parts, MiB", peak, None


def step_of(recipe: str, bindings: Sequence[str] = (), files: Sequence[str] = ()) -> tuple[Callable, object]:
    """A call that takes one training step of a recipe with `files` and `bindings` over it, and its model.

    As in training, it is taken by all GPUs, or by as many replicas as `Recipe.devices` says.
    """
    from tfade.training.recipe import build_model, recipe_of_data
    from tfade.training.strategy import make_strategy
    from tfade.training.train import distributed_batches

    paths = [str(common.ROOT / "gin" / f"{name}.gin") for name in (recipe, *files)]
    with common.workspace().configured(paths, bindings):
        settings, source, other = recipe_of_data()
        strategy = make_strategy(settings.strategy, settings.devices)
        with strategy.scope():
            model = build_model(settings)
        begin = distributed_batches(strategy, model.fields, source, other, settings)
    model.make_train_function()
    iterator = iter(begin(0, model.batches_per_step))
    return lambda: float(next(iter(model.train_function(iterator).values()))), model


def flow_passes(model) -> Callable:
    """A call of what f does in one step: densities and samples with gradients, and samples without."""
    import tensorflow as tf

    rows = 64
    flow = model.networks["flow"]
    images = tf.random.stateless_uniform((rows, *model.image_shape), (0, 1))
    features = tf.random.stateless_normal((rows, *flow.latent_shape), (0, 2))
    variables = flow.trainable_variables

    @tf.function
    def call():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(features)
            latents, log_det = flow.bijector().inverse_and_log_det(images)
            density = tf.reduce_sum(latents**2) - tf.reduce_sum(log_det)
            sampled = tf.reduce_sum(flow.bijector().forward(features) ** 2)
        gradients = [*tape.gradient(density, variables), *tape.gradient(sampled, [features, *variables])]
        other = flow.bijector().forward(features + 1.0)
        return [tf.reduce_sum(gradient) for gradient in gradients], tf.reduce_sum(other)

    return lambda: float(call()[1])
