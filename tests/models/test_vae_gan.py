"""VAE-GAN and α-GAN: their losses by hand, and layers of a discriminator."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models import toys
from tfade.distributions.gaussian import diagonal_normal
from tfade.errors import UsageError
from tfade.models.vae_gan import VAEGAN, features_of
from tfade.models.vgh import VGHPlusPlus
from tfade.networks.discriminators import ConvDiscriminator
from tfade.networks.joint import JointDiscriminator
from tfade.objectives.divergences import LogRatio
from tfade.seeds import Seeds
from tfade.spec import Batch

CRITIC = functools.partial(ConvDiscriminator, channels=(3,), dense=(4,))
NETWORKS = {"encoder": toys.ENCODER, "generator": toys.DECODER, "discriminator": CRITIC}
SHAPE = (16, 16, 3)


def softplus(v):
    return np.logaddexp(0, np.asarray(v, np.float64))[:, 0]


def test_vae_gan_by_hand(images):
    model, seeds = VAEGAN(SHAPE, 5, reconstruction_weight=0.3, feature_layer=1, **NETWORKS), Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
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
    np.testing.assert_allclose(features_of(discriminator, 0)(x), first(x), rtol=1e-6)
    np.testing.assert_allclose(features_of(discriminator, -len(discriminator.layers))(x), first(x), rtol=1e-6)
    with pytest.raises(UsageError, match=r"feature_layer=0 is a layer of a keras.Sequential, .* JointDiscriminator"):
        features_of(JointDiscriminator((3,), 2), 0)


def test_the_features_follow_the_discriminator():
    """They are no copy: a moved weight moves them."""
    discriminator = CRITIC(SHAPE)
    features, x = features_of(discriminator, 1), tf.ones((1, *SHAPE))
    before = features(x)
    discriminator.layers[0].bias.assign_add(tf.ones_like(discriminator.layers[0].bias))
    assert np.all(features(x) != before)
    assert isinstance(discriminator, keras.Sequential)
