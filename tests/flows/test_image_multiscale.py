"""Squeezes and multi-scale flows: where every number goes, learned priors, and the published systems in gin."""

import functools

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.flows.cases import Case, perturb
from tests.flows.properties import CHECKS, name_of
from tfade.errors import UsageError
from tfade.flows.actnorm import ActNorm
from tfade.flows.image_coupling import ChannelCoupling, CheckerboardCoupling
from tfade.flows.layer import size_of
from tfade.flows.linear import Invertible1x1Convolution
from tfade.flows.multiscale import MultiScale
from tfade.flows.preprocessing import Flatten
from tfade.flows.squeeze import Squeeze
from tfade.flows.stack import Stack
from tfade.networks.glow import ZeroConv2D
from tfade.networks.residual import ResidualConditioner
from tfade.training import configuration

tfd = tfp.distributions

CHECKERBOARD = functools.partial(CheckerboardCoupling, conditioner=ZeroConv2D)  # one convolution: fast in float64
CHANNEL = functools.partial(ChannelCoupling, conditioner=ZeroConv2D)
GLOW_STEP = (ActNorm, Invertible1x1Convolution, CHANNEL)
SQUEEZES = ((Squeeze,), (Squeeze,), (Squeeze,))

CASES = (
    Case("squeeze", Squeeze, (4, 2, 3), uses_context=False),
    Case("one_scale", lambda: MultiScale((CHECKERBOARD,)), (2, 3, 1)),
    Case(
        "glow",
        lambda: MultiScale(((Squeeze, *GLOW_STEP), (*GLOW_STEP, CHECKERBOARD)), learned_prior=True),
        (2, 4, 3),
        identity=False,
    ),
    Case(
        "three_scales",
        lambda: MultiScale(((Squeeze, CHANNEL), (Squeeze, CHANNEL), CHECKERBOARD)),
        (4, 8, 1),
    ),
    Case(
        "image_latents",
        lambda: MultiScale(((CHECKERBOARD, Squeeze, CHANNEL), (CHECKERBOARD,)), learned_prior=True, flatten=False),
        (4, 4, 2),
    ),
)


@pytest.mark.every(4, 1)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_property(check, case):
    check(case)


def built(layer, shape, context_size=0, perturbed=True):
    keras.utils.set_random_seed(1)
    layer.build(shape, context_size)
    if perturbed:
        perturb(layer)
    return layer


def images(*shape, seed=0, rows=3):
    return np.random.default_rng(seed).normal(size=(rows, *shape)).astype(np.float32)


def test_the_order_of_a_squeeze():
    """[[1, 2], [3, 4]] of one channel becomes (1, 2, 3, 4), as in figure 3 of RealNVP; colours stay together."""
    flow = built(Squeeze(), (4, 4, 1))
    block = np.tile([[1.0, 2.0], [3.0, 4.0]], (2, 2))[None, ..., None]
    assert flow.latent_shape == (2, 2, 4)
    np.testing.assert_array_equal(flow.bijector().inverse(block), np.tile([1, 2, 3, 4], (1, 2, 2, 1)))
    coloured = images(4, 6, 3)
    squeezed = built(Squeeze(), (4, 6, 3)).bijector().inverse(coloured)
    np.testing.assert_array_equal(squeezed[..., :3], coloured[:, ::2, ::2])
    np.testing.assert_array_equal(squeezed[..., 3:6], coloured[:, ::2, 1::2])
    np.testing.assert_array_equal(
        squeezed[..., 6:], np.concatenate([coloured[:, 1::2, ::2], coloured[:, 1::2, 1::2]], -1)
    )


def test_where_every_number_goes():
    """Squeezes alone: z_1 holds the lower rows of all 2×2 blocks, z_2 the third rows of all 4×4 blocks, …"""
    flow, x = built(MultiScale(SQUEEZES), (8, 8, 1)), images(8, 8, 1)
    assert flow.latent_shape == (64,)
    z, log_det = flow.bijector().inverse_and_log_det(x)
    np.testing.assert_array_equal(log_det, 0)
    for piece, rows in ((z[:, :32], x[:, 1::2]), (z[:, 32:48], x[:, 2::4]), (z[:, 48:], x[:, ::4])):
        np.testing.assert_array_equal(np.sort(piece), np.sort(rows.reshape(3, -1)))
    np.testing.assert_array_equal(flow.bijector().forward(tf.identity(z)), x)


@pytest.mark.parametrize(("scales", "shape"), [(SQUEEZES, (8, 8, 1)), (((Squeeze, Squeeze), CHECKERBOARD), (4, 8, 3))])
def test_image_latents_lie_where_their_pixels_are(scales, shape):
    """Put back into an image, latents of flows that are the identity are the image."""
    flow, x = built(MultiScale(scales, flatten=False), shape, perturbed=False), images(*shape)
    assert flow.latent_shape == shape
    np.testing.assert_array_equal(flow.bijector().inverse(x), x)


def test_dimensions_of_the_published_flows():
    """RealNVP on 32×32×3: 1,536 leave after the first scale and 1,536 stay; Glow: 1,536, 768 and 768."""
    real_nvp = built(MultiScale(((CHECKERBOARD, Squeeze, CHANNEL), (CHECKERBOARD,))), (32, 32, 3), perturbed=False)
    assert real_nvp._pieces == [(16, 16, 6), (16, 16, 6)]
    glow = built(MultiScale(((Squeeze, CHANNEL),) * 3), (32, 32, 3), perturbed=False)
    assert [size_of(shape) for shape in glow._pieces] == [1536, 768, 768]
    assert glow._pieces == [(16, 16, 6), (8, 8, 12), (4, 4, 48)]
    assert real_nvp.latent_shape == glow.latent_shape == (3072,)


@pytest.mark.parametrize("context_size", [0, 2])
def test_the_learned_prior(context_size):
    """The density of a scale's second half is N(μ(h), σ²(h)): with a squeeze alone nothing else is in the flow."""
    flow = built(MultiScale(((Squeeze,), (Flatten,)), learned_prior=True), (4, 4, 1), context_size)
    assert flow.trainable_variables
    x, context = images(4, 4, 1), images(context_size) if context_size else None
    z, log_det = flow.bijector(context).inverse_and_log_det(x)
    squeezed = tf.nn.space_to_depth(x, 2)
    kept, out = squeezed[..., :2], squeezed[..., 2:]
    given = () if context is None else (context,)
    mean, log_scale = tf.split(flow.priors[0].conditioner(kept, *given), 2, -1)
    expected = tfd.Normal(mean, tf.exp(3 * tf.tanh(log_scale / 3))).log_prob(out)
    expected = tf.reduce_sum(expected, [1, 2, 3]) + tf.reduce_sum(tfd.Normal(0.0, 1.0).log_prob(kept), [1, 2, 3])
    density = tf.reduce_sum(tfd.Normal(0.0, 1.0).log_prob(z), -1) + log_det
    np.testing.assert_allclose(density, expected, rtol=1e-4)
    assert np.abs(log_det).min() > 0.01


NORMALISED = (Squeeze, ActNorm, Invertible1x1Convolution, ActNorm)


@pytest.mark.parametrize("learned_prior", [False, True])
def test_initialise_reaches_every_scale(learned_prior):
    """Activation normalisation in every scale is set from the data as they arrive there, once."""
    flow = built(MultiScale((NORMALISED,) * 2, learned_prior=learned_prior), (8, 8, 1), perturbed=False)
    x = 3.0 + 5.0 * images(8, 8, 1, rows=64)
    z = flow.initialise(x)
    np.testing.assert_allclose(z, flow.bijector().inverse(x), rtol=1e-5, atol=1e-5)
    norms = [part for scale in flow.flows for part in scale.parts if isinstance(part, ActNorm)]
    assert len(norms) == 4
    assert all(norm.initialised.numpy() == 1 for norm in norms)
    for channels in (np.reshape(z[:, :32], (-1, 2)), np.reshape(z[:, 32:], (-1, 8))):
        np.testing.assert_allclose(channels.mean(0), 0, atol=1e-3)
        np.testing.assert_allclose(channels.std(0), 1, atol=1e-2)
    before = [variable.numpy() for variable in flow.variables]
    flow.initialise(2.0 * x)
    for one, two in zip(before, flow.variables):
        np.testing.assert_array_equal(one, two)


def test_initialise_passes_the_context_on():
    flow = built(MultiScale((NORMALISED,) * 2, learned_prior=True), (8, 8, 1), 2)
    x, context = images(8, 8, 1), images(2)
    z = flow.initialise(x, context)
    np.testing.assert_allclose(z, flow.bijector(context).inverse(x), rtol=1e-5, atol=1e-5)
    assert np.abs(z - flow.bijector(0 * context).inverse(x)).max() > 0.01


def test_each_network_runs_once():
    class Counting(ZeroConv2D):
        calls = 0

        def call(self, inputs, context=None):
            Counting.calls += 1
            return super().call(inputs, context)

    checkerboard = functools.partial(CheckerboardCoupling, conditioner=Counting)
    channel = functools.partial(ChannelCoupling, conditioner=Counting)
    flow = built(MultiScale(((checkerboard, Squeeze, channel), (checkerboard,)), learned_prior=True), (4, 4, 1))
    distribution = tfd.TransformedDistribution(tfd.MultivariateNormalDiag(tf.zeros(16)), flow.bijector())
    for use in (
        lambda: distribution.log_prob(images(4, 4, 1)),
        lambda: distribution.experimental_sample_and_log_prob(3, seed=(1, 2)),
    ):
        Counting.calls = 0
        use()
        assert Counting.calls == 3


# The published systems, small, as gin says them.

REAL_NVP = """
MultiScale.scales = (
    (@CheckerboardCoupling, @CheckerboardCoupling, @CheckerboardCoupling, @Squeeze,
     @ChannelCoupling, @ChannelCoupling, @ChannelCoupling),
    (@CheckerboardCoupling, @CheckerboardCoupling, @CheckerboardCoupling, @CheckerboardCoupling))
CheckerboardCoupling.conditioner = @ResidualConditioner
CheckerboardCoupling.transformer = @Affine
CheckerboardCoupling.learned_scale = True
ChannelCoupling.conditioner = @ResidualConditioner
ChannelCoupling.transformer = @Affine
ChannelCoupling.learned_scale = True
Affine.gain = 1.0
Affine.log_scale_bound = 2.0
ResidualConditioner.width = 3
ResidualConditioner.blocks = 2
Stack.parts = (@Logit, @MultiScale)
"""
GLOW = """
MultiScale.scales = ((@Squeeze, @steps/Stack), (@Squeeze, @steps/Stack), (@Squeeze, @steps/Stack))
MultiScale.learned_prior = True
steps/Stack.parts = (@ActNorm, @Invertible1x1Convolution, @ChannelCoupling)
steps/Stack.repeat = 2
ChannelCoupling.conditioner = @GlowConditioner
GlowConditioner.width = 3
Stack.parts = (@Rescale, @MultiScale)
Rescale.offset = -0.5
"""
AV_ADE = """
Stack.parts = (@CheckerboardCoupling,)
Stack.repeat = 6
CheckerboardCoupling.conditioner = @ResidualConditioner
ResidualConditioner.width = 3
ResidualConditioner.blocks = 1
"""
AV_ADE_TWO_SCALES = """
MultiScale.scales = ((@CheckerboardCoupling, @Squeeze, @ChannelCoupling), (@CheckerboardCoupling, @CheckerboardCoupling))
MultiScale.flatten = False
CheckerboardCoupling.conditioner = @ResidualConditioner
ChannelCoupling.conditioner = @ResidualConditioner
ResidualConditioner.width = 3
ResidualConditioner.blocks = 1
Stack.parts = (@MultiScale,)
"""


@pytest.mark.every(2, 1)
@pytest.mark.parametrize(
    ("recipe", "networks", "latent_shape"),
    [
        (REAL_NVP, 10, (192,)),
        (GLOW, 8, (192,)),
        (AV_ADE, 6, (8, 8, 3)),
        (AV_ADE_TWO_SCALES, 4, (8, 8, 3)),
    ],
    ids=["real_nvp", "glow", "av_ade", "av_ade_two_scales"],
)
def test_published_flows_are_short_gin_files(recipe, networks, latent_shape):
    with configuration.isolated():
        gin.parse_config(recipe)
        flow = gin.get_configurable("Stack")()
        flow.build((8, 8, 3))
    perturb(flow, 0.3)
    conditioners = [
        layer
        for layer in flow._flatten_layers()
        if isinstance(layer, (ResidualConditioner, ZeroConv2D)) and layer is not flow
    ]
    assert len(conditioners) == networks
    assert len({id(layer) for layer in conditioners}) == networks
    assert flow.latent_shape == latent_shape
    x = np.random.default_rng(0).uniform(0.1, 0.9, (2, 8, 8, 3)).astype(np.float32)
    z, log_det = flow.bijector().inverse_and_log_det(x)
    assert z.shape == (2, *latent_shape)
    back, other = flow.bijector().forward_and_log_det(tf.identity(z))
    np.testing.assert_allclose(back, x, atol=1e-4)
    np.testing.assert_allclose(other, -log_det, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("make_wrong", "message"),
    [
        (lambda: Squeeze().build((5, 4, 3)), "5×4; height and width have to be even"),
        (lambda: Squeeze().build((4, 7, 3)), "4×7; height and width have to be even"),
        (lambda: Squeeze().build((16,)), r"\(16,\); it needs images"),
        (lambda: MultiScale(()), r"scales=\(\)"),
        (lambda: MultiScale((dict,)), "{}, which is not a flow"),
        (lambda: MultiScale((Squeeze,)).build((16,)), "it needs images"),
        (lambda: MultiScale(((CHECKERBOARD,), (CHECKERBOARD,))).build((4, 4, 3)), r"scale 1 ends in shape \(4, 4, 3\)"),
        (
            lambda: MultiScale(((CHECKERBOARD,), (CHECKERBOARD,)), learned_prior=True).build((4, 4, 1)),
            r"scale 1 ends in shape \(4, 4, 1\)",
        ),
        (lambda: MultiScale(((Flatten,), (CHECKERBOARD,))).build((4, 4, 2)), r"scale 1 ends in shape \(32,\)"),
        (lambda: MultiScale(SQUEEZES).build((4, 4, 1)), "1×1; height and width have to be even"),
        (lambda: MultiScale(((Flatten,),), flatten=False).build((4, 4, 2)), "flatten=False .* scale 1"),
        (lambda: MultiScale((Squeeze,)).bijector(), "call build"),
    ],
)
def test_invalid_input_is_rejected(make_wrong, message):
    with pytest.raises(UsageError, match=message):
        make_wrong()


def test_scales_may_be_flows_classes_or_lists_of_parts():
    made = built(MultiScale((Squeeze, [CHANNEL, CHANNEL], Stack((CHANNEL,)))), (4, 4, 2))
    assert [len(flow.parts) for flow in made.flows] == [1, 2, 1]
