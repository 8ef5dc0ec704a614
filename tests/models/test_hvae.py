"""Latents inside the decoder: codes as a whole, and who reaches what."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import assert_every_variable_gets_a_gradient
from tests.models.vaes import FLOW, LEVELS, NORMAL, disturb, levels
from tfade.data.loading import load
from tfade.distributions.pixels import DiscretizedLogistic
from tfade.distributions.topdown_levels import TopDownLevel
from tfade.errors import UsageError
from tfade.flows.autoregressive import IAF
from tfade.models.ade import ADE
from tfade.models.vae import VAE
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.sngan import SNGANDiscriminator, SNGANGenerator
from tfade.networks.topdown import BottomUpEncoder
from tfade.networks.topdown_decoder import TopDownDecoder
from tfade.spec import Batch

TOP, INNER = 5, 4 * 4 * 2 + 8 * 8 * 1
ENCODER = functools.partial(DCGANEncoder, width=4, initial_scale=None)
DECODER = functools.partial(DCGANGenerator, width=4, initial_scale=None)


@pytest.fixture
def images():
    """Six grey scans of digits, uint8 [6, 16, 16, 1]."""
    return load("digits", "train").fetch(np.arange(6))


def model_of(variant="precision", kind=VAE, compiled=False, **arguments) -> VAE:
    keras.utils.set_random_seed(4)
    parts = {
        "latent_size": TOP,
        "context_size": 7,
        "encoder": functools.partial(BottomUpEncoder, network=ENCODER),
        "decoder": functools.partial(TopDownDecoder, network=DECODER, channels=(2, 1), level=LEVELS[variant]),
        "posterior": NORMAL,
    }
    if kind is ADE:
        autoencoder = functools.partial(VAE, **{**parts, "flow": FLOW, **arguments})
        critic = functools.partial(SNGANDiscriminator, width=2)
        model = ADE((16, 16, 1), autoencoder, critic, discriminates_reconstructions=True)
    else:
        model = kind((16, 16, 1), **{**parts, **arguments})
    disturb(model)
    if compiled:
        model.compile(lambda name: keras.optimizers.Adam(1e-3))
    return model


def noise_for(count, rows=6):
    return tf.constant(np.random.default_rng(3).normal(size=(rows, count, TOP + INNER)), tf.float32)


def bound_terms(model, images, noise):
    target = model.observation_model.target(model.unit(images), lambda unit: tf.fill(tf.shape(unit), 0.5))
    return model.elbo.terms(target, noise, model.network)


@pytest.mark.every(4, 1)
@levels
def test_the_weight_of_a_code_from_the_public_distributions(variant, images):
    """log p(x | z) + log p(z) - log q(z | x), for codes that the test makes itself."""
    model = model_of(variant, pixels=DiscretizedLogistic)
    noise = noise_for(2)
    result = bound_terms(model, images, noise)
    context, maps = model.encoder(images.astype(np.float32) / 127.5 - 1, training=False)
    for index in range(2):
        top, inner = noise[:, index, :TOP], noise[:, index, TOP:]
        z = model.networks["posterior"].from_noise(top, context)[0]
        parameters, drawn = model.decoder(z, noise=inner, maps=maps, training=False)
        code = tf.concat([z, drawn.latents], -1)
        log_likelihood = model.networks["pixels"].distribution(parameters).log_prob(images.astype(np.float32))
        expected = log_likelihood + model.prior().log_prob(code) - model.encode(images).log_prob(code)
        np.testing.assert_allclose(result.log_weight[:, index], expected, rtol=1e-4)
        np.testing.assert_allclose(model.decode(code), model.networks["pixels"].mean(parameters), atol=1e-5)
    assert result.kl.shape == (6, TOP + 2)


@pytest.mark.full("as the hierarchical VAE of test_properties")
@levels
def test_everything_is_answered(variant, images):
    model = model_of(variant)
    size = TOP + INNER
    assert model.latent_size == size
    assert not model.gaussian_codes
    assert model.codes(images).shape == (6, size)
    assert model.reconstruct(images).shape == (6, 16, 16, 1)
    assert model.interpolate(images[:2], images[2:4], 3).shape == (2, 3, 16, 16, 1)
    np.testing.assert_array_equal(model.reconstruct(images), model.decode(model.codes(images)))
    np.testing.assert_array_equal(model.sample(3, seed=1), model.sample(3, seed=1))
    assert np.abs(model.sample(3, seed=1) - model.sample(3, seed=2)).max() > 1e-4
    posterior = model.encode(images)
    codes = posterior.sample(3, seed=1)
    assert codes.shape == (3, 6, size)
    together = posterior.log_prob(codes)
    assert together.shape == (3, 6)
    alone = model.encode(images[2:3]).log_prob(codes[:, 2:3])
    np.testing.assert_allclose(alone[:, 0], together[:, 2], rtol=1e-3, atol=1e-3)
    assert model.prior().log_prob(codes).shape == (3, 6)


def test_temperature_scales_every_level():
    """Deviations of the prior about its centre: those of z₀, and of the first level given z₀."""
    model = model_of()
    for part in (slice(0, TOP), slice(TOP, TOP + 32)):
        spread = [np.std(model.prior(t).sample(400, seed=0).numpy()[:, part], 0).mean() for t in (1.0, 0.25)]
        assert 0.2 < spread[1] / spread[0] < 0.35
    codes = model.prior(0.5).sample(3, seed=0)
    assert np.all(model.prior(0.5).log_prob(codes) > model.prior(1.0).log_prob(codes))


@pytest.mark.every(2, 1)
@levels
def test_several_codes_of_an_image_meet_its_own_maps(variant, images):
    model = model_of(variant)
    once = bound_terms(model, images, noise_for(1))
    thrice = bound_terms(model, images, tf.repeat(noise_for(1), 3, 1))
    np.testing.assert_allclose(thrice.log_weight, np.repeat(once.log_weight, 3, 1), rtol=1e-4)
    np.testing.assert_allclose(thrice.kl, once.kl, rtol=1e-3, atol=1e-3)


@pytest.mark.every(5, 4)
@pytest.mark.parametrize(("variant", "k"), [*((variant, 1) for variant in LEVELS), ("sum_iaf", 3)])
def test_every_variable_gets_a_gradient(variant, k, images):
    model = model_of(variant, importance_samples=k, compiled=True)
    assert_every_variable_gets_a_gradient(model, images)


@pytest.mark.every(4, 2)
@levels
def test_a_likelihood_of_several_draws_belongs_to_its_image(variant, images):
    model = model_of(variant)
    together = model.log_prob(images, 3).numpy()
    np.testing.assert_allclose(model.log_prob(images[[3, 0]], 3), together[[3, 0]], rtol=1e-4)


def test_each_level_has_free_bits_of_its_own(images):
    """The first level spends more than λ; the last one less, which costs λ and has no gradient."""
    model = model_of("sum", compiled=True)
    first, last = model.decoder.level_layers
    first.bottom_up.trainable_variables[1].assign_add([3.0, 3.0, 0.0, 0.0])  # to the means
    seeds = model._seeds(0)
    target = model.observation_model.target(model.unit(images), model.uniform_noise(seeds))
    noise = seeds.normal("code", (6, 1, model.latent_size))
    kl = model.elbo.terms(target, noise, model.networks.__getitem__, training=True).kl.numpy().mean(0)
    least = float(kl[TOP] + kl[TOP + 1]) / 2
    model.weights_of_bound = dataclasses.replace(model.weights_of_bound, free_bits=least)
    assert kl[TOP] > least > max(*kl[:TOP], kl[TOP + 1])
    with tf.GradientTape() as tape:
        terms = model.losses(Batch(tf.constant(images)), model._seeds(0))["autoencoder"]
        value = tf.reduce_mean(terms["kl_with_free_bits"].value)
    np.testing.assert_allclose(value, (TOP + 1) * least + kl[TOP], rtol=1e-4)
    gradients = tape.gradient(value, [level.bottom_up.trainable_variables[0] for level in (first, last)])
    assert np.any(gradients[0])
    assert gradients[1] is None or not np.any(gradients[1])


@pytest.mark.full("that of a VAE is tested in test_ade.py")
@pytest.mark.usefixtures("eager")
def test_the_adversary_reaches_nothing_of_the_posterior(images):
    model = model_of("sum_iaf", ADE, compiled=True)
    with tf.GradientTape(persistent=True) as tape:
        losses = model.losses(Batch(tf.constant(images)), model._seeds(0))["autoencoder"]
        adversarial = tf.reduce_mean(losses.pop("adversarial").value)
        of_reconstructions = tf.reduce_mean(losses.pop("adversarial_reconstruction").value)
        likelihood = tf.add_n([tf.reduce_mean(value) for _, value in losses.values()])

    def reached(loss, network):
        gradients = tape.gradient(loss, network.trainable_variables)
        return [gradient is not None and bool(np.any(tf.convert_to_tensor(gradient))) for gradient in gradients]

    of_posterior = [model.networks["encoder"], model.networks["posterior"]]
    for level in model.networks["decoder"].level_layers:
        of_posterior += [part for part in (level.bottom_up, level.top_down, level.flow) if part is not None]
        assert all(reached(adversarial, level.prior) + reached(adversarial, level.branch))
        assert not any(reached(of_reconstructions, level.prior))
    for network in of_posterior:
        assert not any(reached(adversarial, network) + reached(of_reconstructions, network)), network.name
        assert all(reached(likelihood, network)), network.name
    for loss in (adversarial, of_reconstructions):
        assert all(reached(loss, model.networks["decoder"].network) + reached(loss, model.networks["flow"]))
    logs = model.train_step(tf.constant(images))
    assert all(np.isfinite(value) for value in logs.values()), logs


def test_codes_of_the_bound_are_decoded_as_in_the_bound(images):
    """In training, with batch normalisation in the decoder: the codes are those of all levels."""
    model = model_of("sum_iaf")
    network = model.networks.__getitem__
    context = model.elbo.context(images / np.float32(256), network, training=True)
    drawn = model.latents.infer(context, noise_for(1), network, training=True)
    assert drawn.codes.shape == (6, 1, TOP + INNER)
    means = model.observation_model.images(drawn.parameters, network)
    np.testing.assert_allclose(model.regenerate(drawn.codes[:, 0]), means, rtol=1e-4, atol=1e-5)
    assert np.ptp(means, axis=0).max() > 0.01


def test_latents_at_the_size_of_the_image(images):
    """Other networks than DCGAN's: SNGAN's generator has feature maps of every side, an encoder must have them too."""
    network = functools.partial(SNGANGenerator, width=2)
    wide = functools.partial(TopDownDecoder, network=network, channels=(1, 1, 1), level=TopDownLevel)
    with pytest.raises(UsageError, match="sides"):
        model_of(decoder=wide)
    model = model_of(decoder=functools.partial(TopDownDecoder, network=network, channels=(3,), level=TopDownLevel))
    assert model.latent_size == TOP + 4 * 4 * 3
    assert np.isfinite(model.log_prob(images)).all()


def ladder(**arguments):
    return functools.partial(TopDownDecoder, **{"network": DECODER, "level": TopDownLevel, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": ENCODER}, "TopDownDecoder goes with BottomUpEncoder"),
        ({"decoder": DECODER}, "TopDownDecoder goes with BottomUpEncoder"),
        ({"decoder": ladder(channels=())}, r"channels=\(\)"),
        ({"decoder": ladder(channels=(1, 0))}, r"channels=\(1, 0\)"),
        ({"decoder": ladder(channels=(1, 1, 1))}, "1 to 2 levels"),
        ({"decoder": ladder(level=None)}, "TopDownDecoder.level=None; give a class of levels"),
        ({"decoder": ladder(level=3)}, "TopDownDecoder.level=3 is not a class"),
        ({"decoder": ladder(level=functools.partial(TopDownLevel, merge="product"))}, "merge='product'"),
        ({"decoder": ladder(level=functools.partial(TopDownLevel, flow=3))}, "flow=3"),
        ({"decoder": ladder(level=functools.partial(TopDownLevel, flow=IAF()))}, "is not a class"),
        ({"decoder": ladder(level=functools.partial(TopDownLevel, flow=NORMAL))}, "makes no flow"),
    ],
)
def test_parts_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        model_of(**arguments)


def test_a_decoder_wants_noise_or_latents():
    decoder = model_of().decoder
    with pytest.raises(UsageError, match="either noise"):
        decoder(tf.zeros((2, TOP)))


def test_whole_codes_have_a_likelihood(images):
    """log p(x | z) of all levels' codes is the one that the bound is made of."""
    model, noise = model_of("sum"), noise_for(1)
    y = model.to_observation(images)[0]
    context, maps = model.elbo.context(y, model.network)
    top, inner = model.latents._split(noise[:, 0])
    z = model.networks["posterior"].from_noise(top, context)[0]
    codes = tf.concat([z, model.decoder(z, noise=inner, maps=maps, training=False)[1].latents], -1)
    expected = model.elbo.terms(y, noise, model.network).log_likelihood[:, 0]
    np.testing.assert_allclose(model.log_likelihood(images, codes), expected, rtol=1e-4)
