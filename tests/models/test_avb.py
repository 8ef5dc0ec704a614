"""Adversarial variational Bayes: its losses by hand, toys of known values, and what an implicit posterior answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.avb_toys import IMAGES, ONE_HOT, SMALL, VECTORS, mean_log_likelihood, part
from tfade.data.digits import digits
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.implicit import ImplicitPosterior
from tfade.distributions.pixels import Bernoulli
from tfade.errors import UsageError
from tfade.models.ade import ADE
from tfade.models.avb import AVB
from tfade.models.optimization import Optimization
from tfade.models.vae import VAE
from tfade.networks.conditioner import LinearConditioner
from tfade.networks.joint import JointDiscriminator
from tfade.networks.mlp import MLPDecoder, MLPEncoder
from tfade.seeds import Seeds
from tfade.spec import Batch


@pytest.mark.parametrize("adaptive_contrast", [False, True])
def test_the_losses_by_hand(adaptive_contrast):
    x, seeds = tf.random.stateless_normal((6, 3), (0, 1)), Seeds(1, 2)
    model = AVB((3,), 2, posterior=SMALL, adaptive_contrast=adaptive_contrast, kl_weight=0.5, **VECTORS)
    losses = model.losses(Batch(x), seeds)
    context, posterior = model.encoder(x), model.networks["posterior"]
    z = posterior.codes(seeds.normal("code", (6, 1, 4))[:, 0], context)
    log_prior = -0.5 * np.sum(z**2, 1) - np.log(2 * np.pi)
    seen, drawn, log_contrast = z, seeds.rows("prior", 6, model.prior().sample), log_prior
    if adaptive_contrast:
        fixed = np.stack([posterior.codes(tf.repeat(noise[None], 6, 0), context) for noise in posterior._fixed])
        mean, scale = fixed.mean(0), np.sqrt(fixed.var(0) + 1e-4)
        seen, drawn = (z - mean) / scale, seeds.normal("contrast", (6, 2))
        log_contrast = np.sum(-0.5 * seen**2 - np.log(scale), 1) - np.log(2 * np.pi)
    critic = model.networks["joint_discriminator"]
    on_posterior, on_contrast = (np.asarray(critic((x, codes)))[:, 0] for codes in (seen, drawn))
    terms, discriminator = losses["autoencoder"], losses["joint_discriminator"]
    assert terms["kl"].weight == pytest.approx(0.5 / 3)
    np.testing.assert_allclose(terms["kl"].value, on_posterior + log_contrast - log_prior, rtol=1e-3, atol=1e-4)
    expected = -model.observation(z).log_prob(x)
    np.testing.assert_allclose(terms["reconstruction"].value, expected, rtol=1e-4)
    np.testing.assert_allclose(discriminator["real"], np.logaddexp(0, -on_posterior), rtol=1e-3)
    np.testing.assert_allclose(discriminator["contrast"], np.logaddexp(0, on_contrast), rtol=1e-3)


def test_the_moments_of_the_contrast_are_constants():
    """The gradient of the KL divergence's estimate, against one with moments that are taken outside the tape."""
    x, seeds = tf.random.stateless_normal((6, 3), (0, 1)), Seeds(1, 2)
    model = AVB((3,), 2, posterior=SMALL, adaptive_contrast=True, **VECTORS)
    posterior, critic = model.networks["posterior"], model.networks["joint_discriminator"]
    normal = posterior.distribution(model.encoder(x)).normal_approximation()
    mean, scale = np.asarray(normal.mean()), np.asarray(normal.stddev())
    variables = [*model.encoder.trainable_variables, *posterior.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        kl = model.losses(Batch(x), seeds)["autoencoder"]["kl"].value
        z = posterior.codes(seeds.normal("code", (6, 1, 4))[:, 0], model.encoder(x))
        seen = (z - mean) / scale
        by_hand = critic((x, seen))[:, 0] + tf.reduce_sum(0.5 * z**2 - 0.5 * seen**2 - np.log(scale), 1)
    np.testing.assert_allclose(kl, by_hand, rtol=1e-3, atol=1e-4)
    for found, expected in zip(tape.gradient(kl, variables), tape.gradient(by_hand, variables), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


class Known(ImplicitPosterior):
    """N(2 x, 0.1² I) of vectors x [batch, 2], of which the model does not know it."""

    def codes(self, noise, context):
        return 2.0 * context + 0.1 * noise[..., :2]


class Identity(keras.Sequential):
    """Vectors as they are."""

    def __init__(self, shape, outputs):
        super().__init__([keras.Input(shape), keras.layers.Activation("linear")])


def test_adaptive_contrast_estimates_a_known_kl_better():
    """Both discriminators have the same steps; the KL divergence is ½ Σ (4 x² + σ² - 1 - 2 log σ), 7.6 nats on average."""
    x = tf.random.stateless_normal((256, 2), (0, 1))
    known = 0.5 * np.sum(4 * np.square(x) + 0.01 - 1 - 2 * np.log(0.1), 1)
    errors = []
    for adaptive_contrast in (False, True):
        keras.utils.set_random_seed(0)
        networks = {
            **VECTORS,
            **{"encoder": Identity, "context_size": 2, "posterior": part(Known, moments=64)},
            "joint_discriminator": part(JointDiscriminator, width=32, depth=2),
        }
        model = AVB((2,), 2, adaptive_contrast=adaptive_contrast, **networks)
        critic, optimizer = model.adversary.network, keras.optimizers.Adam(5e-3)
        optimizer.build(critic.trainable_variables)

        @tf.function(autograph=False)
        def step(number, model=model, critic=critic, optimizer=optimizer):
            with tf.GradientTape() as tape:
                terms = model.losses(Batch(x), Seeds(0, number))["joint_discriminator"]
                loss = tf.reduce_mean(terms["real"] + terms["contrast"])
            optimizer.apply(tape.gradient(loss, critic.trainable_variables), critic.trainable_variables)

        for number in tf.range(150):
            step(number)
        kl = model.losses(Batch(x), Seeds(1, 0))["autoencoder"]["kl"].value
        errors.append(abs(float(np.mean(kl - known))))
    assert errors[0] > 1.0  # what the prior as contrast leaves
    assert errors[1] < 0.25


def gap_of_the_toy(kind, steps: int, batch: int, **arguments) -> float:
    """Trains a model of the four images; how many nats it stays below -log 4."""
    keras.utils.set_random_seed(0)
    networks = {
        **{"latent_size": 2, "context_size": 16, "pixels": Bernoulli},
        **{"encoder": part(MLPEncoder, width=32, depth=1), "decoder": part(MLPDecoder, width=64, depth=2)},
    }
    model = kind((2, 2, 1), **networks, **arguments)
    schedule = (("joint_discriminator",) * 4, ("autoencoder",)) if kind is AVB else None

    def optimizer(player):
        rate = 3e-3 if player == "joint_discriminator" else 1e-3 if steps > 1000 else 2e-3
        return keras.optimizers.Adam(keras.optimizers.schedules.PolynomialDecay(rate, steps, rate / 50), 0.5, 0.9)

    model.compile(optimizer, Optimization(schedule), seed=0)
    data = tf.constant(np.tile(ONE_HOT, (batch // 4, 1, 1, 1)))

    @tf.function
    def train():
        for _ in tf.range(steps):
            model.train_step(data)

    train()
    return -np.log(4) - mean_log_likelihood(model)


@pytest.mark.parametrize(
    ("steps", "batch", "nats", "factor"),
    [(500, 64, 0.3, 1.3), pytest.param(12000, 256, 0.02, 2, marks=pytest.mark.full("minutes"))],
)
def test_four_images_are_told_apart_by_their_codes(steps, batch, nats, factor):
    """The best is -log 4: each image has a quarter of the codes, with edges that no normal posterior can follow: a VAE
    with the same decoder and budget stays further away.
    """
    budget = {"steps": steps, "batch": batch}
    implicit = gap_of_the_toy(
        AVB,
        posterior=part(ImplicitPosterior, noise_size=4, width=64, depth=2),
        joint_discriminator=part(JointDiscriminator, width=64, depth=2, half_square=True),
        **budget,
    )
    assert 0 < implicit < nats
    normal = gap_of_the_toy(VAE, posterior=part(DiagonalNormal, conditioner=LinearConditioner), **budget)
    assert normal > factor * implicit


def test_the_posterior_is_drawn_and_has_no_density():
    model, images = AVB((16, 16, 1), 3, adaptive_contrast=True, **IMAGES), digits("train").fetch(np.arange(8))
    posterior = model.encode(images)
    draws = posterior.sample(2000, seed=(1, 2))
    assert draws.shape == (2000, 8, 3)
    np.testing.assert_array_equal(posterior.sample(3, seed=(1, 2)), posterior.sample(3, seed=(1, 2)))
    spread = np.std(draws, 0)
    np.testing.assert_allclose(np.mean(draws, 0), posterior.mean(), atol=float(1.5 * spread.max()))
    assert np.all(spread > 0)
    np.testing.assert_array_equal(model.codes(images), posterior.mean())
    with pytest.raises(NotImplementedError):
        posterior.log_prob(model.codes(images))
    normal = posterior.normal_approximation()
    np.testing.assert_allclose(normal.mean(), posterior.mean(), rtol=1e-5)
    np.testing.assert_allclose(normal.variance(), posterior.variance() + 1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VAE((3,), 2, posterior=SMALL, encoder=VECTORS["encoder"], decoder=VECTORS["decoder"]), "use AVB"),
        (lambda: AVB((3,), 2, posterior=DiagonalNormal, **VECTORS), "takes an ImplicitPosterior"),
        (lambda: AVB((3,), 2, posterior=SMALL, **{**VECTORS, "context_size": 0}), "context_size=0"),
        (lambda: AVB((3,), 2, posterior=SMALL, prior=DiagonalNormal, **VECTORS), "AVB.prior=DiagonalNormal is learned"),
        (lambda: ADE((16, 16, 1), autoencoder=part(AVB, latent_size=3, **IMAGES)), "VAE with a bound"),
    ],
)
def test_parts_that_do_not_fit_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
