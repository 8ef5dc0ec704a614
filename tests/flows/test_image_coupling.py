"""Couplings of images: checkerboards and channels, with several transformers and networks."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.flows.cases import Case, perturb
from tests.flows.properties import CHECKS, name_of
from tfade.errors import UsageError
from tfade.flows.image_coupling import ChannelCoupling, CheckerboardCoupling
from tfade.flows.splines import RationalQuadratic
from tfade.flows.stack import Stack
from tfade.flows.transformers import Affine, Shift
from tfade.networks.glow import GlowConditioner
from tfade.networks.residual import ResidualConditioner

SMALL = functools.partial(ResidualConditioner, width=4, blocks=1)
GLOW = functools.partial(GlowConditioner, width=4)
WIDE = functools.partial(Affine, log_scale_bound=2.0, gain=1.0)
CHECKERBOARD = functools.partial(CheckerboardCoupling, conditioner=SMALL)
CHANNEL = functools.partial(ChannelCoupling, conditioner=SMALL)

CASES = (
    Case("checkerboard", CHECKERBOARD, (4, 4, 1)),
    Case(
        "checkerboard_odd",
        lambda: CheckerboardCoupling(WIDE, learned_scale=True, parity=1, conditioner=GLOW, show_mask=False),
        (3, 5, 3),
    ),
    Case(
        "checkerboard_spline",
        lambda: CHECKERBOARD(RationalQuadratic(4, bound=3.0)),
        (2, 2, 1),
        tolerance=1e-7,
        data_scale=2.0,
    ),
    Case("channel", CHANNEL, (2, 3, 3)),
    Case("channel_learned_scale", lambda: ChannelCoupling(WIDE, learned_scale=True, conditioner=GLOW), (4, 4, 2)),
)


@pytest.mark.every(4)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_property(check, case):
    check(case)


class Constant(keras.layers.Layer):
    """A conditioner that gives every pixel the same parameters and remembers what it saw."""

    def __init__(self, inputs_shape, outputs, context_size=0, values=()):
        super().__init__()
        self.inputs_shape, self.outputs = inputs_shape, outputs
        self.values = np.resize(np.float32(values or [0.0]), outputs)
        self.seen = []

    def call(self, inputs, context=None):
        self.seen.append(inputs.numpy())
        return tf.broadcast_to(self.values, (*inputs.shape[:3], self.outputs))


def built(layer, shape, context_size=0, noise=1.0):
    keras.utils.set_random_seed(1)
    layer.build(shape, context_size)
    perturb(layer, noise)
    return layer


def images(*shape, seed=0, rows=3):
    return np.random.default_rng(seed).normal(size=(rows, *shape)).astype(np.float32)


def test_the_network_sees_the_masked_image_and_the_mask():
    layer = CheckerboardCoupling(parity=0, conditioner=Constant)
    layer.build((2, 3, 2))
    x = images(2, 3, 2)
    layer.bijector().inverse(x)
    mask = np.array([[1, 0, 1], [0, 1, 0]])[..., None]
    (seen,) = layer.conditioner.seen
    np.testing.assert_array_equal(seen[..., :2], x * mask)
    np.testing.assert_array_equal(seen[..., 2:], np.broadcast_to(mask, (3, 2, 3, 1)))
    without = CheckerboardCoupling(parity=0, conditioner=Constant, show_mask=False)
    without.build((2, 3, 2))
    assert without.conditioner.inputs_shape == (2, 3, 2)


@pytest.mark.parametrize(("make", "shape"), [(CHECKERBOARD, (4, 4, 1)), (CHANNEL, (2, 2, 4))])
def test_halves_are_transformed_in_turn(make, shape):
    """In a stack, whatever lies between, two layers change every number."""
    stack, x = built(Stack((make, make)), shape), images(*shape)
    middle = stack.parts[0].bijector().inverse(x)
    first, second = (middle.numpy() != x).all(0), (stack.bijector().inverse(x) != middle).numpy().all(0)
    np.testing.assert_array_equal(first, ~second)


@pytest.mark.parametrize(
    ("make", "shape", "pixels", "channels"),
    [(CheckerboardCoupling, (3, 3, 2), 4, 2), (ChannelCoupling, (3, 3, 5), 9, 3)],
)
def test_the_log_determinant_counts_what_is_transformed(make, shape, pixels, channels):
    """Affine: -s for every number that changes, s = bound · tanh(gain · ŝ / bound)."""
    conditioner = functools.partial(Constant, values=[0.3] * channels + [-0.8] * channels)
    layer = make(Affine(0.7, gain=0.5), parity=0, conditioner=conditioner)
    layer.build(shape)
    log_scale = 0.7 * np.tanh(0.5 * -0.8 / 0.7)
    log_det = layer.bijector().inverse_log_det_jacobian(images(*shape), 3)
    np.testing.assert_allclose(log_det, -pixels * channels * log_scale, rtol=1e-5)


def test_the_learned_scale():
    """s = α tanh(ŝ) + β with α and β by channel, within the bound of the transformer."""
    conditioner = functools.partial(Constant, values=[0.0, 0.0, 0.9, -0.4])
    layer = CheckerboardCoupling(Affine(2.0, gain=1.0), learned_scale=True, parity=0, conditioner=conditioner)
    layer.build((2, 2, 2))
    x = images(2, 2, 2)
    for scale, shift in (([1.0, 1.0], [0.0, 0.0]), ([0.5, 3.0], [0.1, -0.2]), ([100.0, -100.0], [50.0, 0.0])):
        layer.scale.assign(scale)
        layer.shift.assign(shift)
        learned = np.array(scale) * np.tanh([0.9, -0.4]) + shift
        expected = -2 * (2.0 * np.tanh(learned / 2.0)).sum()
        np.testing.assert_allclose(layer.bijector().inverse_log_det_jacobian(x, 3), expected, rtol=1e-5)


def test_the_learned_scale_starts_with_a_gradient():
    """At α = 1 the output layer, which is 0, learns about the scale at once."""
    layer = CHECKERBOARD(Affine(2.0, gain=1.0), learned_scale=True)
    layer.build((4, 4, 1))
    with tf.GradientTape() as tape:
        log_det = tf.reduce_sum(layer.bijector().inverse_and_log_det(images(4, 4, 1))[1])
    assert np.abs(tape.gradient(log_det, layer.conditioner.last.kernel.value)[..., 1]).max() > 0


class Counting(ResidualConditioner):
    """Counts its evaluations."""

    calls = 0

    def call(self, inputs, context=None):
        Counting.calls += 1
        return super().call(inputs, context)


@pytest.mark.parametrize("context_size", [0, 2])
def test_the_network_runs_once_in_each_direction(context_size):
    """Value and log-determinant come from one evaluation a layer, for densities and for samples with densities."""
    conditioner = functools.partial(Counting, width=4, blocks=1)
    parts = [functools.partial(kind, conditioner=conditioner) for kind in (CheckerboardCoupling, ChannelCoupling)]
    stack = built(Stack(parts), (2, 2, 2), context_size)
    context = images(context_size) if context_size else None
    base = tfp.distributions.Sample(tfp.distributions.Normal(0.0, 1.0), (2, 2, 2))
    if context_size:
        base = tfp.distributions.BatchBroadcast(base, [3])
    distribution = tfp.distributions.TransformedDistribution(base, stack.bijector(context))
    for use in (
        lambda: distribution.log_prob(images(2, 2, 2)),
        lambda: distribution.experimental_sample_and_log_prob(*(() if context_size else (3,)), seed=(1, 2)),
    ):
        Counting.calls = 0
        use()
        assert Counting.calls == 2


@pytest.mark.full("as those of vectors")
def test_deep_stacks_keep_their_inverse_in_float32():
    """32 layers with random weights of unit gain."""
    stack = built(Stack((CHECKERBOARD,), repeat=32), (6, 6, 3))
    x = images(6, 6, 3, rows=8)
    z = stack.bijector().inverse(x)
    assert np.abs(z - x).max() > 0.5
    assert np.abs(stack.bijector().forward(tf.identity(z)) - x).max() < 1e-4


@pytest.mark.parametrize("make", [CHECKERBOARD, CHANNEL, functools.partial(CheckerboardCoupling, conditioner=GLOW)])
def test_mixed_precision_has_exact_densities_in_float32(make):
    """The network computes in bfloat16; what is kept is kept to the bit, so the inverse is exact all the same."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = built(make(), (4, 4, 2), 3)
    finally:
        keras.config.set_dtype_policy("float32")
    x, context = images(4, 4, 2), images(3)
    assert tf.as_dtype(layer.conditioner.compute_dtype) == tf.bfloat16
    z, log_det = layer.bijector(context).inverse_and_log_det(x)
    assert z.dtype == log_det.dtype == tf.float32
    back, other = layer.bijector(context).forward_and_log_det(tf.identity(z))
    np.testing.assert_allclose(back, x, atol=1e-5)
    np.testing.assert_array_equal(other, -log_det)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer.bijector(context).inverse_and_log_det(x)[1])
    gradients = tape.gradient(loss, [variable.value for variable in layer.trainable_variables])
    assert all(gradient.dtype == tf.float32 and np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    ("make_wrong", "message"),
    [
        (lambda: CHECKERBOARD().build((6,)), r"\(6,\); it needs images"),
        (lambda: CHECKERBOARD().build((1, 1, 3)), "1×1, which is one pixel"),
        (lambda: CHANNEL().build((4, 4, 1)), "1 channel, not two or more"),
        (lambda: CHANNEL().build((4, 4)), "it needs images"),
        (lambda: CHECKERBOARD(parity=2), "parity=2"),
        (lambda: CHANNEL(Shift, learned_scale=True), "learned_scale=True needs transformer=Affine; Shift"),
        (lambda: CHANNEL(functools.partial(Affine, log_scale_bound=0.0)), r"log_scale_bound=0\.0"),
        (lambda: CHANNEL().build((4, 4, 2), -1), "context_size=-1"),
        (lambda: built(CHANNEL(), (4, 4, 2), 3).bijector(images(2)), r"\[3, 2\]"),
    ],
)
def test_invalid_input_is_rejected(make_wrong, message):
    with pytest.raises(UsageError, match=message):
        make_wrong()
