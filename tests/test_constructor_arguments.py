"""Wrong arguments of networks, flows, distributions and objectives: one line that names argument and value."""

import functools
import math

import keras
import pytest

from tfade.distributions import (
    autoregressive_networks,
    autoregressive_pixels,
    flow_densities,
    gaussian,
    implicit,
    logistic_mixture,
    mixture,
    pixels,
    topdown_autoregressive,
    topdown_levels,
)
from tfade.distributions.flow import FlowDistribution
from tfade.distributions.pushforward import ImplicitDensity
from tfade.distributions.vae_density import VAEDensity
from tfade.errors import UsageError
from tfade.flows import actnorm, autoregressive, coupling, image_coupling, linear, permutation, planar, preprocessing
from tfade.flows.multiscale import MultiScale
from tfade.flows.residual import ResidualBlock
from tfade.flows.splines import RationalQuadratic
from tfade.flows.stack import Stack
from tfade.flows.transformers import Affine, GatedAffine, Shift
from tfade.networks import (
    autoencoding,
    color_mnist,
    conditioner,
    dcgan,
    discriminators,
    glow,
    infogan,
    joint,
    lipschitz,
    made,
    mlp,
    pixel_cnn,
    residual,
    sngan,
)
from tfade.networks.topdown import BottomUpEncoder
from tfade.networks.topdown_decoder import TopDownDecoder
from tfade.networks.translation import PatchDiscriminator, ResidualTranslator
from tfade.objectives import dragan, mmd, penalties, smoothness

IMAGE, MAP = (16, 16, 1), (4, 4, 2)

SIZE = (0, -1, 1.5, "x", None, True, (1, 2), math.nan)
POSITIVE = (0, -1.0, "x", None, True, (1, 2), math.nan, math.inf)
FINITE = (-1.0, "x", None, True, math.nan, math.inf)
SHARE = (0, 1, 1.0, 1.5, "x", None, math.nan)
NUMBER = ("x", None, (1, 2), math.nan, math.inf)
CHOICE = ("nothere", 7, (), [])
SEED = (-1, 1.5, "x", None)
CLASS = (None, 3, "MADE", keras.layers.Dense(2))
TUPLE = (3, None, "x", (0,), (1.5,), ("x",))
RANGE = (3, None, (1.0,), (2.0, 1.0), (0, 1), ("x", 1), (1, math.nan))

# class → what it needs, and each argument's wrong values
CASES = {
    conditioner.MLPConditioner: (
        dict(inputs=2, outputs=3),
        dict(inputs=SIZE, outputs=SIZE, width=SIZE, depth=SIZE, activation=CHOICE, normalization=CHOICE),
    ),
    conditioner.LinearConditioner: (dict(inputs=2, outputs=3), dict(inputs=SIZE, outputs=SIZE)),
    made.MADE: (
        dict(dimensions=2, outputs=3),
        dict(dimensions=SIZE, outputs=SIZE, width=SIZE, depth=SIZE, activation=CHOICE, order=CHOICE, seed=SEED),
    ),
    mlp.MLPEncoder: (dict(event_shape=(3,), outputs=2), dict(outputs=SIZE, width=SIZE, depth=SIZE)),
    mlp.MLPDecoder: (
        dict(event_shape=(3,), latent_size=2),
        dict(latent_size=SIZE, width=SIZE, depth=SIZE, activation=CHOICE),
    ),
    mlp.LatentMapping: (dict(inputs=3, outputs=2), dict(inputs=SIZE, outputs=SIZE, width=SIZE, depth=SIZE)),
    mlp.SkipMLP: (dict(inputs=3, outputs=2), dict(inputs=SIZE, outputs=SIZE, width=SIZE, depth=SIZE)),
    infogan.InfoGANEncoder: (
        dict(image_shape=IMAGE, outputs=2, channels=(2, 2), dense=4),
        dict(outputs=SIZE, channels=(*TUPLE, (4,)), dense=SIZE, normalization=CHOICE),
    ),
    infogan.InfoGANDecoder: (
        dict(image_shape=IMAGE, latent_size=2, channels=(2, 2), dense=4),
        dict(latent_size=SIZE, channels=(*TUPLE, (4,)), dense=SIZE, normalization=CHOICE, activation=CHOICE),
    ),
    dcgan.DCGANGenerator: (
        dict(image_shape=IMAGE, latent_size=2),
        dict(
            latent_size=SIZE,
            width=SIZE,
            kernel_size=SIZE,
            initial_scale=(0, -1.0, "x", math.nan),
            activation=CHOICE,
            normalization=CHOICE,
        ),
    ),
    dcgan.DCGANEncoder: (
        dict(image_shape=IMAGE, outputs=2, width=4),
        dict(outputs=SIZE, width=SIZE, kernel_size=SIZE, initial_scale=(0, "x"), normalization=CHOICE),
    ),
    dcgan.DCGANDiscriminator: (
        dict(image_shape=IMAGE, width=4),
        dict(width=SIZE, kernel_size=SIZE, initial_scale=(0, "x"), normalization=CHOICE),
    ),
    sngan.SNGANGenerator: (
        dict(image_shape=IMAGE, latent_size=2),
        dict(latent_size=SIZE, width=SIZE, activation=CHOICE, normalization=CHOICE),
    ),
    sngan.SNGANDiscriminator: (dict(image_shape=IMAGE), dict(width=SIZE)),
    sngan.ResidualDiscriminator: (dict(image_shape=IMAGE), dict(width=SIZE)),
    color_mnist.ColorMNISTGenerator: (dict(image_shape=IMAGE, latent_size=2), dict(latent_size=SIZE)),
    color_mnist.ColorMNISTEncoder: (dict(image_shape=IMAGE, outputs=2), dict(outputs=SIZE)),
    discriminators.ConvDiscriminator: (
        dict(image_shape=IMAGE),
        dict(channels=TUPLE, dense=TUPLE, kernel_size=SIZE, initial_scale=(0, -1.0, "x")),
    ),
    discriminators.MLPDiscriminator: (dict(event_shape=(3,)), dict(width=SIZE, depth=SIZE)),
    discriminators.CodeDiscriminator: (dict(latent_size=3), dict(width=SIZE, depth=SIZE)),
    autoencoding.AutoencodingDiscriminator: (
        dict(event_shape=IMAGE),
        dict(hidden_size=SIZE, encoder=CLASS, decoder=CLASS),
    ),
    joint.JointDiscriminator: (
        dict(event_shape=(3,), latent_size=2),
        dict(latent_size=SIZE, features=SIZE, width=SIZE, depth=SIZE, encoder=CLASS[1:]),
    ),
    glow.ZeroConv2D: (dict(inputs_shape=MAP, outputs=2), dict(outputs=SIZE, kernel_size=SIZE)),
    glow.GlowConditioner: (dict(inputs_shape=MAP, outputs=2), dict(outputs=SIZE, width=SIZE)),
    residual.ResidualConditioner: (
        dict(inputs_shape=MAP, outputs=2),
        dict(outputs=SIZE, width=SIZE, blocks=SIZE, activation=CHOICE),
    ),
    ResidualTranslator: (
        dict(image_shape=IMAGE, output_shape=IMAGE, width=2, blocks=1, halvings=1),
        dict(width=SIZE, blocks=SIZE, halvings=SIZE[1:], initial_scale=(0, -1.0, "x"), normalization=CHOICE),
    ),
    PatchDiscriminator: (
        dict(image_shape=IMAGE, width=2, halvings=1),
        dict(width=SIZE, halvings=SIZE, initial_scale=(0, -1.0, "x"), normalization=CHOICE),
    ),
    pixel_cnn.GatedPixelCNN: (
        dict(shape=MAP, outputs=4, width=4, depth=2),
        dict(
            outputs=SIZE,
            context_size=(-1, *SIZE[2:]),
            width=SIZE,
            depth=SIZE,
            kernel_size=(*SIZE, 1, 4),
            inner_kernel_size=(*SIZE, 2),
        ),
    ),
    autoregressive_pixels.AutoregressivePixels: (
        {},
        dict(conditionals=CLASS, network=CLASS, features=SIZE),
    ),
    logistic_mixture.LogisticMixture: ({}, dict(components=SIZE, scale_range=RANGE)),
    lipschitz.LipschitzMLP: (dict(event_shape=(3,)), dict(width=SIZE, depth=SIZE, coefficient=SHARE)),
    lipschitz.LipschitzConvNet: (dict(event_shape=MAP), dict(width=SIZE, depth=SIZE, coefficient=SHARE)),
    BottomUpEncoder: (dict(image_shape=IMAGE, outputs=2), dict(network=CLASS)),
    Affine: ({}, dict(log_scale_bound=POSITIVE, gain=POSITIVE)),
    Shift: ({}, dict(gain=POSITIVE)),
    GatedAffine: ({}, dict(bias=NUMBER, bound=POSITIVE, gain=POSITIVE)),
    RationalQuadratic: (
        {},
        dict(
            bins=(1, 2.5, "x", None, 200),
            bound=POSITIVE,
            min_bin=(*POSITIVE, 0.5),
            min_slope=(0, 1, "x", None, math.nan),
            gain=POSITIVE,
        ),
    ),
    coupling.Coupling: (
        {},
        dict(transformer=(None, 3, "x", dict), mask=CHOICE, parity=(2, "x", 1.0, True), conditioner=CLASS),
    ),
    image_coupling.CheckerboardCoupling: (
        {},
        dict(transformer=(None, 3, "x", dict), parity=(2, "x"), conditioner=CLASS),
    ),
    image_coupling.ChannelCoupling: ({}, dict(transformer=(None, 3, "x"), parity=(2, "x"), conditioner=CLASS)),
    autoregressive.MAF: ({}, dict(transformer=(None, 3, "x"), order=CHOICE, seed=SEED, conditioner=CLASS)),
    autoregressive.IAF: ({}, dict(transformer=(None, 3, "x"), order=CHOICE, seed=SEED, conditioner=CLASS)),
    planar.Planar: ({}, dict(conditioner=CLASS)),
    ResidualBlock: (
        {},
        dict(
            network=CLASS,
            log_det=CHOICE,
            exact_terms=SIZE,
            evaluation_terms=SIZE,
            rate=POSITIVE,
            tolerance=POSITIVE,
            max_iterations=SIZE,
        ),
    ),
    actnorm.ActNorm: ({}, dict(epsilon=POSITIVE)),
    preprocessing.Logit: ({}, dict(alpha=(0, 0.5, -1, "x", None, (1, 2), math.nan))),
    preprocessing.Rescale: ({}, dict(scale=(0, *NUMBER), offset=NUMBER)),
    permutation.RandomPermutation: ({}, dict(seed=SEED)),
    linear.Invertible1x1Convolution: ({}, dict(seed=SEED)),
    Stack: (dict(parts=(actnorm.ActNorm,)), dict(parts=(None, 3, "x", (), (3,), ("ActNorm",)), repeat=SIZE)),
    MultiScale: ({}, dict(scales=(None, 3, "x", ()))),
    gaussian.DiagonalNormal: ({}, dict(scale_range=RANGE, conditioner=CLASS)),
    gaussian.FullNormal: ({}, dict(scale_range=RANGE, conditioner=CLASS)),
    mixture.GaussianMixture: ({}, dict(components=SIZE, covariance=CHOICE, scale_range=RANGE, conditioner=CLASS)),
    autoregressive_networks.AutoregressiveLSTM: (
        {},
        dict(width=SIZE, components=SIZE, scale_range=RANGE, head=CLASS),
    ),
    autoregressive_networks.AutoregressiveMADE: (
        {},
        dict(components=SIZE, scale_range=RANGE, order=CHOICE, seed=SEED, conditioner=CLASS),
    ),
    FlowDistribution: (dict(flow=actnorm.ActNorm), dict(flow=(None, 3, "x", dict), base=(None, 3, "x", dict))),
    ImplicitDensity: ({}, dict(noise_size=SIZE, mapping=CLASS)),
    VAEDensity: ({}, dict(width=SIZE, depth=SIZE, scale_range=RANGE)),
    flow_densities.RealNVPDensity: ({}, dict(layers=SIZE, log_scale_bound=POSITIVE, conditioner=CLASS)),
    flow_densities.SplineDensity: ({}, dict(layers=SIZE, bins=(1, "x", None), bound=POSITIVE, min_slope=(0, 1, "x"))),
    flow_densities.MAFDensity: ({}, dict(layers=SIZE, log_scale_bound=POSITIVE, conditioner=CLASS)),
    implicit.ImplicitPosterior: ({}, dict(noise_size=SIZE, width=SIZE, depth=SIZE, moments=(1, *SIZE))),
    pixels.IsotropicNormal: ({}, dict(initial_scale=(*POSITIVE, 1e9), scale_range=RANGE)),
    pixels.DiscretizedLogistic: ({}, dict(initial_scale=(*POSITIVE, 1e9), scale_range=RANGE)),
    TopDownDecoder: (
        dict(
            image_shape=IMAGE,
            latent_size=2,
            network=functools.partial(dcgan.DCGANGenerator, width=2),
            level=topdown_levels.TopDownLevel,
        ),
        dict(channels=(*TUPLE, (), (1, 1, 1)), level=CLASS, network=CLASS),
    ),
    topdown_levels.TopDownLevel: (
        dict(shape=(4, 4, 2), channels=1, ordinal=0),
        dict(merge=CHOICE, flow=CLASS[1:]),
    ),
    topdown_autoregressive.AutoregressiveLevel: (
        dict(shape=(4, 4, 2), channels=1, ordinal=0),
        dict(merge=CHOICE, flow=CLASS[1:], network=CLASS),
    ),
    penalties.GradientPenalty: ({}, dict(weight=FINITE, target=FINITE)),
    dragan.DRAGAN: ({}, dict(weight=FINITE, target=FINITE, limits=(3, "x", (0,), (1, 0)))),
    penalties.R1: ({}, dict(weight=FINITE)),
    penalties.WeightClipping: ({}, dict(limit=POSITIVE)),
    smoothness.DecoderL2: ({}, dict(weight=FINITE)),
    smoothness.DecoderGradient: ({}, dict(weight=FINITE)),
    mmd.IMQ: ({}, dict(scales=(None, 3, "x", (), (0,), ("x",), (math.nan,)), prior_scale=POSITIVE)),
}


@pytest.mark.parametrize(
    ("make", "argument"),
    [(make, argument) for make, (_, arguments) in CASES.items() for argument in arguments],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_wrong_values_are_one_line_with_argument_and_value(make, argument):
    needed, arguments = CASES[make]
    for value in arguments[argument]:
        with pytest.raises(UsageError) as raised:
            make(**{**needed, argument: value})
        message = str(raised.value)
        assert "\n" not in message
        assert argument in message, message
        entries = value if isinstance(value, tuple) and argument in ("parts", "scales") else ()
        assert any(repr(shown) in message for shown in (value, *entries)), (value, message)
