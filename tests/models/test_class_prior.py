"""A VAE with a prior of each class: likelihoods of known value, draws of a class, and what may take the prior's place."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.models import toys
from tests.models.test_conditional import DISCRIMINATOR, GENERATOR, SPEC
from tests.models.toys import Linear, Same
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.mixture import GaussianMixture
from tfade.distributions.standard import StandardNormal
from tfade.errors import UsageError
from tfade.models.ade import ADE
from tfade.models.latent_density import LatentDensity
from tfade.models.vae import ConditionalPriorVAE, ConditionalVAE
from tfade.networks.conditioner import LinearConditioner
from tfade.seeds import Seeds
from tfade.spec import Spec

part = functools.partial
CENTRES = np.array([-2.0, 0.5, 3.0])


@pytest.fixture
def of_class():
    """x = z + 0.1 ε, z ~ N(m_y, s_y²) by class y, and the exact posterior where s = 0.7."""
    spec = Spec("toy", "train", (1,), "float32", None, num_classes=3)
    normal = part(DiagonalNormal, conditioner=LinearConditioner)
    model = ConditionalPriorVAE(spec, 1, Same, Linear, posterior=normal, prior=normal, context_size=1)
    model.decoder.layers[-1].kernel.assign([[1.0], [0.0], [0.0], [0.0]])
    model.networks["prior"].conditioner.layers[-1].kernel.assign(np.stack([CENTRES, np.full(3, np.log(0.7))], 1))
    posterior, variance = model.networks["posterior"], 0.7**2 + 0.1**2
    kernel = np.zeros((4, 2))
    kernel[:, 0] = [0.49 / variance, *(0.01 / variance * CENTRES)]
    posterior.conditioner.layers[-1].kernel.assign(kernel)
    posterior.offset.assign([0.0, np.log(0.07 / variance**0.5)])
    return model


def test_the_likelihood_under_a_prior_of_each_class(of_class):
    """With the exact posterior the bound with its KL in closed form, and every importance weight, are log p(x | y)."""
    x, labels, variance = np.array([[-1.5], [0.0], [3.3], [2.0]], np.float32), np.array([0, 1, 2, 0]), 0.5
    expected = -0.5 * (x[:, 0] - CENTRES[labels]) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    np.testing.assert_allclose(of_class.log_prob(x, 5, labels=labels), expected, atol=5e-3)
    noise = tf.random.stateless_normal((4, 4000, 1), (0, 1))
    terms = of_class.elbo.terms(tf.constant(x), noise, of_class._served(labels))
    np.testing.assert_allclose(np.std(terms.log_weight, 1), 0.0, atol=5e-3)
    bound = np.mean(terms.log_likelihood, 1) - np.sum(terms.kl, 1)
    np.testing.assert_allclose(bound, expected, atol=0.05)


def test_latents_are_drawn_for_the_class(of_class):
    labels = np.tile([0, 1, 2], 2000)
    drawn = of_class.sample(6000, seed=0, labels=labels)
    trained = of_class.generate(6000, Seeds(0, 0), labels)
    for values in (drawn, trained):
        for label in range(3):
            of_label = np.asarray(values)[labels == label]
            np.testing.assert_allclose([of_label.mean(), of_label.std()], [CENTRES[label], 0.7], atol=0.06)
    cold = of_class.sample(6000, temperature=0.5, seed=0, labels=labels)
    np.testing.assert_allclose(np.std(np.asarray(cold)[labels == 1]), 0.35, atol=0.03)
    z = np.linspace(-4, 5, 7)[:, None]
    of_classes = np.exp(-0.5 * ((z - CENTRES) / 0.7) ** 2) / 0.7 / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(of_class.prior().log_prob(z.astype("float32")), np.log(of_classes.mean(1)), rtol=1e-4)


def test_a_density_may_take_the_place_of_a_prior_of_each_class(of_class):
    model = LatentDensity(of_class.spec, lambda spec: of_class, distribution=StandardNormal)
    assert not model.has_class_prior
    assert model.prior().batch_shape.rank == 0
    labels = np.tile([0, 1, 2], 500)
    drawn = np.asarray(model.sample(1500, seed=0, labels=labels))
    assert abs(drawn[labels == 0].mean() - drawn[labels == 2].mean()) < 0.3  # x = z here, which no longer has a class


def test_latents_for_a_class_are_of_its_prior(of_class):
    assert of_class.has_class_prior
    drawn = of_class.draw_prior(3000, 1.0, (0, 1), [2] * 3000)
    np.testing.assert_allclose([np.mean(drawn), np.std(drawn)], [3.0, 0.7], atol=0.06)
    inside = part(ConditionalPriorVAE, encoder=toys.ENCODER, decoder=GENERATOR)
    assert ADE(SPEC, inside, DISCRIMINATOR, penalty=None).has_class_prior
    assert not ConditionalVAE(SPEC, 3, toys.ENCODER, GENERATOR).has_class_prior


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (StandardNormal, "StandardNormal.*does not depend on the class"),
        (GaussianMixture, "GaussianMixture.*cannot be drawn from noise"),
    ],
)
def test_priors_that_are_refused(prior, message):
    with pytest.raises(UsageError, match=message):
        ConditionalPriorVAE(SPEC, 3, prior=prior)
