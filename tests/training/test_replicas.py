"""One device and two carry the same run: synchronised batch norm, noise and data by position in the global batch."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import newest_state, train_here
from tfade.data.pipeline import batches
from tfade.errors import UsageError
from tfade.training.checkpoints import restore, snapshot
from tfade.training.strategy import make_strategy

STEPS = 10


def history(make_model, source, devices, steps=STEPS, **arguments):
    """Every reported term of every step, as arrays [steps]."""
    strategy = make_strategy(devices=devices)
    with strategy.scope():
        model = make_model(seed=3, optimizer=lambda name: keras.optimizers.Adam(2e-4, 0.5, 0.9), **arguments)
    make = lambda context=None: batches(source, 16, 0, batches_per_step=model.batches_per_step, context=context)
    data = make() if devices == 1 else strategy.distribute_datasets_from_function(make)
    record = model.fit(data, steps_per_epoch=1, epochs=steps, verbose=0, shuffle=False).history
    return model, {name: np.array(values) for name, values in record.items()}


OTHERS = {
    "clipped_averaged": {"clip_norm": 1.0, "average_decay": {"generator": 0.9}},
    "critic_steps": {
        "schedule": (("discriminator",) * 2, ("encoder", "generator", "code_discriminator")),
        "fresh_batches": True,
        "model_arguments": {"gaussian_codes": True},
    },
}


@pytest.mark.full("eager steps of every fourth model are compared, and compiled ones of two workers")
def test_two_replicas_train_like_one(make_model, source):
    """Compiled, as users have it, and over some steps."""
    assert_alike(make_model, source, STEPS)


@pytest.mark.full("one setting and every fourth model of test_properties are compared")
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("arguments", OTHERS.values(), ids=OTHERS)
def test_other_settings_train_alike(make_model, source, arguments):
    assert_alike(make_model, source, 3, **arguments)


def assert_alike(make_model, source, steps, **arguments):
    """One replica and two report the same terms in every step, and end with the same weights."""
    one, of_one = history(make_model, source, 1, steps, **arguments)
    two, of_two = history(make_model, source, 2, steps, **arguments)
    assert two.distribute_strategy.num_replicas_in_sync == 2
    for name, values in of_one.items():
        # The kinks of rectifiers make gradients, unlike losses, jump at a difference of rounding.
        tolerance = 2e-2 if name.endswith("gradient_norm") else 1e-4
        np.testing.assert_allclose(of_two[name], values, rtol=tolerance, atol=tolerance, err_msg=name)
    for name, variable in two.state().items():
        copies = [copy.numpy() for copy in two.distribute_strategy.experimental_local_results(variable.value)]
        assert len(copies) == 2
        np.testing.assert_array_equal(copies[0], copies[1], err_msg=name)
    for network in one.networks:
        for a, b in zip(one.network(network).variables, two.network(network).variables, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), atol=2e-3, err_msg=a.path)


def test_the_replicas_draw_different_noise(make_model):
    strategy = make_strategy(devices=2)
    with strategy.scope():
        model = make_model()
    drawn = tf.function(lambda: strategy.run(lambda: model._seeds(0).normal("prior", (8, 6))))()
    first, second = (part.numpy() for part in strategy.experimental_local_results(drawn))
    assert np.abs(first - second).min(axis=1).max() > 0.01
    whole = make_model()._seeds(0).normal("prior", (16, 6))
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)


@pytest.mark.full("the next test moves one from run to run")
@pytest.mark.usefixtures("eager")
def test_a_checkpoint_moves_between_one_and_two_replicas(make_model, source):
    one, _ = history(make_model, source, 1, 3)
    saved = snapshot(one.state())
    strategy = make_strategy(devices=2)
    with strategy.scope():
        two = make_model(seed=3, optimizer=lambda name: keras.optimizers.Adam(2e-4, 0.5, 0.9))
        restore(two, saved)
    for name, value in snapshot(two.state()).items():
        np.testing.assert_array_equal(value, saved[name], err_msg=name)
    make = lambda context=None: batches(source, 16, 0, start_step=3, context=context)
    continued = two.fit(
        strategy.distribute_datasets_from_function(make), steps_per_epoch=1, epochs=2, verbose=0, shuffle=False
    )
    alone = one.fit(make(), steps_per_epoch=1, epochs=2, verbose=0, shuffle=False)
    for name, values in alone.history.items():
        tolerance = 2e-2 if name.endswith("gradient_norm") else 1e-4
        np.testing.assert_allclose(continued.history[name], values, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.usefixtures("eager")
def test_a_run_of_one_replica_continues_on_two(tmp_path):
    shown = "Visualisation.samples = 0"
    assert train_here(tmp_path / "moved", "steps = 1", shown) == 0
    shutil.copytree(tmp_path / "moved", tmp_path / "stayed")
    assert train_here(tmp_path / "moved", "steps = 2", "Recipe.devices = 2", shown) == 0
    assert train_here(tmp_path / "stayed", "steps = 2", shown) == 0
    moved, stayed = newest_state(tmp_path / "moved"), newest_state(tmp_path / "stayed")
    assert int(moved["step"]) == 2
    for name, value in stayed.items():
        np.testing.assert_allclose(moved[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


def test_all_gpus_are_used_unless_devices_limits_them(monkeypatch):
    """Two logical CPUs stand for GPUs."""
    found = tf.config.list_logical_devices("CPU")
    assert make_strategy().num_replicas_in_sync == 1
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: found)
    assert make_strategy().num_replicas_in_sync == 2
    assert make_strategy(devices=1).num_replicas_in_sync == 1


@pytest.mark.parametrize("devices", [3, 8])
def test_devices_that_are_not_there_are_refused(devices):
    with pytest.raises(UsageError, match=f"devices={devices} asked for, 2 found"):
        make_strategy(devices=devices)
