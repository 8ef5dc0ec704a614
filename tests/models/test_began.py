"""BEGAN: its losses, its control over a resume, and its measure of convergence."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models import toys
from tfade.errors import UsageError
from tfade.models.began import BEGAN
from tfade.networks.autoencoding import AutoencodingDiscriminator
from tfade.seeds import Seeds
from tfade.spec import Batch
from tfade.training.checkpoints import restore, snapshot

NETWORKS = {
    "generator": toys.DECODER,
    "discriminator": functools.partial(
        AutoencodingDiscriminator, hidden_size=4, encoder=toys.ENCODER, decoder=toys.DECODER
    ),
}


def compiled(**arguments):
    keras.utils.set_random_seed(1)
    model = BEGAN((16, 16, 3), 5, **arguments, **NETWORKS)
    model.compile(lambda player: keras.optimizers.Adam(1e-3), seed=2)
    return model


def test_the_losses_by_hand(images):
    model, seeds = compiled(diversity=0.7), Seeds(0, 0)
    model.balance.assign(0.25)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    x = tf.constant(images / 127.5 - 1, tf.float32)
    fake = model.generator(seeds.rows("prior", 8, model.prior().sample), training=True)
    on_real, on_fake = (np.abs(each - model.discriminator(each, training=True)).mean((1, 2, 3)) for each in (x, fake))
    weight, value = losses["discriminator"]["fake"]
    assert float(weight) == -0.25
    np.testing.assert_allclose(value, on_fake, rtol=1e-3)
    np.testing.assert_allclose(losses["generator"]["reconstruction"], on_fake, rtol=1e-3)
    np.testing.assert_allclose(losses["discriminator"]["real"], on_real, rtol=1e-3)
    unweighted, measure = losses["discriminator"]["convergence"]
    assert unweighted == 0
    expected = on_real.mean() + abs(0.7 * on_real.mean() - on_fake.mean())
    np.testing.assert_allclose(measure, expected, rtol=1e-3)


def test_the_control_follows_its_recursion_over_a_resume(images, eager):
    """k ← clip(k + λ (γ L(x) - L(G(z))), 0, 1), with the means of every step, here by hand from what is reported."""
    model, k = compiled(diversity=0.9, gain=0.2), 0.0
    for number in range(6):
        if number == 3:
            other = compiled(diversity=0.9, gain=0.2)
            restore(other, snapshot(model.state()))
            model = other
        model.reset_metrics()
        logs = model.train_step(tf.constant(images))
        k = np.clip(k + 0.2 * (0.9 * logs["discriminator/real"] - logs["generator/reconstruction"]), 0, 1)
        np.testing.assert_allclose(model.balance.numpy(), k, rtol=1e-4, atol=1e-6)
    assert 0 < k < 1
    model.balance.assign(0.999)
    model.gain = 1e6
    model.after_step({"discriminator/real": 1.0, "discriminator/fake": 0.0})
    assert model.balance.numpy() == 1
    model.after_step({"discriminator/real": 0.0, "discriminator/fake": 1.0})
    assert model.balance.numpy() == 0


def test_the_output_is_higher_for_what_is_reconstructed_better(images):
    model = compiled()
    found = model.discriminate(images)
    x = images / 127.5 - 1
    by_hand = -np.abs(x - model.discriminator(x, training=False)).mean((1, 2, 3))
    np.testing.assert_allclose(found, by_hand, rtol=1e-4)


@pytest.mark.parametrize("given", [{"diversity": 0.0}, {"diversity": 1.5}, {"gain": 0.0}, {"gain": "x"}])
def test_wrong_arguments_are_refused_by_name(given):
    with pytest.raises(UsageError, match=next(iter(given))):
        compiled(**given)
