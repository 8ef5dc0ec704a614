"""The step that all models share: who moves, by how much, and what is reported."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.schedule import passes
from tfade.spec import Batch

PLAYERS = ("encoder", "generator", "discriminator", "code_discriminator")


def weights(model):
    return {
        name: [variable.numpy() for variable in network.trainable_variables]
        for name, network in model.networks.items()
        if network.trainable_variables
    }


def test_passes():
    assert passes(None, PLAYERS) == (PLAYERS,)
    assert passes((("critic",) * 5, ("generator",)), ("critic", "generator")) == (("critic",),) * 5 + (("generator",),)
    assert passes((("a", "b", "a", "b"),), ("a", "b")) == (("a", "b"), ("a", "b"))


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ((("encoder", "generator"),), "never trains"),
        ((("encodr",),), "encodr"),
        ((PLAYERS + ("encoder",),), "unequally"),
        (((), PLAYERS), "no player"),
    ],
)
def test_wrong_schedules_are_refused(schedule, message):
    with pytest.raises(UsageError, match=message):
        passes(schedule, PLAYERS)


def test_a_step_is_gradient_descent_on_the_reported_sum(make_model, images):
    """One SGD step of the discriminator against a gradient taken by hand."""
    model = make_model(optimizer=lambda name: keras.optimizers.SGD(0.1))
    before = model.discriminator.trainable_variables[0].numpy()
    with tf.GradientTape() as tape:
        losses = model.losses(Batch(tf.constant(images)), model._seeds(0))["discriminator"]
        total = tf.add_n([tf.reduce_mean(value) for value in losses.values()])
    gradients = tape.gradient(total, model.discriminator.trainable_variables)
    logs = model.train_step(tf.constant(images))
    after = model.discriminator.trainable_variables[0].numpy()
    np.testing.assert_allclose(before - after, 0.1 * gradients[0], rtol=1e-4, atol=1e-7)
    reported = sum(
        float(value) for name, value in logs.items() if name.startswith("discriminator/") and "norm" not in name
    )
    np.testing.assert_allclose(reported, total, rtol=1e-5)
    np.testing.assert_allclose(logs["discriminator/gradient_norm"], tf.linalg.global_norm(gradients), rtol=1e-4)


def test_clipping_bounds_the_update(make_model, images):
    model = make_model(optimizer=lambda name: keras.optimizers.SGD(1.0), clip_norm=0.01)
    before = weights(model)
    logs = model.train_step(tf.constant(images))
    for name, old in before.items():
        moved = tf.linalg.global_norm([a - b for a, b in zip(weights(model)[name], old, strict=True)])
        assert float(logs[f"{name}/gradient_norm"]) > 0.01
        np.testing.assert_allclose(moved, 0.01, rtol=1e-3)


def test_reported_values_are_means_over_steps(make_model, images):
    model = make_model()
    first = {name: float(value) for name, value in model.train_step(tf.constant(images)).items()}
    model.reset_metrics()
    second = {name: float(value) for name, value in model.train_step(tf.constant(images)).items()}
    other = make_model()
    other.train_step(tf.constant(images))
    both = other.train_step(tf.constant(images))
    for name, value in both.items():
        np.testing.assert_allclose(value, (first[name] + second[name]) / 2, rtol=1e-5)


def test_alternating_updates_see_the_other_players_move(make_model, images):
    schedule = (("discriminator", "code_discriminator"), ("encoder", "generator"))
    together, alternating = make_model(), make_model(schedule=schedule)
    for model in (together, alternating):
        model.train_step(tf.constant(images))
    np.testing.assert_array_equal(weights(together)["discriminator"][0], weights(alternating)["discriminator"][0])
    assert not np.array_equal(weights(together)["generator"][0], weights(alternating)["generator"][0])


def test_critic_repeats_take_fresh_or_shared_batches(make_model, source):
    schedule = (("discriminator",) * 2, ("encoder", "generator", "code_discriminator"))
    shared, fresh = make_model(schedule=schedule), make_model(schedule=schedule, fresh_batches=True)
    assert shared.batches_per_step == 1
    assert fresh.batches_per_step == 3
    batch = source.fetch(np.arange(24)).reshape(8, 3, 16, 16, 3)
    fresh.train_step(tf.constant(batch))
    shared.train_step(tf.constant(batch[:, 0]))
    assert int(fresh.optimizers["discriminator"].iterations.numpy()) == 2
    assert int(fresh.optimizers["generator"].iterations.numpy()) == 1
    assert not np.array_equal(weights(shared)["discriminator"][0], weights(fresh)["discriminator"][0])
    repeated = make_model(schedule=schedule, fresh_batches=True)
    repeated.train_step(tf.constant(np.repeat(batch[:, :1], 3, axis=1)))
    np.testing.assert_array_equal(weights(shared)["discriminator"][0], weights(repeated)["discriminator"][0])


def test_shared_noise_repeats_the_pass(make_model):
    model = make_model(schedule=(("discriminator",) * 2, PLAYERS[:2] + PLAYERS[3:]), fresh_noise=False)
    np.testing.assert_array_equal(model._seeds(0)("prior"), model._seeds(1)("prior"))
    model = make_model(schedule=(("discriminator",) * 2, PLAYERS[:2] + PLAYERS[3:]))
    assert not np.array_equal(model._seeds(0)("prior"), model._seeds(1)("prior"))


def test_weight_averages_follow_their_formula(make_model, images):
    model = make_model(average_decay={"generator": 0.9})
    expected = [variable.numpy() for variable in model.generator.trainable_variables]
    for step in range(3):
        model.train_step(tf.constant(images))
        decay = min(0.9, (1 + step) / (10 + step))
        expected = [
            decay * old + (1 - decay) * v.numpy()
            for old, v in zip(expected, model.generator.trainable_variables, strict=True)
        ]
    averaged = model.network("generator")
    assert averaged is not model.generator
    assert model.network("encoder") is model.encoder
    for variable, value in zip(averaged.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-7)
    for average, source in zip(averaged.non_trainable_variables, model.generator.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(average.numpy(), source.numpy())


@pytest.mark.parametrize("decay", [{"generatr": 0.9}, {"generator": 1.0}])
def test_wrong_averages_are_refused(make_model, decay):
    with pytest.raises(UsageError, match="average_decay"):
        make_model(average_decay=decay)


@pytest.mark.full("models of test_properties take such steps")
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_in_float32_losses(make_model, images, policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = make_model()
        for _ in range(3):
            logs = model.train_step(tf.constant(images))
        full = make_model(compiled=False)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert all(np.isfinite(float(value)) for value in logs.values())
    assert model.encoder.layers[0].compute_dtype == policy.removeprefix("mixed_")
    assert all(variable.dtype == "float32" for variable in model.generator.trainable_variables)
    assert full.sample(2, seed=0).dtype == tf.float32
    if policy == "mixed_float16":
        assert isinstance(model.optimizers["generator"], keras.optimizers.LossScaleOptimizer)


def test_half_precision_clips_the_unscaled_gradient(make_model, images):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = make_model(optimizer=lambda name: keras.optimizers.SGD(1.0), clip_norm=0.01)
        for optimizer in model.optimizers.values():
            optimizer.dynamic_scale.assign(256.0)
        start = weights(model)["encoder"]
        model.train_step(tf.constant(images))
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    moved = tf.linalg.global_norm([a - b for a, b in zip(weights(model)["encoder"], start, strict=True)])
    np.testing.assert_allclose(moved, 0.01, rtol=2e-2)


def test_learning_rates_fall_by_steps_and_not_by_updates(make_model, images):
    """A critic that moves three times in a step must not use up its schedule in a third of the run."""
    fall = lambda name: keras.optimizers.SGD(keras.optimizers.schedules.PolynomialDecay(1.0, 2, 0.0))
    schedule = (("discriminator",) * 3, ("encoder", "generator", "code_discriminator"))
    model = make_model(optimizer=fall, schedule=schedule)
    rates = {name: [] for name in ("discriminator", "generator")}
    for _ in range(2):
        for name, seen in rates.items():
            seen.append(float(model.optimizers[name].learning_rate))
        model.train_step(tf.constant(images))
    assert rates["discriminator"] == rates["generator"] == [1.0, 0.5]
