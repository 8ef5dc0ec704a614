"""Discriminators of pairs, and the models that they teach to infer: BiGAN, ALI and VEEGAN."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models import toys
from tfade.errors import UsageError
from tfade.models.adversary import Adversary
from tfade.models.bigan import BiGAN
from tfade.models.veegan import VEEGAN
from tfade.networks.joint import JointDiscriminator
from tfade.networks.mlp import MLPDecoder, MLPEncoder
from tfade.objectives.divergences import CrossEntropy, LeastSquares, LogRatio, Wasserstein
from tfade.seeds import Seeds
from tfade.spec import Batch

NETWORKS = {
    **{"encoder": toys.ENCODER, "generator": toys.DECODER},
    "joint_discriminator": functools.partial(JointDiscriminator, encoder=toys.ENCODER, features=4, width=8, depth=1),
}
SHAPE = (16, 16, 3)


def logits(model, *pair):
    return np.asarray(model.adversary.network(pair, training=True), np.float64)[:, 0]


def softplus(v):
    return np.logaddexp(0, v)


def test_bigan_swaps_the_labels_of_both_kinds_of_pairs(images):
    model, seeds = BiGAN(SHAPE, 5, together=False, **NETWORKS), Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    x, z = tf.constant(images / 127.5 - 1, tf.float32), seeds.rows("prior", 8, model.prior().sample)
    inferred = logits(model, x, model.encoder(x, training=True))
    generated = logits(model, model.decoder(z, training=True), z)
    np.testing.assert_allclose(losses["autoencoder"]["inferred_adversarial"], softplus(inferred), rtol=2e-4)
    np.testing.assert_allclose(losses["autoencoder"]["generated_adversarial"], softplus(-generated), rtol=2e-4)
    np.testing.assert_allclose(losses["joint_discriminator"]["real"], softplus(-inferred), rtol=2e-4)
    np.testing.assert_allclose(losses["joint_discriminator"]["generated"], softplus(generated), rtol=2e-4)


def test_together_both_kinds_of_pairs_share_the_statistics_of_the_batch(images):
    model, seeds = BiGAN(SHAPE, 5, **NETWORKS), Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    x, z = tf.constant(images / 127.5 - 1, tf.float32), seeds.rows("prior", 8, model.prior().sample)
    pairs = tf.concat([x, model.decoder(z, training=True)], 0), tf.concat([model.encoder(x, training=True), z], 0)
    both = logits(model, *pairs)
    np.testing.assert_allclose(losses["joint_discriminator"]["real"], softplus(-both[:8]), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        losses["autoencoder"]["generated_adversarial"], softplus(-both[8:]), rtol=1e-3, atol=1e-4
    )
    apart = logits(model, x, model.encoder(x, training=True))
    assert np.abs(both[:8] - apart).max() > 1e-3


def test_ali_draws_its_codes(images):
    model = BiGAN(SHAPE, 5, gaussian_codes=True, **NETWORKS)
    x = images / 127.5 - 1
    assert np.any(model.code_sample(x, Seeds(0, 0)) != model.code_sample(x, Seeds(0, 1)))
    assert np.all(model.encode(images).stddev() > 0)


@pytest.mark.parametrize(("fools", "together"), [(False, False), (True, False), (False, True)])
def test_veegan_by_hand(images, fools, together):
    """Both readings of algorithm 1. D is its discriminator with the other sign."""
    arguments = {"reconstruction_weight": 2.0, "gaussian_codes": False, "together": together}
    arguments["reconstructor_fools_discriminator"] = fools
    model, seeds = VEEGAN(SHAPE, 5, **arguments, **NETWORKS), Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    x, z = tf.constant(images / 127.5 - 1, tf.float32), seeds.rows("prior", 8, model.prior().sample)
    generated = model.decoder(z, training=True)
    error = np.sum((z - model.encoder(generated, training=True)) ** 2, 1)
    pairs = (x, model.encoder(x, training=True)), (generated, z)
    on_data, on_generated = (logits(model, *pair) for pair in pairs)
    if together:
        on_data, on_generated = tf.split(logits(model, *(tf.concat(parts, 0) for parts in zip(*pairs))), 2)
    assert losses["generator"]["reconstruction"].weight == 2.0
    for player in ("generator", "reconstructor"):
        np.testing.assert_allclose(losses[player]["reconstruction"].value, error, rtol=1e-3)
    np.testing.assert_allclose(losses["generator"]["adversarial"], -on_generated, rtol=1e-3, atol=1e-5)
    assert ("adversarial" in losses["reconstructor"]) == fools
    if fools:
        np.testing.assert_allclose(losses["reconstructor"]["adversarial"], on_data, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(losses["joint_discriminator"]["real"], softplus(-on_data), rtol=1e-3)
    np.testing.assert_allclose(losses["joint_discriminator"]["generated"], softplus(on_generated), rtol=1e-3)


def test_a_stochastic_reconstructor_draws_other_noise_for_data_than_for_samples():
    networks = {
        "encoder": functools.partial(MLPEncoder, width=4, depth=1),
        "generator": functools.partial(MLPDecoder, width=4, depth=1),
        "joint_discriminator": functools.partial(JointDiscriminator, width=4, depth=1),
    }
    model, seeds = VEEGAN((2,), 3, **networks), Seeds(0, 0)
    x = tf.zeros((4, 2))
    assert np.all(model.code_sample(x, seeds) != model.code_sample(x, seeds, "reconstruction"))


@pytest.mark.parametrize("divergence", [CrossEntropy, LeastSquares, LogRatio, Wasserstein])
def test_who_makes_the_real_side_lowers_its_loss_by_lowering_the_output(divergence):
    v = tf.Variable([[-1.0], [0.2], [0.7]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(divergence().swapped(v))
    slopes = np.asarray(tape.gradient(loss, v))
    assert np.all(np.sign(slopes) == (np.sign(v) if divergence is LeastSquares else 1))


def test_the_minimax_form_swaps_to_the_discriminators_loss_with_the_other_sign():
    v = tf.constant([[-1.0], [2.0]])
    np.testing.assert_allclose(CrossEntropy(saturating=True).swapped(v), -softplus([1.0, -2.0]), rtol=1e-6)


def test_a_critic_of_pairs_finds_the_log_ratio_of_two_gaussians():
    """At its optimum T(x, z) = log p(x, z) - log q(x, z), here of two correlated normals: quadratic in (x, z)."""
    keras.utils.set_random_seed(0)
    mixes = [np.array([[1, 0], [rho, (1 - rho**2) ** 0.5]], np.float32) for rho in (0.6, -0.3)]

    def pairs(rows, seed, mix):
        drawn = tf.random.stateless_normal((rows, 2), (seed, mix is mixes[0])) @ mix.T
        return drawn[:, :1], drawn[:, 1:]

    def log_ratio(x, z):
        values = []
        for mix in mixes:
            precision, points = np.linalg.inv(mix @ mix.T), np.concatenate([x, z], 1)
            square = np.sum((points @ precision) * points, 1)
            values.append(-0.5 * square - np.log(np.linalg.det(mix)))
        return values[0] - values[1]

    critic = JointDiscriminator((1,), 1, width=32, depth=2)
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([700], [5e-3, 2e-4])
    adversary, optimizer = Adversary(critic, LogRatio), keras.optimizers.Adam(rates)
    optimizer.build(critic.trainable_variables)

    @tf.function(autograph=False)
    def step(number):
        with tf.GradientTape() as tape:
            terms = adversary.terms(pairs(512, number, mixes[0]), {"q": pairs(512, number, mixes[1])}, Seeds(0, 0))[1]
            loss = tf.reduce_mean(terms["real"] + terms["q"])
        optimizer.apply(tape.gradient(loss, critic.trainable_variables), critic.trainable_variables)

    for number in tf.range(1000):
        step(number)
    held_out = pairs(4000, 10_000, mixes[0])
    expected, found = log_ratio(*map(np.asarray, held_out)), np.asarray(critic(held_out))[:, 0]
    assert abs(found.mean() - expected.mean()) < 0.05  # the KL divergence, 0.66 nats
    assert np.mean((found - expected) ** 2) < 0.05 * expected.var()


def test_half_of_the_square_of_z_is_added():
    pair = tf.ones((2, 3)), 2 * tf.ones((2, 4))
    plain, square = JointDiscriminator((3,), 4, width=4), JointDiscriminator((3,), 4, width=4, half_square=True)
    for variable, other in zip(square.trainable_variables, plain.trainable_variables, strict=True):
        variable.assign(other)
    np.testing.assert_allclose(square(pair), plain(pair) + 8.0, rtol=1e-6)


@pytest.mark.parametrize("kind", [BiGAN, VEEGAN])
def test_no_density_and_no_discriminator_of_images_alone(kind, images):
    model = kind(SHAPE, 5, **NETWORKS)
    with pytest.raises(NotImplementedError, match=f"{kind.__name__} cannot log_prob: an adversary matches joint"):
        model.log_prob(images)
    with pytest.raises(NotImplementedError, match=f"{kind.__name__} cannot discriminate: it has no discriminator"):
        model.discriminate(images)
    with pytest.raises(UsageError, match="latent_size"):
        kind(SHAPE, 0, **NETWORKS)
    if kind is VEEGAN:
        with pytest.raises(UsageError, match="reconstruction_weight=-1.0"):
            kind(SHAPE, 5, reconstruction_weight=-1.0, **NETWORKS)
