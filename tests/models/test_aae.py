"""The adversarial autoencoder: its losses by hand, as a WAE-GAN, and what a posterior without noise answers."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.models import toys
from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError
from tfade.evaluation.latents.posterior_kinds import is_deterministic
from tfade.models.aae import AAE
from tfade.networks.discriminators import CodeDiscriminator
from tfade.seeds import Seeds
from tfade.spec import Batch

AUTOENCODER = functools.partial(
    AAE,
    (16, 16, 3),
    5,
    encoder=toys.ENCODER,
    decoder=toys.DECODER,
    code_discriminator=functools.partial(CodeDiscriminator, width=8, depth=1),
)


def test_the_losses_by_hand(images):
    model = AUTOENCODER(reconstruction_weight=7.0, adversarial_weight=3.0, prior=functools.partial(GaussianMixture, 2))
    seeds = Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    x = images / 127.5 - 1
    code = model.encoder(x, training=True)
    z = seeds.rows("prior", 8, model.prior().sample)
    error = np.mean((x - model.decoder(code, training=True)) ** 2, (1, 2, 3))
    on_prior, on_codes = (np.asarray(model.code_adversary.network(each))[:, 0] for each in (z, code))
    (weight, reconstruction), (strength, adversarial) = losses["autoencoder"].values()
    assert (weight, strength) == (7.0, 3.0)
    np.testing.assert_allclose(reconstruction, error, rtol=1e-4)
    np.testing.assert_allclose(adversarial, np.logaddexp(0, -on_codes), rtol=1e-5)
    np.testing.assert_allclose(losses["code_discriminator"]["real"], np.logaddexp(0, -on_prior), rtol=1e-5)
    np.testing.assert_allclose(losses["code_discriminator"]["code"], np.logaddexp(0, on_codes), rtol=1e-5)


def test_the_cost_of_the_wasserstein_autoencoder(images):
    """0.05 Σ (x - x̂)² of images in [0, 1], as the authors' code has it, at the weight that the docstring states."""
    model = AUTOENCODER(reconstruction_weight=0.0125, reconstruction="sum")
    weight, error = model.losses(Batch(tf.constant(images)), Seeds(0, 0))["autoencoder"]["reconstruction"]
    x, decoded = images / 255, model.decoder(model.encoder(images / 127.5 - 1, training=True), training=True)
    by_hand = 0.05 * np.sum((x - (decoded + 1) / 2) ** 2, (1, 2, 3))
    np.testing.assert_allclose(weight * error, by_hand, rtol=1e-4)


def test_gaussian_codes_have_a_density_and_deterministic_ones_have_none(images):
    assert is_deterministic(AUTOENCODER().encode(images))
    gaussian = AUTOENCODER(gaussian_codes=True)
    assert not is_deterministic(gaussian.encode(images))
    assert np.isfinite(gaussian.encode(images).log_prob(gaussian.codes(images))).all()


@pytest.mark.parametrize(
    "given",
    [{"reconstruction_weight": -1.0}, {"adversarial_weight": "x"}, {"reconstruction": "l2"}, {"divergence": None}],
)
def test_wrong_arguments_are_refused_by_name(given):
    with pytest.raises(UsageError, match=next(iter(given))):
        AUTOENCODER(**given)
