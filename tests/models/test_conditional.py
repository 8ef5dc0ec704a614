"""Models of images given their class: the class in networks and losses, likelihoods of known value, GAN-train and GAN-test."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models import toys
from tests.models.properties import source
from tests.models.toys import Linear, Same
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.topdown_levels import TopDownLevel
from tfade.errors import UsageError
from tfade.evaluation import Subject
from tfade.evaluation.samples.classification import ClassificationScores
from tfade.models.ade import ADE
from tfade.models.conditional_gan import ConditionalGAN
from tfade.models.vae import VAE, ConditionalVAE
from tfade.networks.conditional import ConditionalDiscriminator, ConditionalGenerator
from tfade.networks.conditioner import LinearConditioner
from tfade.networks.dcgan import DCGANDiscriminator
from tfade.networks.discriminators import ConvDiscriminator
from tfade.networks.mlp import MLPDecoder
from tfade.networks.sngan import ResidualBlock, ResidualDiscriminator, SNGANDiscriminator
from tfade.networks.topdown import BottomUpEncoder
from tfade.networks.topdown_decoder import TopDownDecoder
from tfade.seeds import Seeds
from tfade.spec import Batch, Spec
from tfade.training.building import parameters_of

part = functools.partial
SHAPE, CLASSES = (16, 16, 3), 4
SPEC = Spec("images", "train", SHAPE, "uint8", (0, 255), num_classes=CLASSES)
CRITIC = part(ConvDiscriminator, channels=(3,), dense=(4,))
GENERATOR, DISCRIMINATOR = (
    part(ConditionalGenerator, network=toys.DECODER),
    part(ConditionalDiscriminator, network=CRITIC),
)
LABELS = tf.constant([0, 3, 1, 1, 2, 0, 3, 2])


def one_hot(labels):
    return tf.one_hot(labels, CLASSES)


def moved(layer, seed=0):
    """The layer with weights off their start."""
    generator = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign_add(0.2 * generator.normal(size=variable.shape))
    return layer


@pytest.mark.parametrize("normalization", ["batch", None])
def test_classes_scale_and_shift_the_features_of_a_generator(normalization):
    generator = GENERATOR(SHAPE, 5, CLASSES, network=part(toys.DECODER, normalization=normalization))
    z, labels = tf.random.stateless_normal((8, 5), (0, 1)), one_hot(LABELS)
    inputs = tf.concat([z, labels], 1)
    np.testing.assert_allclose(generator(inputs), generator.network(z), atol=1e-6)  # no effect at the start
    moved(generator)
    x, index = z, 0
    for layer in generator.network.layers:
        if isinstance(layer, keras.layers.ReLU):
            gain, shift = tf.split(labels @ getattr(generator, f"modulation_{index}").kernel, 2, 1)
            x, index = (1 + gain[:, None, None]) * x + shift[:, None, None], index + 1
        x = layer(x)
    assert index == 2
    np.testing.assert_allclose(generator(inputs), x, atol=1e-5)
    assert np.any(generator(tf.concat([z, labels[::-1]], 1)) != generator(inputs))


def test_the_statistics_of_the_batch_are_those_of_training_only():
    generator = GENERATOR(SHAPE, 5, CLASSES, network=part(toys.DECODER, normalization="batch"))
    inputs = tf.concat([tf.random.stateless_normal((8, 5), (0, 1)), one_hot(LABELS)], 1)
    before = [v.numpy() for v in generator.non_trainable_variables]
    generator(inputs, training=False)
    assert all(np.all(v.numpy() == old) for v, old in zip(generator.non_trainable_variables, before))
    generator(inputs, training=True)
    assert any(np.any(v.numpy() != old) for v, old in zip(generator.non_trainable_variables, before))


@pytest.mark.every(3)
@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("kind", [SNGANDiscriminator, ResidualDiscriminator])
def test_the_projection_is_the_formula(kind, spectral):
    network = part(kind, width=2, spectral=spectral)
    discriminator = moved(ConditionalDiscriminator(SHAPE, CLASSES, network=network))
    x = tf.random.stateless_uniform((8, *SHAPE), (0, 1), -1, 1)
    h = discriminator.features(x)
    for _ in range(40):  # power iterations
        discriminator.last(h, training=True)
        discriminator.classes(one_hot(LABELS), training=True)
    if kind is ResidualDiscriminator:
        maps = x
        for layer in discriminator.network.layers:
            maps = layer(maps) if isinstance(layer, ResidualBlock) else maps
        np.testing.assert_allclose(h, np.maximum(maps, 0).sum((1, 2)), rtol=1e-4, atol=1e-4)
    w, table = discriminator.last.kernel[:, 0], discriminator.classes.kernel
    b = 0.0 if discriminator.last.bias is None else discriminator.last.bias[0]
    if spectral:
        w, table = w / np.linalg.norm(w), table / np.linalg.svd(table, compute_uv=False).max()
    expected = h @ w[:, None] + b + np.sum(tf.gather(table, LABELS) * h, 1, keepdims=True)
    np.testing.assert_allclose(discriminator((x, LABELS)), expected, rtol=2e-3, atol=1e-4)


def test_conditional_gan_by_hand(images):
    auxiliary = part(DISCRIMINATOR, auxiliary=True)
    model = ConditionalGAN(SPEC, 5, GENERATOR, auxiliary, penalty=None, auxiliary_weight=0.5)
    seeds = Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images), LABELS), seeds)
    x, z = tf.constant(images / 127.5 - 1, tf.float32), seeds.rows("prior", 8, model.prior().sample)
    fake = model.generator(tf.concat([z, one_hot(LABELS)], 1), training=True)
    on_real, on_fake = (np.asarray(model.discriminator((each, LABELS)))[:, 0] for each in (x, fake))
    rows = np.arange(8), LABELS
    of_real, of_fake = (-np.asarray(tf.nn.log_softmax(model.discriminator.class_logits(e)))[rows] for e in (x, fake))
    np.testing.assert_allclose(losses["generator"]["adversarial"], np.logaddexp(0, -on_fake), rtol=1e-3)
    np.testing.assert_allclose(losses["discriminator"]["real"], np.logaddexp(0, -on_real), rtol=1e-3)
    np.testing.assert_allclose(losses["discriminator"]["fake"], np.logaddexp(0, on_fake), rtol=1e-3)
    for player, expected in (("generator", of_fake), ("discriminator", of_real + of_fake)):
        assert losses[player]["class"].weight == 0.5
        np.testing.assert_allclose(losses[player]["class"].value, expected, rtol=1e-3)
    np.testing.assert_allclose(model.discriminate(images, LABELS), on_real, rtol=1e-4)


def test_an_auxiliary_classifier_trains_in_training_mode(images):
    """Its spectral norm follows its kernel, and batch statistics are those of the adversarial loss."""
    spectral = part(ConditionalDiscriminator, auxiliary=True, network=part(SNGANDiscriminator, width=2, spectral=True))
    model = ConditionalGAN(SPEC, 5, GENERATOR, spectral, penalty=None, auxiliary_weight=0.5)
    before = model.discriminator.classes.u.numpy()
    model.losses(Batch(tf.constant(images), LABELS), Seeds(0, 0))
    assert np.any(model.discriminator.classes.u.numpy() != before)
    normalised = part(ConditionalDiscriminator, auxiliary=True, network=part(DCGANDiscriminator, width=2))
    network = normalised(SHAPE, CLASSES)
    x = tf.constant(images / 127.5 - 1, tf.float32)
    trained, served = (network.class_logits(x, training=training).numpy() for training in (True, False))
    assert np.abs(trained - served).max() > 1e-3


def test_the_likelihood_of_a_mixture_of_classes():
    """x = μ_y + w z + σ ε: with the exact posterior every weight is p(x | y) = N(x; μ_y, w² + σ²)."""
    centres, w, sigma = np.array([-2.0, 0.5, 3.0]), 0.7, 0.1
    spec = Spec("toy", "train", (1,), "float32", None, num_classes=3)
    model = ConditionalVAE(
        spec, 1, Same, Linear, posterior=part(DiagonalNormal, conditioner=LinearConditioner), context_size=1
    )
    model.decoder.layers[-1].kernel.assign(np.concatenate([[w], centres])[:, None])
    posterior, variance = model.networks["posterior"], w**2 + sigma**2
    slope = w / variance
    kernel = np.zeros((4, 2))
    kernel[:, 0] = [slope, *(-slope * centres)]
    posterior.conditioner.layers[-1].kernel.assign(kernel)
    posterior.offset.assign([0.0, np.log(sigma / variance**0.5)])
    x, labels = np.array([[-1.5], [0.0], [3.3], [2.0]], np.float32), np.array([0, 1, 2, 0])
    expected = -0.5 * (x[:, 0] - centres[labels]) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    np.testing.assert_allclose(model.log_prob(x, 2, labels=labels), expected, rtol=2e-3)
    assert np.all(np.abs(model.log_prob(x, 2, labels=(labels + 1) % 3) - expected) > 0.5)
    np.testing.assert_allclose(model.decode([[0.0]] * 3, [0, 1, 2])[:, 0], centres, atol=1e-6)


def test_large_sets_are_bounded_in_parts_with_their_labels(monkeypatch):
    model = ConditionalVAE(SPEC, 3, toys.ENCODER, GENERATOR, context_size=4)
    moved(model.networks["posterior"])
    images = np.random.default_rng(0).integers(0, 255, (8, *SHAPE), np.uint8)
    whole = model.log_prob(images, labels=LABELS)
    monkeypatch.setattr("tfade.slices.OUTPUTS_AT_ONCE", 3 * 16 * 16 * 3)
    np.testing.assert_allclose(model.log_prob(images, labels=LABELS), whole, rtol=1e-4)


def test_a_generator_without_conditional_layers_sees_the_class_as_latents():
    model = ConditionalGAN(SPEC, 5, toys.DECODER, DISCRIMINATOR)
    assert model.generator.input_shape == (None, 5 + CLASSES)
    assert model.sample(3, seed=0, labels=[0, 1, 2]).shape == (3, *SHAPE)


@pytest.mark.full("as the metric of a conditional model")
def test_gan_train_and_gan_test_are_of_the_classes_that_were_asked_for(tmp_path):
    data = source("images")
    model = ConditionalGAN(data.spec, 3, GENERATOR, DISCRIMINATOR)
    subject = Subject(model, real=data, train=data, num_samples=40, progress=lambda line: None)
    results = {result.name: result for result in ClassificationScores(steps=3)(subject)}
    assert set(results) == {"gan_train", "gan_test"}
    assert all(0 <= result.value <= 1 for result in results.values())
    assert results["gan_train"].real is not None
    np.testing.assert_array_equal(np.unique(subject.sampler.labels), np.unique(data.labels(np.arange(48))))


WITHOUT = Spec("scans", "train", SHAPE, "uint8", (0, 255))
TWO_LEVELS = {
    "encoder": part(BottomUpEncoder, network=toys.ENCODER),
    "decoder": part(TopDownDecoder, network=toys.DECODER, channels=(1,), level=TopDownLevel),
}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConditionalGAN(WITHOUT, 5, GENERATOR, DISCRIMINATOR), "'scans' has no classes; give labelled data"),
        (lambda: ConditionalVAE(WITHOUT, 5), "'scans' has no classes; give labelled data"),
        (lambda: ConditionalGAN(SPEC, 5, GENERATOR, CRITIC), "takes no num_classes"),
        (lambda: ConditionalGAN(SPEC, 5, GENERATOR, DISCRIMINATOR, auxiliary_weight=1.0), "auxiliary_weight=1.0"),
        (lambda: ConditionalGAN(SPEC, 5, GENERATOR, part(DISCRIMINATOR, auxiliary=True)), "auxiliary_weight=0.0"),
        (lambda: ConditionalGAN(SPEC, 5, part(GENERATOR, network=MLPDecoder), DISCRIMINATOR), "has no rectifiers"),
        (
            lambda: ConditionalDiscriminator(SHAPE, 3, network=part(toys.ENCODER, outputs=2)),
            "does not end with a dense",
        ),
        (lambda: ConditionalVAE(SPEC, 3, **TWO_LEVELS), "latents of its own"),
        (lambda: ADE(SPEC, part(ConditionalVAE, encoder=toys.ENCODER, decoder=GENERATOR), CRITIC), "takes no num_"),
        (
            lambda: ADE(
                SPEC, part(ConditionalVAE, encoder=toys.ENCODER, decoder=GENERATOR), part(DISCRIMINATOR, auxiliary=True)
            ),
            "ConditionalDiscriminator.auxiliary = True.*no loss of ADE",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_a_conditional_vae_takes_what_a_vae_takes_and_has_another_decoder():
    of_vae, own = parameters_of(VAE), parameters_of(ConditionalVAE)
    assert list(own) == list(of_vae)
    assert [name for name in own if own[name].default is not of_vae[name].default] == ["decoder"]
    assert own["decoder"].default is ConditionalGenerator


def test_a_penalty_with_a_discriminator_that_normalises_over_the_batch_is_refused():
    normalised = part(ConditionalDiscriminator, network=part(DCGANDiscriminator, width=2))
    with pytest.raises(UsageError, match="R1 with weight=1.0 penalises .* normalises over the batch"):
        ConditionalGAN(SPEC, 5, GENERATOR, normalised)
