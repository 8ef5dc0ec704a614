"""GANs: every pair of loss and penalty on every discriminator, who moves what, and what such a model answers."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.objectives.test_divergences import KINDS
from tfade.data.loading import load
from tfade.errors import UsageError
from tfade.models.adversary import Adversary
from tfade.models.gan import GAN
from tfade.models.optimization import Optimization
from tfade.networks.dcgan import DCGANDiscriminator
from tfade.networks.sngan import ResidualDiscriminator, SNGANDiscriminator, SNGANGenerator
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.penalties import R1, GradientPenalty, WeightClipping
from tfade.seeds import Seeds
from tfade.spec import Batch
from tfade.training import strategy

PENALTIES = {
    "none": None,
    "one_centred": GradientPenalty,
    "zero_centred": functools.partial(GradientPenalty, target=0.0),
    "r1": R1,
    "clipping": WeightClipping,
}
DISCRIMINATORS = {
    "plain": functools.partial(SNGANDiscriminator, width=2),
    "residual": functools.partial(ResidualDiscriminator, width=2),
    "spectral": functools.partial(SNGANDiscriminator, width=2, spectral=True),
}
EVERY_KIND = [*KINDS, functools.partial(CrossEntropy, saturating=True)]  # minimax, too


@pytest.fixture(scope="module")
def images():
    """Eight grey scans of digits, every second pixel, uint8 [8, 8, 8, 1]."""
    return load("digits", "train").fetch(np.arange(8))[:, ::2, ::2]


def model_of(optimizer=None, compiled=True, **arguments) -> GAN:
    keras.utils.set_random_seed(2)
    networks = {"generator": functools.partial(SNGANGenerator, width=2), "discriminator": DISCRIMINATORS["plain"]}
    model = GAN((8, 8, 1), 4, **{**networks, **arguments})
    if compiled:
        model.compile(optimizer or (lambda name: keras.optimizers.Adam(1e-3, 0.5, 0.9)))
    return model


def weights(model) -> dict[str, list[np.ndarray]]:
    return {name: [v.numpy() for v in network.trainable_variables] for name, network in model.networks.items()}


def distributed(images, chosen):
    """Each replica's share of the images."""
    return chosen.experimental_distribute_values_from_function(
        lambda context: tf.constant(
            np.array_split(images, context.num_replicas_in_sync)[context.replica_id_in_sync_group]
        )
    )


def assert_finite_step(model, images):
    """One step reports finite numbers, leaves finite weights, and moves both players."""
    before, chosen = weights(model), model.distribute_strategy
    logs = chosen.run(model.train_step, args=(images,))
    for name, values in logs.items():
        assert np.isfinite(chosen.experimental_local_results(values)).all(), name
    for name, values in weights(model).items():
        assert all(np.isfinite(value).all() for value in values), name
        assert not values or any(np.any(old != new) for old, new in zip(before[name], values, strict=True)), name


SETTINGS = [("float32", 1), ("mixed_float16", 1), ("float32", 2), ("mixed_float16", 2)]


def combinations(setting: int, penalty: str, whole: bool) -> list[tuple[str, list]]:
    """Discriminators, and the losses that each meets with this penalty.

    All of them are the whole grid; else one discriminator and one loss, other ones for each penalty and setting.
    """
    turn = setting + list(PENALTIES).index(penalty)
    if whole:
        return [(name, EVERY_KIND) for name in DISCRIMINATORS]
    return [(list(DISCRIMINATORS)[turn % 3], [EVERY_KIND[turn % len(EVERY_KIND)]])]


def in_turn() -> list:
    """Penalties and settings: in float32 on one device; the others are those of `test_properties`, or run with --full."""
    mark = pytest.mark.full("every fourth model steps in half precision and on two devices")
    return [
        pytest.param(penalty, setting, marks=[mark] * (setting > 0))
        for penalty in PENALTIES
        for setting in range(len(SETTINGS))
    ]


@pytest.mark.parametrize(
    ("penalty", "setting"),
    in_turn(),
    ids=lambda value: "{}-{}".format(*SETTINGS[value]) if value in range(4) else value,
)
def test_losses_penalties_and_discriminators_train_together(penalty, setting, images, request):
    policy, replicas = SETTINGS[setting]
    chosen = strategy.make_strategy(devices=replicas)
    for discriminator, kinds in combinations(setting, penalty, request.config.getoption("full")):
        with strategy.precision(policy), chosen.scope():
            model = model_of(discriminator=DISCRIMINATORS[discriminator], penalty=PENALTIES[penalty])
            if policy == "mixed_float16":  # so that the first step is not one that finds the scale
                for optimizer in model.optimizers.values():
                    optimizer.dynamic_scale.assign(16.0)
            batch = distributed(images, chosen)
            for kind in kinds:
                model.adversary = Adversary(model.discriminator, kind, PENALTIES[penalty])
                assert_finite_step(model, batch)
        if penalty == "clipping":
            assert max(np.abs(value).max() for value in weights(model)["discriminator"]) <= np.float32(0.01)


def test_a_lazy_penalty_is_compiled_for_two_replicas(images):
    """Replicas cannot update variables, such as those of spectral normalisation, in a branch; nor is one computed in vain."""
    chosen, penalty = strategy.make_strategy(devices=2), functools.partial(R1, interval=2)
    schedule = Optimization(schedule=(("discriminator",), ("generator",)))
    with chosen.scope():
        model = model_of(compiled=False, discriminator=DISCRIMINATORS["spectral"], penalty=penalty)
        model.compile(lambda name: keras.optimizers.Adam(1e-3, 0.5, 0.9), schedule)
    step = tf.function(lambda batch: chosen.run(model.train_step, args=(batch,)), autograph=False)
    batch = distributed(images, chosen)
    branches = [op for op in step.get_concrete_function(batch).graph.get_operations() if op.type == "If"]
    assert len(branches) == 2  # one a replica, in the pass of the discriminator alone
    means = [
        float(chosen.experimental_local_results(step(batch)["discriminator/r1"])[0]) for _ in range(3)
    ]  # over the steps so far
    assert 0 < means[1] < means[0]
    assert means[2] > means[1]


def test_terms_are_those_of_the_docstring(images):
    """Computed here in another way, with batch statistics on both sides."""
    model, seeds = model_of(), Seeds(0, 0)
    x = tf.constant(images / np.float32(127.5) - 1)
    fake = model.generator(model.prior().sample(8, seed=seeds("prior")), training=True)
    judged = lambda x: tf.sigmoid(model.discriminator(x))[:, 0]
    losses = model.losses(Batch(tf.constant(images)), seeds)
    np.testing.assert_allclose(losses["generator"]["adversarial"], -np.log(judged(fake)), rtol=1e-4)
    np.testing.assert_allclose(losses["discriminator"]["real"], -np.log(judged(x)), rtol=1e-4)
    np.testing.assert_allclose(losses["discriminator"]["fake"], -np.log(1 - judged(fake)), rtol=1e-4)
    with tf.GradientTape() as tape:
        tape.watch(x)
        v = model.discriminator(x)
    slope = np.linalg.norm(tape.gradient(v, x).numpy().reshape(8, -1), axis=1)
    np.testing.assert_allclose(losses["discriminator"]["r1"].value, 0.5 * slope**2, rtol=1e-4)
    assert losses["discriminator"]["r1"].weight == 1.0


@pytest.mark.full("the losses and who moves are tested by hand")
def test_the_generator_learns_what_the_discriminator_likes(images):
    model = model_of(optimizer=lambda name: keras.optimizers.Adam(1e-2, 0.5))
    move = tf.function(lambda x: model._move(("generator",), Batch(x), model._seeds(0))["generator/adversarial"])
    values = [float(move(tf.constant(images))) for _ in range(200)]
    assert values[-1] < values[0] - 0.01


def test_dequantised_data_fill_their_bins(images):
    """x / 128 - 1 + U(0, 1/128), in which the discriminator also judges."""
    model, plain = model_of(dequantise=True), model_of()
    noise = Seeds(0, 0).uniform("dequantisation", (8, 8, 8, 1))
    found = model.network_input(images, noise)
    np.testing.assert_allclose(found, images / 128.0 - 1 + noise / 128, atol=1e-6)
    middle = (images / 128.0 - 1 + 0.5 / 128).astype(np.float32)
    np.testing.assert_allclose(model.discriminate(images), plain.discriminator(middle)[:, 0], atol=1e-5)
    real = [m.losses(Batch(tf.constant(images)), Seeds(0, 0))["discriminator"]["real"] for m in (model, plain)]
    assert np.abs(real[0] - real[1]).max() > 1e-6
    np.testing.assert_allclose(real[0], tf.nn.softplus(-model.discriminator(found))[:, 0], rtol=1e-5)


def test_what_a_gan_answers_and_what_not(images):
    model = model_of()
    samples = model.sample(5, seed=1)
    assert samples.shape == (5, 8, 8, 1)
    assert float(tf.reduce_min(samples)) >= 0
    assert float(tf.reduce_max(samples)) <= 1
    np.testing.assert_array_equal(samples, model.sample(5, seed=1))
    assert np.abs(samples - model.sample(5, seed=2)).max() > 1e-3
    np.testing.assert_allclose(model.sample(3, temperature=0.0, seed=1), model.decode(tf.zeros((3, 4))), atol=1e-6)
    np.testing.assert_allclose(model.discriminate(images), model.discriminate(images / np.float32(255)), atol=1e-5)
    assert model.likelihood is None
    for method in (model.encode, model.reconstruct, model.log_prob):
        with pytest.raises(NotImplementedError, match=f"GAN cannot {method.__name__}: it"):
            method(images)
    with pytest.raises(NotImplementedError, match="GAN cannot interpolate: it has no encoder"):
        model.interpolate(images, images)


def test_what_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="latent_size=0"):
        GAN((8, 8, 1), 0)
    with pytest.raises(UsageError, match="latent_size=2.5 must be an integer"):
        GAN((8, 8, 1), 2.5)
    generator, normalising = (functools.partial(kind, width=2) for kind in (SNGANGenerator, DCGANDiscriminator))
    for penalty in (GradientPenalty, R1):
        with pytest.raises(UsageError, match="normalises over the batch"):
            GAN((16, 16, 1), 4, generator, normalising, penalty=penalty)
    GAN((16, 16, 1), 4, generator, normalising, penalty=None)
