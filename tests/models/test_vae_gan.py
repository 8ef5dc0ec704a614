"""VAE-GAN and α-GAN: their losses by hand, and layers of a discriminator."""

import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models import toys
from tfade.distributions.gaussian import diagonal_normal
from tfade.errors import UsageError
from tfade.models.vae_gan import VAEGAN, with_features
from tfade.models.vgh import VGHPlusPlus
from tfade.networks.discriminators import ConvDiscriminator
from tfade.networks.joint import JointDiscriminator
from tfade.objectives.divergences import LogRatio, Wasserstein
from tfade.objectives.penalties import R1
from tfade.seeds import Seeds
from tfade.spec import Batch

CRITIC = functools.partial(ConvDiscriminator, channels=(3,), dense=(4,))
NETWORKS = {"encoder": toys.ENCODER, "generator": toys.DECODER, "discriminator": CRITIC}
SHAPE = (16, 16, 3)


def softplus(v):
    return np.logaddexp(0, np.asarray(v, np.float64))[:, 0]


def terms_of(losses):
    return {player: set(terms) for player, terms in losses.items()}


def test_vae_gan_by_hand(images):
    model, seeds = VAEGAN(SHAPE, 5, reconstruction_weight=0.3, feature_layer=1, **NETWORKS), Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    assert terms_of(losses) == {
        "encoder": {"kl", "feature_reconstruction"},
        "generator": {"feature_reconstruction", "reconstruction_adversarial", "sample_adversarial"},
        "discriminator": {"real", "reconstruction", "sample"},
    }
    x = tf.constant(images / 127.5 - 1, tf.float32)
    q = diagonal_normal(model.encoder(x, training=True))
    mean, scale = np.asarray(q.mean()), np.asarray(q.stddev())
    code = mean + scale * seeds.normal("code", (8, 5))
    kl = 0.5 * np.sum(mean**2 + scale**2 - 1 - 2 * np.log(scale), 1)
    reconstruction = model.decoder(code, training=True)
    sample = model.decoder(seeds.rows("prior", 8, model.prior().sample), training=True)
    convolution, rectifier = model.discriminator.layers[:2]
    errors = np.sum((rectifier(convolution(x)) - rectifier(convolution(reconstruction))) ** 2, (1, 2, 3))
    np.testing.assert_allclose(losses["encoder"]["kl"], kl, rtol=1e-3, atol=1e-4)
    for player, weight in (("encoder", 0.5), ("generator", 0.15)):
        assert losses[player]["feature_reconstruction"].weight == pytest.approx(weight)
        np.testing.assert_allclose(losses[player]["feature_reconstruction"].value, errors, rtol=1e-3)
    for name, fake in (("reconstruction", reconstruction), ("sample", sample)):
        np.testing.assert_allclose(
            losses["generator"][f"{name}_adversarial"], softplus(-model.discriminator(fake)), rtol=1e-3
        )
        np.testing.assert_allclose(losses["discriminator"][name], softplus(model.discriminator(fake)), rtol=1e-3)
    np.testing.assert_allclose(losses["discriminator"]["real"], softplus(-model.discriminator(x)), rtol=1e-3)
    with pytest.raises(NotImplementedError, match="VAEGAN cannot log_prob: its likelihood is over discriminator"):
        model.log_prob(images)


def test_alpha_gan_estimates_log_ratios(images, make_model):
    """Of VGH++ only the generators' sides change: log(1 - D) - log D."""
    arguments = {"divergence": LogRatio, "code_divergence": LogRatio}
    model, seeds = make_model(VGHPlusPlus, model_arguments=arguments), Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    assert terms_of(losses) == {
        "encoder": {"reconstruction", "code_adversarial"},
        "generator": {"reconstruction", "reconstruction_adversarial", "sample_adversarial"},
        "discriminator": {"real", "reconstruction", "sample"},
        "code_discriminator": {"real", "code"},
    }
    code = model.encoder(images / 127.5 - 1, training=True)
    sample = model.generator(seeds.rows("prior", 8, model.prior().sample), training=True)
    expected = -np.asarray(model.code_discriminator(code))[:, 0]
    np.testing.assert_allclose(losses["encoder"]["code_adversarial"], expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        losses["generator"]["sample_adversarial"],
        -np.asarray(model.discriminator(sample, training=True))[:, 0],
        rtol=1e-3,
        atol=1e-4,
    )
    prior = model.code_discriminator(seeds.rows("prior", 8, model.prior().sample))
    np.testing.assert_allclose(losses["code_discriminator"]["real"], softplus(-prior), rtol=1e-3)


def test_the_balance_of_data_and_fakes_is_the_discriminators_alone(images):
    """r real + (1 - r) / 2 (reconstruction + sample), as in the authors' code."""
    keras.utils.set_random_seed(0)
    plain = VAEGAN(SHAPE, 5, feature_layer=1, **NETWORKS).losses(Batch(tf.constant(images)), Seeds(0, 0))
    keras.utils.set_random_seed(0)
    model = VAEGAN(SHAPE, 5, feature_layer=1, real_weight=0.66, penalty=R1, **NETWORKS)
    losses = model.losses(Batch(tf.constant(images)), Seeds(0, 0))
    weights = {name: term.weight for name, term in losses["discriminator"].items()}
    assert weights == pytest.approx({"real": 0.66, "reconstruction": 0.17, "sample": 0.17, "r1": 1.0})
    for name, value in plain["discriminator"].items():
        np.testing.assert_allclose(losses["discriminator"][name].value, value, rtol=1e-5)
    for name in ("reconstruction_adversarial", "sample_adversarial"):
        np.testing.assert_allclose(losses["generator"][name], plain["generator"][name], rtol=1e-5)


@pytest.mark.parametrize("weight", [0, 1, -0.5, 1.0, "x", True, math.nan])
def test_a_balance_out_of_range_is_refused(weight):
    with pytest.raises(UsageError, match=f"real_weight={weight!r} must be a number between 0 and 1, both excluded"):
        VAEGAN(SHAPE, 5, real_weight=weight, **NETWORKS)


def test_a_divergence_that_shifts_takes_no_balance():
    with pytest.raises(UsageError, match="real_weight=0.5 does not go with Wasserstein, .*; use None"):
        VAEGAN(SHAPE, 5, feature_layer=1, real_weight=0.5, divergence=Wasserstein, **NETWORKS)


def test_images_pass_the_discriminator_once(images, monkeypatch):
    """Its features are those of the pass of the discriminator that sees them."""
    model, seen = VAEGAN(SHAPE, 5, feature_layer=1, **NETWORKS), []
    layer = model.discriminator.layers[0]
    convolve = layer.call
    monkeypatch.setattr(layer, "call", lambda inputs: seen.append(inputs) or convolve(inputs))
    model.losses(Batch(tf.constant(images)), Seeds(0, 0))
    assert len(seen) == 3


@pytest.mark.parametrize("position", [7, -1, 6, 5, -2, -8, 1.0, True, "conv"])
def test_a_layer_that_does_not_exist_is_refused(position):
    with pytest.raises(
        UsageError, match="feature_layer=.* is not a layer of the discriminator before its head: 0 Conv"
    ):
        VAEGAN(SHAPE, 5, feature_layer=position, **NETWORKS)


def test_layers_are_those_of_a_sequence():
    discriminator = CRITIC(SHAPE)
    x = tf.random.stateless_normal((2, *SHAPE), (0, 1))
    first = discriminator.layers[0]
    for position in (0, -len(discriminator.layers)):
        features, output = with_features(discriminator, position)(x)
        np.testing.assert_allclose(features, first(x), rtol=1e-6)
        np.testing.assert_allclose(output, discriminator(x), rtol=1e-6)
    with pytest.raises(UsageError, match=r"feature_layer=0 is a layer of a keras.Sequential, .* JointDiscriminator"):
        with_features(JointDiscriminator((3,), 2), 0)


def test_the_features_follow_the_discriminator():
    """They are no copy: a moved weight moves them."""
    discriminator = CRITIC(SHAPE)
    discriminator_of, x = with_features(discriminator, 1), tf.ones((1, *SHAPE))
    before, _ = discriminator_of(x)
    discriminator.layers[0].bias.assign_add(tf.ones_like(discriminator.layers[0].bias))
    assert np.all(discriminator_of(x)[0] != before)
    assert isinstance(discriminator, keras.Sequential)
