"""The inverse of a residual block by a fixed point: its accuracy, its errors, and its gradients."""

import numpy as np
import pytest
import tensorflow as tf

from tests.flows.residual_cases import CONV, MLP, built, events, part
from tfade.errors import one_line
from tfade.flows.fixed_point import fixed_point, searches
from tfade.flows.multiscale import MultiScale
from tfade.flows.noise import PerExampleNoise
from tfade.flows.residual import ResidualBlock
from tfade.flows.squeeze import Squeeze
from tfade.flows.stack import Stack
from tfade.networks.lipschitz import LipschitzMLP


def test_the_inverse_is_found_to_its_tolerance_and_says_how():
    block = built(ResidualBlock(part(LipschitzMLP, width=32)), (8,))
    x = events(8, rows=64)
    z = block.initialise(x)
    found = block.fixed_point(z)
    np.testing.assert_allclose(found.value, x, atol=1e-5)
    assert bool(found.converged)
    assert 3 < int(found.iterations) < 200
    assert float(found.change) < 1e-4


def test_steps_that_rounding_keeps_from_shrinking_end_the_search():
    """A contraction whose own terms are rounded more coarsely than its value; steps that are larger are an error."""
    for coarse, converges in ((3e-6, True), (3e-5, False)):
        search = tf.function(
            lambda start, c=coarse: fixed_point(lambda x: 0.94 * x - c * tf.sign(x), start, 1e-5, 1000, 0.94)
        )
        found = search(tf.constant([[0.5], [0.0]]))
        assert bool(found.converged) is converges
        assert float(tf.abs(found.value[0, 0])) < 2 * coarse
        assert converges or float(found.change) > coarse / 2


@pytest.mark.parametrize("constant", [0.5, 0.94, 0.98, 0.997, 0.9995, -0.9995])
def test_what_is_called_converged_is_within_the_tolerance(constant):
    """Of slow contractions small steps say little: the way still to go is up to 2,000 of the last one here."""
    search = tf.function(lambda x, most: fixed_point(lambda x: constant * x, x, 1e-5, most, abs(constant)))
    for start, most in (([[0.8], [1e-3]], 3000), ([[9e-5]], 300)):
        found = search(tf.constant(start), tf.constant(most))
        assert not found.converged or np.abs(found.value).max() < 1.02e-5
        assert bool(found.converged) or abs(constant) > 0.98


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_search_in_a_graph_takes_any_precision(dtype):
    found = tf.function(lambda x: fixed_point(lambda x: 0.5 * x + 1.0, x, 1e-5, 100, 0.5))(tf.zeros((2, 3), dtype))
    np.testing.assert_allclose(found.value, 2.0, rtol=1e-5)


def test_an_eager_search_is_a_graph_that_is_traced_once():
    """And that sees the weights as they are: a call evaluates the network in Python once, for the gradient."""
    block, z, calls = built(ResidualBlock(part(LipschitzMLP, width=32)), (8,)), events(8), []
    evaluate = block.network.evaluate
    block.network.evaluate = lambda x, parameters: calls.append(x.shape) or evaluate(x, parameters)
    for shift in (0.0, 0.5):
        block.network.linear[0].bias.assign_add(tf.fill((32,), shift))
        calls.clear()
        with searches() as found:
            x = block.bijector().forward(z)
        np.testing.assert_allclose(block.inverse_value(x, None), z, atol=2e-5)
        assert [int(each.iterations) > 3 for each in found] == [True]
    assert calls == [(7, 8)] * 2  # in `forward`, and in what checks it


def test_limits_that_are_raised_hold_for_the_next_search():
    block, z = built(ResidualBlock(MLP, max_iterations=2), (3,)), events(3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="after 2 iterations"):
        block.bijector().forward(z)
    block.max_iterations = 1000
    np.testing.assert_allclose(block.inverse_value(block.bijector().forward(z), None), z, atol=2e-5)


def test_an_inverse_that_does_not_converge_is_an_error():
    block = built(ResidualBlock(MLP, max_iterations=2, name="tower"), (3,))
    z = events(3)
    message = (
        "tower .residual block 0 of its kind, events of shape .3,..: its inverse has not converged after 2 iterations; "
        "raise ResidualBlock.max_iterations or its tolerance, or lower LipschitzMLP.coefficient; "
        r"the last relative change\D*0\.\d+"
    )

    def values(z):
        return block.bijector().forward(z)

    for run in (values, tf.function(values)):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            run(z)


@pytest.mark.full("seconds of XLA")
def test_an_inverse_that_does_not_converge_is_nan_under_xla():
    """Which cannot raise."""
    block = built(ResidualBlock(MLP, max_iterations=2), (3,))
    assert np.isnan(tf.function(lambda z: block.bijector().forward(z), jit_compile=True)(events(3))).all()


def test_gradients_of_the_inverse_reach_the_weights():
    """dx = -(I + J)⁻¹ ∂g: against a difference of two inverses."""
    block = built(ResidualBlock(MLP, tolerance=1e-7), (3,))
    z, weights = events(3), events(3, seed=5)

    def total():
        return tf.reduce_sum(weights * block.forward_and_estimate(z, None, PerExampleNoise(tf.range(7)))[0])

    bias = block.network.linear[0].bias
    with tf.GradientTape() as tape:
        value = total()
    gradient = tape.gradient(value, bias.value)
    direction, start = np.linspace(-1, 1, 6, dtype=np.float32), bias.numpy()
    sides = []
    for side in (-1e-2, 1e-2):
        bias.assign(start + side * direction)
        sides.append(float(total()))
    np.testing.assert_allclose(np.sum(gradient * direction), (sides[1] - sides[0]) / 2e-2, rtol=1e-2)


def test_gradients_of_the_inverse_may_be_of_any_size():
    """A loss in nats per dimension of a large batch has gradients of 1e-6; those of other examples do not matter."""
    block, z, weights = built(ResidualBlock(MLP), (3,)), events(3), events(3, seed=5)

    def gradient(weights):
        with tf.GradientTape() as tape:
            tape.watch(z)
            total = tf.reduce_sum(weights * block.bijector().forward(z))
        return tape.gradient(total, z).numpy()

    whole = gradient(weights)
    sizes = np.float32([1e-6, 1, 1e-9, 1e3, 1e-3, 0, 1e-6])[:, None]
    np.testing.assert_allclose(gradient(sizes * weights), sizes * whole, rtol=1e-3, atol=1e-12)
    assert np.abs(whole - weights).max() > 0.1


def test_a_gradient_that_overflowed_is_handed_on():
    """As half precision expects: its update is skipped, and no search for a fixed point fails."""
    block, z = built(ResidualBlock(MLP), (3,)), events(3)
    with tf.GradientTape() as tape:
        tape.watch(z)
        x = block.bijector().forward(z)
    upstream = np.ones((7, 3), np.float32)
    upstream[2] = [np.inf, 1, np.nan]
    found = tape.gradient(x, z, tf.constant(upstream)).numpy()
    assert not np.isfinite(found[2]).all()
    assert np.isfinite(np.delete(found, 2, 0)).all()


def test_the_error_names_one_block_of_all():
    """Blocks are counted from 0 on every scale: the scale tells them apart, and which multi-scale flow it is of."""
    blocks = [part(ResidualBlock, CONV, max_iterations=1)] * 2
    scales = part(MultiScale, ((Squeeze, part(Stack, blocks)), (*blocks, part(ResidualBlock, CONV))), flatten=False)
    flow = built(Stack((*blocks, scales, scales)), (4, 4, 1))
    found = {}
    for block in flow._flatten_layers():
        if isinstance(block, ResidualBlock):
            failed = fixed_point(lambda x: 1.0 - x, tf.zeros((1, *block.event_shape)), 1e-5, 1, 0.9)
            with pytest.raises(tf.errors.InvalidArgumentError) as raised:
                block._checked(failed, "inverse")
            found[block] = one_line(raised.value).partition(", events")[0].partition(" (")[2]
    assert len(found) == len(set(found.values())) == 12
    assert set(found.values()) > {
        "residual block 1 of its kind",
        "residual block 1 of scale 1",
        "residual block 2 of scale 2",
        "residual block 2 of scale 2 of multi-scale flow 1",
    }
