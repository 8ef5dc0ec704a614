"""Densities of codes: closed forms, which terms reach whom, and what each objective is by hand."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.helpers import SHARED
from tests.models import toys
from tests.models.properties import source
from tfade.data.source import ArraySource
from tfade.distributions.flow import FlowDistribution
from tfade.distributions.gaussian import FullNormal
from tfade.distributions.mixture import GaussianMixture
from tfade.distributions.standard import StandardNormal
from tfade.distributions.topdown_levels import TopDownLevel
from tfade.distributions.vae_density import VAEDensity
from tfade.errors import UsageError
from tfade.flows.actnorm import ActNorm
from tfade.flows.coupling import Coupling
from tfade.flows.linear import LULinear
from tfade.flows.stack import Stack
from tfade.models.density import DensityModel
from tfade.models.flow import FlowModel
from tfade.models.glann import GLANN, nearest_distance, on_sphere
from tfade.models.glf import GLF
from tfade.models.latent_density import LatentDensity
from tfade.models.rae import RAE
from tfade.models.vae import TwoStageVAE
from tfade.models.wae import WAEMMD
from tfade.networks.conditioner import MLPConditioner
from tfade.networks.infogan import InfoGANDecoder, InfoGANEncoder
from tfade.networks.perceptual import SqueezeNetFeatures, VGG16Features
from tfade.networks.topdown import BottomUpEncoder
from tfade.networks.topdown_decoder import TopDownDecoder
from tfade.objectives.mmd import IMQ, mmd
from tfade.objectives.smoothness import DecoderGradient, DecoderL2
from tfade.seeds import Seeds
from tfade.spec import Batch
from tfade.training.fitting import steps_of

part = functools.partial
SMALL = part(Coupling, conditioner=part(MLPConditioner, width=6, depth=1))
NETWORKS = {
    "encoder": part(InfoGANEncoder, channels=(2, 3), dense=4),
    "decoder": part(InfoGANDecoder, channels=(2, 3), dense=4),
}
FLOW = part(FlowDistribution, part(Stack, (SMALL,), 2))
SHAPE = (16, 16, 3)
SQUEEZENET = SHARED / "squeezenet_imagenet" / "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"


def linear(inputs, outputs, weights):
    """A network of one linear map, held fixed."""
    layer = keras.layers.Dense(outputs, use_bias=False, trainable=False)
    network = keras.Sequential([keras.Input(inputs), layer])
    network.set_weights([weights])
    return network


def test_the_density_of_linear_codes_of_gaussian_data_is_the_closed_form():
    """x ~ N(m, S), z = A x: z ~ N(A m, A S Aᵀ), by a flow of affine maps."""
    generator = np.random.default_rng(0)
    mean, root, weights = generator.normal(size=3), generator.normal(size=(3, 3)), generator.normal(size=(3, 2))
    x = (mean + generator.normal(size=(4096, 3)) @ root.T).astype(np.float32)
    model = GLF(
        (3,),
        2,
        lambda shape, outputs: linear(shape, outputs, weights),
        lambda shape, inputs: keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(3)]),
        part(FlowDistribution, part(Stack, (ActNorm, LULinear))),
    )
    model.compile(lambda name: keras.optimizers.Adam(0.02), seed=0)
    steps_of(model, ArraySource("normal", "train", x), 512, 0)(0, 300)
    exact = stats.multivariate_normal(mean @ weights, weights.T @ np.cov(x.T) @ weights)
    codes = x[:256] @ weights
    found = model.prior().log_prob(codes.astype(np.float32))
    np.testing.assert_allclose(np.mean(found), np.mean(exact.logpdf(codes)), atol=0.02)
    assert np.mean(np.abs(found - exact.logpdf(codes))) < 0.1
    np.testing.assert_allclose(model.validate(Batch(x[:256]))["code_nll"], -found, rtol=1e-5)


def test_interpolation_in_noise_goes_through_the_flow_between_the_same_ends():
    model = GLF(SHAPE, 4, **NETWORKS, prior=FLOW)
    generator = np.random.default_rng(2)
    for variable in model.trainable_variables:  # or codes are near 0, where every flow is near a linear map
        variable.assign_add(0.5 * generator.normal(size=variable.shape))
    images = generator.uniform(size=(4, *SHAPE)).astype(np.float32)
    codes = model.codes(images)
    noise = model.prior().bijector.inverse(codes)
    middle = model.decode(model.prior().bijector.forward((noise[:2] + noise[2:]) / 2))
    lines = model.interpolate(images[:2], images[2:], 3, in_noise=True)
    np.testing.assert_allclose(lines[:, 1], middle, atol=1e-5)
    assert np.abs(lines[:, 1] - model.decode((codes[:2] + codes[2:]) / 2)).max() > 1e-3
    np.testing.assert_allclose(lines[:, 0], model.reconstruct(images[:2]), atol=1e-5)
    np.testing.assert_allclose(lines[:, 2], model.reconstruct(images[2:]), atol=1e-5)
    for prior in (StandardNormal, FullNormal, part(GaussianMixture, components=2)):
        with pytest.raises(UsageError, match="in_noise=True, but the prior of this RAE is not a flow"):
            RAE(SHAPE, 4, **NETWORKS, prior=prior).interpolate(images[:2], images[2:], in_noise=True)


@pytest.mark.parametrize("regularized", [False, True])
def test_the_flows_loss_reaches_the_encoder_only_where_it_is_meant_to(images, regularized):
    model = GLF(SHAPE, 3, prior=FLOW, regularized=regularized, beta=7.0, **NETWORKS)
    with tf.GradientTape(persistent=True) as tape:
        losses = model.losses(Batch(tf.constant(images)), Seeds(0, 0))
        likelihood, error = losses["prior"]["nll"], losses["autoencoder"]["reconstruction"].value
    gradients = tape.gradient(likelihood, model.encoder.trainable_variables)
    assert all(gradient is None for gradient in gradients) != regularized
    assert all(gradient is not None for gradient in tape.gradient(likelihood, model.networks["prior"].weights))
    assert tape.gradient(error, model.networks["prior"].trainable_variables[0]) is None
    assert losses["autoencoder"]["reconstruction"].weight == 7.0
    assert ("nll" in losses["autoencoder"]) == regularized
    decoded = model.decoder(model.encoder(images / 127.5 - 1, training=True), training=True)
    np.testing.assert_allclose(error, np.mean((images / 255 - (decoded + 1) / 2) ** 2, (1, 2, 3)), rtol=1e-4)


def test_the_terms_of_a_regularised_autoencoder_by_hand(images):
    model = RAE(SHAPE, 3, smoothness=part(DecoderL2, 0.5), code_weight=0.25, reconstruction="sum", **NETWORKS)
    terms = model.losses(Batch(tf.constant(images)), Seeds(0, 0))["autoencoder"]
    codes = model.encoder(images / 127.5 - 1, training=True)
    decoded = (model.decoder(codes, training=True) + 1) / 2
    np.testing.assert_allclose(
        terms["reconstruction"].value, np.sum((images / 255 - decoded) ** 2, (1, 2, 3)), rtol=1e-4
    )
    assert terms["code_square"].weight == 0.25
    np.testing.assert_allclose(terms["code_square"].value, 0.5 * np.sum(np.square(codes), -1), rtol=1e-4)
    squares = sum(np.sum(v.numpy() ** 2) for v in model.decoder.trainable_variables)
    assert terms["decoder_l2"].weight == 0.5
    np.testing.assert_allclose(terms["decoder_l2"].value, squares, rtol=1e-5)


def test_the_decoders_gradient_is_the_norm_of_its_jacobian():
    """Of a linear decoder J: ‖J‖² / D, on average over probes."""
    matrix = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
    penalty, codes = DecoderGradient(1.0), tf.zeros((5000, 3))
    values = penalty(lambda z: tf.reshape(z @ matrix, (-1, 2, 2, 2)), codes, [], Seeds(0, 0))
    assert values.shape == (5000,)
    assert float(tf.reduce_mean(values)) == pytest.approx(np.sum(matrix**2) / 8, rel=0.05)


def test_the_wasserstein_autoencoders_cost_by_hand(images):
    model = WAEMMD(SHAPE, 3, mmd_weight=2.0, **NETWORKS)
    seeds = Seeds(0, 0)
    terms = model.losses(Batch(tf.constant(images)), seeds)["autoencoder"]
    codes = model.encoder(images / 127.5 - 1, training=True)
    assert (terms["reconstruction"].weight, terms["mmd"].weight) == (0.05, 2.0)
    z = seeds.rows("prior", 8, model.prior().sample)
    np.testing.assert_allclose(terms["mmd"].value, mmd(codes, z, IMQ()), rtol=1e-4)
    signature = [tf.TensorSpec((None, *images.shape[1:]), tf.uint8)]  # as `fit` has them of an array's data set
    traced = tf.function(
        lambda x: model.losses(Batch(x), seeds)["autoencoder"]["mmd"].value, signature, autograph=False
    )
    np.testing.assert_allclose(traced(images), terms["mmd"].value, rtol=1e-3)


def test_the_second_stage_learns_from_draws_of_the_posterior_and_samples_through_the_decoder(images):
    model = TwoStageVAE(SHAPE, 3, prior=part(VAEDensity, 4, 1), context_size=4, **NETWORKS)
    losses = model.losses(Batch(tf.constant(images)), Seeds(0, 0))
    drawn = model.prior(0.8).sample(5, seed=(7, 0))
    np.testing.assert_allclose(model.sample(5, 0.8, 7), model.decode(drawn), atol=1e-6)
    posterior = model.encode(images)
    kl = np.sum(0.5 * (posterior.mean() ** 2 + posterior.variance() - 1) - np.log(posterior.stddev()), -1)
    values = losses["autoencoder"]["kl"].value
    assert values.shape == kl.shape  # of N(0, I), in closed form, whatever the second stage is
    assert "entropy" not in losses["autoencoder"]
    model = TwoStageVAE(SHAPE, 3, prior=part(VAEDensity, 4, 1), importance_samples=2, **NETWORKS)
    assert set(model.losses(Batch(tf.constant(images)), Seeds(0, 0))["autoencoder"]) == {"bound"}
    with pytest.raises(UsageError, match="nothing to fit in the second stage"):
        TwoStageVAE(SHAPE, 3, prior=FullNormalWithout, **NETWORKS)
    levels = {
        "encoder": part(BottomUpEncoder, network=toys.ENCODER),
        "decoder": part(TopDownDecoder, network=toys.DECODER, channels=(1,), level=TopDownLevel),
    }
    with pytest.raises(UsageError, match="has latents of its own, which TwoStageVAE does not take"):
        TwoStageVAE(SHAPE, 3, prior=part(VAEDensity, 4, 1), **levels)


def test_a_density_that_is_refused_does_not_become_the_prior():
    model = TwoStageVAE(SHAPE, 3, prior=part(VAEDensity, 4, 1), **NETWORKS)
    before = model.networks["prior"]
    with pytest.raises(UsageError, match="nothing to fit in the second stage"):
        model.set_prior(FullNormalWithout)
    assert model.networks["prior"] is before


class FullNormalWithout(FullNormal):
    """A density whose parameters are fixed."""

    def build(self, *arguments):
        super().build(*arguments)
        self.trainable = False


def test_matching_is_that_of_brute_force():
    generator = np.random.default_rng(0)
    codes, drawn = (generator.normal(size=(count, 4)).astype(np.float32) for count in (9, 30))
    distances = ((codes[:, None] - drawn[None]) ** 2).sum(-1)
    with tf.GradientTape() as tape:
        points = tf.constant(drawn)
        tape.watch(points)
        found = nearest_distance(tf.constant(codes), points)
    np.testing.assert_allclose(found, distances.min(1), rtol=1e-4)
    gradient = tf.convert_to_tensor(tape.gradient(found, points)).numpy()
    assert set(np.flatnonzero(np.any(gradient != 0, 1))) == set(distances.argmin(1))


def test_a_search_finds_the_code_of_an_image_that_was_decoded():
    model = GLANN(digits_spec(), 3, NETWORKS["decoder"], search_steps=40)
    codes = on_sphere(tf.constant(np.random.default_rng(3).normal(size=(12, 3)), tf.float32))
    images = model.decode(codes)
    found = tf.function(model.codes)(images)
    error = lambda other: np.median(np.abs(images - model.decode(other)).mean((1, 2, 3)))
    assert error(found) < 0.3 * error(model.prior().sample(12, seed=(0, 0)))
    np.testing.assert_allclose(tf.norm(found, axis=-1), 1.0, rtol=1e-5)
    assert model.code_protocol["code_search_steps"] == 40
    with pytest.raises(NotImplementedError):
        model.prior().log_prob(codes)
    with pytest.raises(UsageError, match="does not state how many"):
        GLANN(SHAPE, 3, NETWORKS["decoder"])
    with pytest.raises(UsageError, match="not an ImplicitDensity"):
        GLANN(digits_spec(), 3, NETWORKS["decoder"], prior=GaussianMixture)


def digits_spec():
    return source("images").spec


@pytest.mark.parametrize(("normal", "likelihood"), [(FullNormal, "exact"), (part(VAEDensity, 4, 1), "lower_bound")])
def test_a_density_says_what_its_likelihood_is(normal, likelihood):
    couplings = part(Stack, (part(Coupling, conditioner=part(MLPConditioner, width=4, depth=1)),))
    for distribution in (normal, part(FlowDistribution, couplings, normal)):
        model = DensityModel((3,), distribution)
        assert (model.likelihood, model.answers("log_density")) == (likelihood, likelihood == "exact")
    flow = FlowModel((3,), couplings, normal)
    assert flow.likelihood == likelihood
    assert LatentDensity((3,), part(FlowModel, flow=couplings), normal).likelihood == likelihood
    assert not flow.bound_rises_with_draws


def test_perceptual_networks_take_what_they_can():
    features = SqueezeNetFeatures()
    features.check_shape((28, 28, 1))
    assert [part.shape[1:3] for part in features(np.zeros((2, 28, 28, 1), np.float32))] == [(13, 13), (6, 6), (6, 6)]
    with pytest.raises(UsageError, match="leave nothing of images of 16×16"):
        SqueezeNetFeatures(layers=("fire9",)).check_shape((16, 16, 1))
    with pytest.raises(UsageError, match="takes images of 1 or 3 channels"):
        features.check_shape((5,))
    with pytest.raises(UsageError, match="SqueezeNetFeatures.layers"):
        SqueezeNetFeatures(layers=("fire99",))
    with pytest.raises(UsageError, match=r"SqueezeNetFeatures.weights='nowhere.h5' does not exist"):
        SqueezeNetFeatures("nowhere.h5").load()
    with pytest.raises(UsageError, match=r"VGG16Features.weights=None does not exist"):
        VGG16Features(layers=("block1_conv2",)).load()


@pytest.mark.skipif(not SQUEEZENET.is_file(), reason="the weights of SqueezeNet are not here")
def test_a_perceptual_loss_reads_its_file_once_training_begins(images):
    model = GLF(SHAPE, 3, prior=FLOW, perceptual=part(SqueezeNetFeatures, str(SQUEEZENET), ("conv1",)), **NETWORKS)
    before = model.networks["perceptual"].get_weights()[0]
    model.initialise(Batch(tf.constant(images)))
    assert np.any(model.networks["perceptual"].get_weights()[0] != before)
    term = model.losses(Batch(tf.constant(images)), Seeds(0, 0))["autoencoder"]["perceptual"]
    assert term.value.shape == (8,)
    assert np.all(term.value > 0)
    assert not model.networks["perceptual"].trainable_variables


@pytest.mark.parametrize(
    ("kind", "given"),
    [(GLF, {"beta": -1.0}), (GLF, {"reconstruction": "l2"}), (RAE, {"code_weight": "x"}), (RAE, {"smoothness": 3})]
    + [(WAEMMD, {"mmd_weight": -1.0}), (WAEMMD, {"kernel": None}), (GLF, {"perceptual": 3}), (GLANN, {"pool": 0})],
)
def test_wrong_arguments_are_refused_by_name(kind, given):
    with pytest.raises(UsageError, match=next(iter(given))):
        kind(SHAPE, 3, **given)


def test_a_wae_does_not_learn_its_prior():
    """Its NLL would draw the prior to the codes that the MMD draws to the prior."""
    with pytest.raises(UsageError, match=r"WAEMMD.prior=.* is learned"):
        WAEMMD(SHAPE, 4, **NETWORKS, prior=FLOW)
    model = WAEMMD(SHAPE, 4, **NETWORKS)
    before = model.networks["prior"]
    with pytest.raises(UsageError, match=r"WAEMMD.prior=.* is learned"):
        model.set_prior(FLOW)
    assert model.networks["prior"] is before
