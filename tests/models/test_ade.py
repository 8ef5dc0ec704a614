"""ADE: which loss moves which network, and what the two losses are."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.vaes import FLOW, PARTS, POSTERIORS
from tfade.data.loading import load
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.pixels import Categorical, DiscretizedLogistic
from tfade.errors import UsageError
from tfade.flows.image_coupling import CheckerboardCoupling
from tfade.flows.multiscale import MultiScale
from tfade.flows.preprocessing import Logit
from tfade.flows.squeeze import Squeeze
from tfade.flows.stack import Stack
from tfade.models.ade import ADE
from tfade.models.optimization import Optimization
from tfade.models.vae import VAE
from tfade.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from tfade.networks.residual import ResidualConditioner
from tfade.networks.sngan import ResidualDiscriminator, SNGANDiscriminator
from tfade.spec import Batch

COUPLING = functools.partial(
    CheckerboardCoupling, conditioner=functools.partial(ResidualConditioner, width=4, blocks=1)
)
TWO_SCALES = functools.partial(
    Stack,
    (
        functools.partial(Logit, 0.05),
        functools.partial(MultiScale, ((COUPLING, Squeeze, COUPLING), (COUPLING,)), flatten=False),
    ),
)
FLOWS = {"identity": None, "one_scale": FLOW, "two_scales": TWO_SCALES}


@pytest.fixture
def images():
    """Six grey scans of digits, uint8 [6, 16, 16, 1]."""
    return load("digits", "train").fetch(np.arange(6))


def model_of(schedule=None, spread=0.05, shape=(16, 16, 1), **arguments) -> ADE:
    keras.utils.set_random_seed(4)
    of_adversary = ("discriminator", "penalty", "quality_weight", "discriminates_reconstructions")
    others = {name: arguments.pop(name) for name in of_adversary if name in arguments}
    autoencoder = functools.partial(VAE, **{**PARTS, "flow": FLOW, **arguments})
    model = ADE(shape, autoencoder, **{"discriminator": functools.partial(SNGANDiscriminator, width=2), **others})
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(spread * generator.normal(size=variable.shape))
    model.compile(lambda name: keras.optimizers.Adam(1e-3), Optimization(schedule=schedule))
    return model


def reached(tape, model, value) -> set[str]:
    """The networks that a loss has a gradient in."""
    return {
        name
        for name, network in model.networks.items()
        if any(
            gradient is not None and np.any(tf.convert_to_tensor(gradient) != 0)
            for gradient in tape.gradient(value, network.trainable_variables)
        )
    }


@pytest.mark.full("as in test_who_moves.py")
@pytest.mark.every(3, 1)
@pytest.mark.parametrize("flow", FLOWS)
def test_which_loss_moves_which_network(flow, images):
    """Likelihood: encoder, decoder and f; the adversary: decoder and f only; the discriminator: itself."""
    model = model_of(flow=FLOWS[flow])
    with tf.GradientTape(persistent=True) as tape:
        losses = model.losses(Batch(tf.constant(images)), model._seeds(0))
        terms = {name: tf.reduce_mean(value) for name, (_, value) in losses["autoencoder"].items()}
        seen = tf.add_n([tf.reduce_mean(getattr(term, "value", term)) for term in losses["discriminator"].values()])
    with_flow = {"flow"} if FLOWS[flow] else set()
    assert reached(tape, model, terms["adversarial"]) == {"decoder", "discriminator"} | with_flow
    assert reached(tape, model, terms["reconstruction"]) == {"encoder", "decoder", "posterior", "pixels"} | with_flow
    assert reached(tape, model, terms["kl"]) == {"encoder", "posterior"}
    assert "discriminator" in reached(tape, model, seen)
    if with_flow:
        assert reached(tape, model, terms["log_det"]) == {"flow"}


def test_the_discriminator_sees_decoder_means_in_image_space(images):
    """Equations 4 and 5, computed here in another way."""
    model = model_of(penalty=None)
    seeds = model._seeds(0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    z = model.prior().sample(6, seed=seeds("prior"))
    means = model.networks["decoder"](z, training=True)
    samples = 2 * model.networks["flow"].bijector().forward(means) - 1
    logits = model.discriminator(samples, training=True)[:, 0]
    np.testing.assert_allclose(losses["autoencoder"]["adversarial"].value, -logits, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(losses["discriminator"]["fake"], np.log1p(np.exp(logits)), rtol=1e-3)
    real = model.discriminator(2 * (images + 0.5) / 256 - 1, training=True)[:, 0]
    np.testing.assert_allclose(losses["discriminator"]["real"], np.log1p(np.exp(-real)), rtol=1e-3)


def test_reconstructions_are_fakes_where_wanted(images):
    """They decode the bound's own codes, constants to encoder and posterior; each kind of fake counts for half."""
    model = model_of(penalty=None, discriminates_reconstructions=True)
    seeds, batch = model._seeds(0), Batch(tf.constant(images))
    with tf.GradientTape(persistent=True) as tape:
        losses = model.losses(batch, seeds)
        values = losses["autoencoder"]["adversarial_reconstruction"].value
        adversarial = tf.reduce_mean(values)
    assert reached(tape, model, adversarial) == {"decoder", "flow", "discriminator"}
    noise = seeds.normal("code", (6, 1, model.latent_size))[:, 0]
    target = (images + seeds.uniform("dequantisation", images.shape)) / 256
    mean, sd = (part.numpy() for part in normal_posterior(model, 2 * target - 1))
    features = model.networks["decoder"](mean + sd * noise, training=True)
    logits = model.discriminator(2 * model.networks["flow"].bijector().forward(features) - 1, training=True)[:, 0]
    np.testing.assert_allclose(values, -logits, rtol=1e-3, atol=1e-5)
    of_discriminator = losses["discriminator"]["reconstruction"]
    np.testing.assert_allclose(of_discriminator.value, np.log1p(np.exp(logits)), rtol=1e-3)
    assert {losses["discriminator"]["fake"].weight, of_discriminator.weight} == {0.5}


def normal_posterior(model, signed):
    """The posterior's mean and standard deviation for images in [-1, 1]."""
    networks = model.networks
    posterior = networks["posterior"].distribution(networks["encoder"](signed, training=True))
    return posterior.mean(), posterior.stddev()


def test_a_mean_that_depends_on_a_scale_does_not_move_it(images):
    """The mean of a logistic with its tails cut does; its scale belongs to the likelihood."""
    model = model_of(flow=None, pixels=DiscretizedLogistic)
    with tf.GradientTape(persistent=True) as tape:
        losses = model.losses(Batch(tf.constant(images)), model._seeds(0))["autoencoder"]
        terms = {name: tf.reduce_mean(value) for name, (_, value) in losses.items()}
    assert reached(tape, model, terms["adversarial"]) == {"decoder", "discriminator"}
    assert "pixels" in reached(tape, model, terms["reconstruction"])


def test_a_learned_prior_is_part_of_the_generator(images):
    model = model_of(prior=DiagonalNormal)
    with tf.GradientTape(persistent=True) as tape:
        adversarial = model.losses(Batch(tf.constant(images)), model._seeds(0))["autoencoder"]["adversarial"].value
    assert reached(tape, model, adversarial) == {"decoder", "flow", "discriminator", "prior"}


@pytest.mark.full("averages are tested for every model")
def test_averages_serve_every_question(images):
    """After a step with a quick average, what is asked differs from the networks that are trained."""
    model = model_of()
    kept = ("encoder", "posterior", "prior", "decoder", "flow", "pixels", "discriminator")
    model.compile(lambda name: keras.optimizers.Adam(0.05), Optimization(average_decay={name: 0.9 for name in kept}))
    questions = {
        "log_prob": lambda: model.log_prob(images),
        "sample": lambda: model.sample(3, seed=0),
        "codes": lambda: model.codes(images),
        "reconstruct": lambda: model.reconstruct(images),
        "discriminate": lambda: model.discriminate(images),
    }
    before = {name: question().numpy() for name, question in questions.items()}
    model.train_step(tf.constant(images))
    averaged = {name: question().numpy() for name, question in questions.items()}
    for variable in (variable for name in kept for variable in model.networks[name].variables):
        variable.assign(tf.fill(variable.shape, float("nan")))  # nothing that is asked may look at them
    for name, question in questions.items():
        assert np.any(before[name] != averaged[name]), name
        np.testing.assert_array_equal(question(), averaged[name], err_msg=name)


@pytest.mark.parametrize("reconstructions", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_adversary_is_weighed_in_nats_of_the_bound(reconstructions, channels, images):
    model = model_of(shape=(16, 16, channels), quality_weight=64.0, discriminates_reconstructions=reconstructions)
    batch = Batch(tf.constant(np.repeat(images, channels, -1)))
    terms = model.losses(batch, model._seeds(0))["autoencoder"]
    names = ("adversarial", "adversarial_reconstruction")[: 1 + reconstructions]
    dimensions = 256 * channels
    of_bound = dict.fromkeys(("reconstruction", "kl", "log_det"), 1 / dimensions)
    expected = of_bound | dict.fromkeys(names, 64 / dimensions / len(names))
    assert {name: weight for name, (weight, _) in terms.items()} == pytest.approx(expected)


@pytest.mark.full("published recipes are traced and test_properties asks ADE everything")
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("posterior", "discriminator", "schedule"),
    [
        ("iaf", ResidualDiscriminator, (("discriminator",), ("autoencoder",))),
        ("diagonal", SNGANDiscriminator, None),
    ],
)
def test_refinements_train_and_answer(posterior, discriminator, schedule, images):
    model = model_of(
        schedule,
        posterior=POSTERIORS[posterior],
        flow=TWO_SCALES,
        discriminator=functools.partial(discriminator, width=2),
    )
    logs = model.train_step(tf.constant(images))
    assert all(np.isfinite(value) for value in logs.values()), logs
    assert model.sample(3, seed=0).shape == (3, 16, 16, 1)
    assert model.reconstruct(images).shape == images.shape
    assert np.isfinite(model.log_prob(images, num_samples=3)).all()
    assert model.discriminate(images).shape == (6,)


def test_levels_are_seen_as_images(images):
    model = model_of(flow=None, pixels=Categorical, decoder=functools.partial(DCGANGenerator, width=2))
    np.testing.assert_allclose(model.network_input(images), 2 * images.astype(np.float32) / 255 - 1, atol=1e-6)
    assert "log_det" not in model.losses(Batch(tf.constant(images)), model._seeds(0))["autoencoder"]


def test_bad_values_are_refused():
    with pytest.raises(UsageError, match=r"quality_weight=-0\.1"):
        model_of(quality_weight=-0.1)
    with pytest.raises(UsageError, match="quality_weight=inf"):
        model_of(quality_weight=float("inf"))
    with pytest.raises(UsageError, match="normalises over the batch"):
        model_of(discriminator=functools.partial(DCGANDiscriminator, width=2))
