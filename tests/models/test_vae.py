"""VAEs: the terms of the bound, parts that can be exchanged, likelihoods that belong to an image."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import assert_every_variable_gets_a_gradient
from tests.models.vaes import FLOW, IDENTITY, NORMAL, POSTERIORS, model_of
from tfade import slices
from tfade.data.loading import load
from tfade.distributions.autoregressive_networks import AutoregressiveMADE
from tfade.distributions.mixture import GaussianMixture
from tfade.distributions.pixels import Bernoulli, Categorical, DiscretizedLogistic, IsotropicNormal, QuantizedNormal
from tfade.distributions.standard import StandardLogistic
from tfade.errors import UsageError
from tfade.flows.linear import DiagonalScaling
from tfade.flows.preprocessing import Flatten
from tfade.flows.stack import Stack
from tfade.networks.dcgan import DCGANEncoder
from tfade.objectives.bounds import free_bits
from tfade.seeds import per_example_noise
from tfade.spec import Batch
from tfade.training import strategy

PIXELS = [Bernoulli, IsotropicNormal, QuantizedNormal, DiscretizedLogistic, Categorical]


@pytest.fixture
def images():
    """Six grey scans of digits, uint8 [6, 16, 16, 1]."""
    return load("digits", "train").fetch(np.arange(6))


@pytest.mark.every(4, 3)
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("posterior", POSTERIORS.values(), ids=POSTERIORS)
def test_posteriors_answer_everything(posterior, images):
    model = model_of(posterior=posterior, compiled=True)
    logs = model.train_step(tf.constant(images))
    assert all(np.isfinite(value) for value in logs.values()), logs
    assert model.encode(images).sample(3, seed=1).shape == (3, 6, 5)
    assert model.codes(images).shape == (6, 5)
    assert model.reconstruct(images).shape == model.sample(6, seed=0).shape == (6, 16, 16, 1)
    assert model.interpolate(images[:2], images[2:4], 3).shape == (2, 3, 16, 16, 1)
    assert np.isfinite(model.log_prob(images)).all()


@pytest.mark.every(5, 3)
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("pixels", PIXELS)
def test_pixel_distributions_train(pixels, images):
    model = model_of(pixels=pixels, compiled=True)
    logs = model.train_step(tf.constant(images))
    assert all(np.isfinite(value) for value in logs.values()), logs
    assert set(model.validate(Batch(images))) == {"nll", "kl"} | (
        {"bits_per_dim"} if pixels is not Bernoulli else set()
    )
    sample = model.sample(4, seed=0).numpy()
    assert sample.shape == (4, 16, 16, 1)
    assert sample.min() >= 0
    assert sample.max() <= 1


SERVED = {"maf": Categorical, "real_nvp": DiscretizedLogistic, "iaf": Bernoulli, "diagonal": QuantizedNormal}


@pytest.mark.every(4, 2)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("flow", [None, FLOW], ids=["pixels", "features"])
def test_every_variable_gets_a_gradient(flow, k, images):
    model = model_of(flow=flow, importance_samples=k, compiled=True)
    assert_every_variable_gets_a_gradient(model, images)


def test_the_terms_add_up_to_the_negative_bound(images):
    """The loss in training against log-densities computed one by one."""
    model = model_of(flow=FLOW, compiled=True)
    terms = model.losses(Batch(tf.constant(images)), model._seeds(0))["autoencoder"]
    seeds = model._seeds(0)
    y = (images.astype(np.float32) + seeds.uniform("dequantisation", (6, 16, 16, 1))) / 256
    features, log_det = model.networks["flow"].bijector().inverse_and_log_det(y)
    context = model.encoder(2 * y - 1, training=True)
    posterior = model.networks["posterior"].distribution(context)
    z = posterior.mean() + posterior.stddev() * seeds.normal("code", (6, 1, 5))[:, 0]
    means, scale = model.networks["pixels"]._location_and_scale(model.decoder(z, training=True))
    likelihood = np.sum(
        -0.5 * ((features - means) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi),
        axis=(1, 2, 3),
    )
    kl = 0.5 * np.sum(posterior.variance() + posterior.mean() ** 2 - 1 - np.log(posterior.variance()), -1)
    np.testing.assert_allclose(terms["reconstruction"].value, -likelihood, rtol=1e-4)
    np.testing.assert_allclose(terms["kl"].value, kl, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(terms["log_det"].value, -log_det, rtol=1e-4)
    assert {weight for weight, _ in terms.values()} == {1 / 256}


def test_more_samples_raise_the_bound(images):
    model = model_of(spread=0.2)
    values = [float(tf.reduce_mean(model.log_prob(images, num_samples=k))) for k in (1, 20)]
    assert values[1] > values[0] + 1


def test_many_codes_are_decoded_a_few_at_a_time(images, monkeypatch):
    """How many go together depends on the batch; which they are does not."""
    model = model_of(spread=0.2)
    whole = model.log_prob(images, num_samples=10)
    monkeypatch.setattr(slices, "OUTPUTS_AT_ONCE", 6 * 256 * 3)
    np.testing.assert_allclose(model.log_prob(images, num_samples=10), whole, rtol=1e-5)
    np.testing.assert_allclose(model.log_prob(images[:2], num_samples=10), whole[:2], rtol=1e-4)


def test_many_images_are_decoded_a_few_at_a_time(images, monkeypatch):
    model = model_of(spread=0.2, pixels=Categorical)
    decoded, decoder = [], model.decoder.call
    monkeypatch.setattr(model.decoder, "call", lambda z, **given: decoded.append(len(z)) or decoder(z, **given))
    whole = model.validate(Batch(images))
    monkeypatch.setattr(slices, "OUTPUTS_AT_ONCE", 256 * 256 * 4)
    parts = model.validate(Batch(images))
    assert decoded == [6, 4, 4]
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-4)


def test_a_graph_decodes_a_few_at_a_time_too(images, monkeypatch):
    """Of images and of codes: no tensor is larger, and the graph does not grow with them."""
    model, rows = model_of(spread=0.2, pixels=Categorical), tf.constant(np.resize(images, (12, *images.shape[1:])))
    ask = lambda examples, count: tf.function(lambda x: model.log_prob(x, count), autograph=False)
    expected = {count: model.log_prob(rows, count) for count in (1, 6)}
    monkeypatch.setattr(slices, "OUTPUTS_AT_ONCE", 256 * 256 * 4)
    decoded, decoder = [], model.decoder.call
    monkeypatch.setattr(model.decoder, "call", lambda z, **given: decoded.append(z.shape[0]) or decoder(z, **given))
    for count, whole in expected.items():
        np.testing.assert_allclose(ask(rows, count)(rows), whole, rtol=1e-4)
    assert decoded == [4, 4]  # traced once each: four images, and four times one of their codes


def test_temperature_zero_is_the_centre_of_the_prior():
    model = model_of(spread=0.2)
    np.testing.assert_allclose(model.sample(3, temperature=0.0, seed=1), model.decode(tf.zeros((3, 5))), atol=1e-6)


def test_features_of_known_jacobian(images):
    """A flow y ↦ y / s changes the bound by its log-determinant and by nothing else."""
    pixels = functools.partial(IsotropicNormal, scale_range=(1e-6, 1e6))
    plain, scaled = (model_of(flow=IDENTITY, pixels=pixels, spread=0.0) for _ in range(2))
    log_scale = scaled.networks["flow"].trainable_variables[0]
    log_scale.assign(np.full(log_scale.shape, 0.7))
    y = tf.constant(images, tf.float32) / 256
    features, log_det = scaled.networks["flow"].bijector().inverse_and_log_det(y)
    factor = float(tf.reduce_sum(features) / tf.reduce_sum(y))
    np.testing.assert_allclose(log_det, 256 * np.log(factor), rtol=1e-5)
    # The same density of y: means and σ of the plain model, in the units of the features.
    head = scaled.decoder.trainable_variables
    for mine, theirs in zip(head[-2:], plain.decoder.trainable_variables[-2:]):
        mine.assign(factor * theirs)
    scaled.networks["pixels"].log_scale.assign(plain.networks["pixels"].log_scale + np.log(factor) / 10)
    np.testing.assert_allclose(scaled.log_prob(images), plain.log_prob(images), rtol=3e-5)


def test_kl_weight_and_warm_up(images):
    model = model_of(kl_weight=4.0, warm_up=10, compiled=True)
    for step, expected in ((0, 0.0), (5, 2.0), (10, 4.0), (50, 4.0)):
        model.step.assign(step)
        weight = model.losses(Batch(tf.constant(images)), model._seeds(0))["autoencoder"]["kl"].weight
        np.testing.assert_allclose(weight, expected / 256, rtol=1e-6)


def test_free_bits_cost_the_same_and_have_no_gradient(images):
    model = model_of(free_bits=100.0, compiled=True)
    with tf.GradientTape() as tape:
        terms = model.losses(Batch(tf.constant(images)), model._seeds(0))["autoencoder"]
    np.testing.assert_allclose(terms["kl_with_free_bits"].value, 500.0)
    assert terms["kl"].weight == 0
    gradients = tape.gradient(terms["kl_with_free_bits"].value, model.encoder.trainable_variables)
    assert all(gradient is None or not np.any(gradient) for gradient in gradients)


@pytest.mark.parametrize(("least", "expected"), [(2.5, [2.5, 2.5]), (1.5, [3.0, 1.0])])
def test_free_bits_are_those_of_the_whole_batch(least, expected):
    """One replica's mean is 3 nats, the other's is 1: together they are above λ, or below it."""
    chosen = strategy.make_strategy(devices=2)
    kl = chosen.experimental_distribute_values_from_function(
        lambda context: tf.constant([[3.0 - 2.0 * context.replica_id_in_sync_group]])
    )
    costs = chosen.run(tf.function(lambda value: free_bits(value, least)), args=(kl,))
    assert [float(value[0]) for value in chosen.experimental_local_results(costs)] == expected


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("prior", [GaussianMixture, AutoregressiveMADE])
def test_learned_priors_are_trained(prior, images):
    model = model_of(prior=prior, compiled=True)
    before = [variable.numpy() for variable in model.networks["prior"].trainable_variables]
    model.train_step(tf.constant(images))
    assert any(np.any(old != new.numpy()) for old, new in zip(before, model.networks["prior"].trainable_variables))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_size": 0}, "latent_size=0"),
        ({"kl_weight": -1.0}, "kl_weight=-1.0"),
        ({"free_bits": float("nan")}, "free_bits=nan"),
        ({"importance_samples": 5, "kl_weight": 2.0}, "importance_samples=5"),
        ({"posterior": StandardLogistic}, "cannot be a posterior"),
        ({"posterior": DCGANEncoder, "latent_size": 1}, "DCGANEncoder|image_shape"),
        ({"flow": functools.partial(Stack, (Flatten,))}, "Flatten"),
        ({"flow": FLOW, "pixels": Categorical}, "pmf of 256 levels"),
        ({"flow": 3}, "flow=3"),
        ({"flow": Stack((DiagonalScaling,))}, "flow=.* is not a class"),
        ({"latent_size": 2.5}, "latent_size=2.5 must be an integer"),
        ({"latent_size": "5"}, "latent_size='5'"),
        ({"kl_weight": None}, "kl_weight=None"),
        ({"kl_weight": float("inf")}, "kl_weight=inf"),
        ({"posterior": NORMAL()}, "posterior=.* does not make a DistributionLayer"),
        ({"pixels": IsotropicNormal()}, "pixels=.* does not make a PixelDistribution"),
    ],
)
def test_bad_parts_are_refused(arguments, message):
    with pytest.raises((UsageError, TypeError), match=message):
        model_of(**arguments)


def test_bad_questions_are_refused(images):
    model = model_of()
    for question in (model.log_prob, model.encode, model.reconstruct):
        with pytest.raises(UsageError, match=r"\[6, 16, 16\]; give \[batch, 16, 16, 1\]"):
            question(images[..., 0])
    with pytest.raises(UsageError, match="num_samples=0"):
        model.log_prob(images, num_samples=0)
    with pytest.raises(UsageError, match=r"\[0, 1\]"):
        model.log_prob(images.astype(np.float32))


@pytest.mark.full("a step is gradient descent on a bound that has closed forms elsewhere")
def test_training_lowers_the_bound():
    model = model_of(spread=0.0)
    model.compile(lambda name: keras.optimizers.Adam(2e-3))
    images = load("digits", "train").fetch(np.arange(64))
    before = float(tf.reduce_mean(model.validate(Batch(images))["bits_per_dim"]))
    step = tf.function(model.train_step, autograph=False)
    for _ in range(60):
        step(tf.constant(images))
    assert float(tf.reduce_mean(model.validate(Batch(images))["bits_per_dim"])) < before - 0.3


@pytest.mark.parametrize("pixels", PIXELS)
def test_a_likelihood_given_codes_is_part_of_the_bound(pixels, images):
    flow = FLOW if pixels in (IsotropicNormal, QuantizedNormal) else None
    model = model_of(pixels=pixels, flow=flow)
    noise = np.random.default_rng(3).normal(size=(6, 1, 5)).astype(np.float32)
    y = model.observation_model.target(model.unit(images), per_example_noise)
    parts = model.elbo.terms(y, noise, model.network)
    context = model.encoder(2 * model.networks["pixels"].as_image(y) - 1, training=False)
    codes = model.networks["posterior"].from_noise(noise[:, 0], context)[0]
    given = model.log_likelihood(images, codes)
    np.testing.assert_allclose(given, parts.log_likelihood[:, 0] + parts.log_det, rtol=1e-4)
    features, log_det = model.to_observation(images)
    np.testing.assert_allclose(model.observation(codes).log_prob(features), given - log_det, rtol=1e-4)
    np.testing.assert_allclose(log_det, parts.log_det, rtol=1e-4)


@pytest.mark.parametrize("pixels", [Bernoulli, IsotropicNormal, Categorical])
def test_draws_given_codes_are_observations_of_images(pixels, images):
    flow = FLOW if pixels is IsotropicNormal else None
    model = model_of(pixels=pixels, flow=flow)
    drawn = model.observation(model.prior().sample(6, seed=(0, 1))).sample(seed=(0, 2))
    made = model.to_image(drawn).numpy()
    assert made.shape == images.shape
    assert 0 <= made.min() < made.max() <= 1
    features, _ = model.to_observation(images)
    unit = images.astype(np.float32) / 255
    if pixels is Bernoulli:
        np.testing.assert_array_equal(np.unique(model.to_image(features)), [0, 1])
    else:
        np.testing.assert_allclose(model.to_image(features), unit, atol=1.01 / 256)
