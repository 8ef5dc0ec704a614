"""Invertible residual blocks: exact where they say so, unbiased where they estimate, contractions always."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.flows.cases import Case, perturb
from tests.flows.properties import (
    CHECKS,
    check_compiled,
    check_finite_at_extremes,
    check_inverse,
    check_log_det,
    check_reload,
    name_of,
)
from tests.flows.residual_cases import CONV, MLP, built, events, part, steep
from tfade.data.source import ArraySource
from tfade.distributions.flow import FlowDistribution
from tfade.errors import UsageError
from tfade.evaluation import Likelihood, Subject
from tfade.flows.actnorm import ActNorm
from tfade.flows.multiscale import MultiScale
from tfade.flows.noise import PerExampleNoise, TrainingNoise
from tfade.flows.power_series import number_of_terms, poisson_tail
from tfade.flows.residual import ResidualBlock
from tfade.flows.squeeze import Squeeze
from tfade.flows.stack import Stack
from tfade.models.flow import FlowModel
from tfade.networks.lipschitz import LipschitzConvNet, LipschitzMLP
from tfade.seeds import Seeds, example_keys

EXACT = {"log_det": "exact", "tolerance": 1e-9}
VECTORS = Case("vectors", part(ResidualBlock, MLP, **EXACT), (2,), tolerance=1e-7)
IMAGES = Case("images", part(ResidualBlock, CONV, **EXACT), (2, 2, 1), tolerance=1e-7, context_size=0)
ESTIMATED = Case("estimated", part(ResidualBlock, MLP, evaluation_terms=3), (3,), context_size=0)
CASES = [
    *((check, VECTORS) for check in CHECKS if check is not check_compiled),  # seconds: one below
    *((check, IMAGES) for check in (check_inverse, check_log_det)),
    *((check, ESTIMATED) for check in (check_finite_at_extremes, check_reload)),
]
DRAWS = 20_000


@pytest.mark.every(4, 1)
@pytest.mark.parametrize(
    ("check", "case"), CASES, ids=lambda value: str(value) if isinstance(value, Case) else name_of(value)
)
def test_property(check, case):
    check(case)


def test_an_estimated_likelihood_is_declared_and_its_error_is_that_of_the_estimate():
    """Examples that are nearly one have nearly one density, but an estimate each."""

    def model_of(**more):
        keras.utils.set_random_seed(1)
        model = FlowModel((3,), part(ResidualBlock, MLP, evaluation_terms=2, **more))
        perturb(model.flow, 2.0, 1)
        return model

    estimated, exact = model_of(), model_of(log_det="exact")
    assert (estimated.likelihood, estimated.answers("log_density")) == ("unbiased", False)
    assert (exact.likelihood, exact.answers("log_density")) == ("exact", True)
    data = np.float32([0.5, -1.0, 0.3]) + 1e-4 * np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    source = ArraySource("near", "test", data)
    noisy, sharp = (
        next(iter(Likelihood()(Subject(model, source, source, num_samples=2, progress=lambda line: None))))
        for model in (estimated, exact)
    )
    assert sharp.std < 1e-4
    deviation = np.std(estimated.log_prob(data))
    assert 0.01 < deviation == pytest.approx(noisy.std * 400**0.5, rel=0.01)
    assert abs(noisy.value - sharp.value) < 4 * noisy.std


def test_value_and_gradient_of_the_estimate_are_unbiased():
    """20,000 draws of one point: within 3 standard errors of the exact ones, which two terms alone are not."""
    network = part(LipschitzMLP, width=3, depth=1)
    block = built(ResidualBlock(network, evaluation_terms=2), (3,))
    steep(block)
    exact = ResidualBlock(network, "exact")
    exact.build((3,))
    exact.network.set_weights(block.network.get_weights())
    point, groups = events(3, rows=1), 20
    variables = block.trainable_variables

    def estimated(first: int, rows: int, tail=None):
        x = tf.tile(point, (rows, 1))
        if tail is not None:
            block._tail = tail
        with tf.GradientTape() as tape:
            tape.watch(x)
            noise = PerExampleNoise(tf.range(first, first + rows))
            log_det = block.inverse_and_estimate(x, None, noise)[1]
        of_x, *of_weights = tape.gradient(log_det, [x, *(variable.value for variable in variables)])
        return log_det.numpy(), of_x.numpy(), [gradient.numpy() / rows for gradient in of_weights]

    found = [estimated(group * DRAWS // groups, DRAWS // groups) for group in range(groups)]
    with tf.GradientTape() as tape:
        tape.watch(point)
        log_det = exact.inverse_and_log_det(point, None)[1]
    of_x, *of_weights = tape.gradient(log_det, [point, *(variable.value for variable in exact.trainable_variables)])

    def deviations(values, expected):
        """Standard errors between the means of independent rows and what is expected."""
        error = values.std(0, ddof=1) / np.sqrt(len(values))
        return np.abs(values.mean(0) - expected) / (error + 1e-9)

    assert deviations(np.concatenate([log_det for log_det, _, _ in found]), log_det[0]) < 3
    assert deviations(np.concatenate([gradient for _, gradient, _ in found]), of_x[0]).max() < 3
    moved = 0
    for place, expected in enumerate(of_weights):
        expected = 0.0 if expected is None else expected  # of the last bias
        values = np.stack([gradients[place] for _, _, gradients in found])
        assert deviations(values, expected).max() < 4.5  # the largest of some twenty, of 20 groups each
        moved += np.count_nonzero(np.abs(expected) > 1e-3)
    assert moved > 12
    truncated = estimated(0, DRAWS, tail=np.ones(1))
    assert max(deviations(truncated[0], log_det[0]), deviations(truncated[1], of_x[0]).max()) > 4.5


def test_the_roulette_is_a_poisson_variable():
    tail = poisson_tail(2.0)
    np.testing.assert_allclose(tail[:4], [1, 0.864665, 0.593994, 0.323324], rtol=1e-5)
    terms = number_of_terms(tf.constant((np.arange(4096) + 0.5) / 4096, tf.float32), 2, tail).numpy()
    assert terms.min() == 2
    np.testing.assert_allclose([np.mean(terms >= 2 + k) for k in range(8)], tail[:8], atol=1 / 4096)


@pytest.mark.parametrize("by_xla", [False, pytest.param(True, marks=pytest.mark.full("seconds of XLA"))])
def test_many_terms_are_the_exact_number(by_xla):
    """As the series ends where the terms vanish, probes in all directions give the trace: an orthogonal set of them."""
    block = built(ResidualBlock(MLP, evaluation_terms=150), (2,), noise=0.3)
    exact = ResidualBlock(MLP, "exact")
    exact.build((2,))
    exact.network.set_weights(block.network.get_weights())

    class Directions(PerExampleNoise):
        def normal_like(self, value):
            return tf.sqrt(2.0) * tf.eye(2)

        def uniform(self, value):
            return tf.zeros(2)

    def estimated(x):
        return block.inverse_and_estimate(x, None, Directions(tf.range(2)))

    x = tf.tile(events(2, rows=1), (2, 1))
    z, log_det = estimated(x)
    if by_xla:
        for one, other in zip((z, log_det), tf.function(estimated, jit_compile=True)(x)):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    expected = exact.inverse_and_log_det(x, None)
    np.testing.assert_array_equal(z, expected[0])
    np.testing.assert_allclose(np.mean(log_det), expected[1][0], atol=1e-5)


@pytest.mark.full("as answers and replicas of such a model in test_properties")
def test_noise_belongs_to_an_example_or_to_a_step():
    flow = built(Stack((part(ResidualBlock, MLP, exact_terms=1, evaluation_terms=1),) * 2), (3,))
    x = events(3)

    def log_det(x, draw=0):
        return flow.bijector(noise=PerExampleNoise(example_keys(x), draw)).inverse_and_log_det(x)[1].numpy()

    np.testing.assert_allclose(log_det(x[2:4]), log_det(x)[2:4], rtol=1e-5)
    np.testing.assert_array_equal(flow.bijector().inverse_and_log_det(x)[1], log_det(x))
    assert np.abs(log_det(x, draw=1) - log_det(x)).min() > 1e-4
    same = log_det(tf.tile(x[:1], (3, 1)))
    np.testing.assert_allclose(same, same[0], rtol=1e-5)
    grid = tf.stack([x, x[::-1]])
    found = flow.bijector().inverse_log_det_jacobian(grid, 1)
    np.testing.assert_allclose(found, np.stack([log_det(x), log_det(x)[::-1]]), rtol=1e-5)

    def of_step(step, replica=0, replicas=1, rows=7):
        noise = TrainingNoise(Seeds(5, step, replica, replicas))
        start = rows * replica
        return flow.bijector(noise=noise).inverse_and_log_det(x[start : start + rows])[1].numpy()

    assert np.abs(of_step(3) - of_step(4)).min() > 1e-4
    np.testing.assert_array_equal(of_step(3), of_step(3))
    halves = [of_step(3, replica, 2, rows=3) for replica in range(2)]
    np.testing.assert_allclose(np.concatenate(halves), of_step(3, rows=6), rtol=1e-5)
    blocks = [part.inverse_and_estimate(x, None, TrainingNoise(Seeds(5, 3)).part(0))[1] for part in flow.parts]
    assert np.abs(blocks[0] + blocks[1] - of_step(3)).max() > 1e-4  # the parts do not share one draw


def test_memory_does_not_grow_with_the_number_of_terms():
    """A loop that is differentiated keeps every iteration in a list; this one is not, and g is evaluated anew."""
    block = built(ResidualBlock(MLP), (3,))

    @tf.function
    def gradient(x, step):
        with tf.GradientTape() as tape:
            log_det = block.inverse_and_estimate(x, None, TrainingNoise(Seeds(0, step)))[1]
        return tape.gradient(log_det, [variable.value for variable in block.trainable_variables])

    graph = gradient.get_concrete_function(events(3), tf.constant(0)).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert any(node.op in ("While", "StatelessWhile") for node in nodes)
    assert not [node.name for node in nodes if node.op.startswith("TensorList")]


@pytest.mark.full("the mean of one block's estimates is exact above")
def test_several_scales_add_up():
    """Images through a multi-scale flow: the estimates' mean is the Jacobian's log-determinant by autodiff."""
    scales = ((Squeeze, part(ResidualBlock, CONV, evaluation_terms=4)), (part(ResidualBlock, CONV),))
    flow = built(Stack((ActNorm, part(MultiScale, scales))), (4, 4, 1))
    assert not flow.is_exact
    point = events(4, 4, 1, rows=1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(point)
        z = flow.bijector().inverse(point)
        entries = tf.unstack(z[0])
    jacobian = np.stack([np.reshape(tape.gradient(entry, point), -1) for entry in entries])
    x, noise = tf.tile(point, (800, 1, 1, 1)), PerExampleNoise(tf.range(800))
    log_dets = flow.bijector(noise=noise).inverse_and_log_det(x)[1].numpy()
    assert abs(log_dets.mean() - np.linalg.slogdet(jacobian)[1]) < 3 * log_dets.std() / np.sqrt(800)
    back, log_det = flow.bijector(noise=PerExampleNoise(tf.range(2))).forward_and_log_det(tf.tile(z, (2, 1)))
    np.testing.assert_allclose(back, x[:2], atol=1e-5)
    np.testing.assert_allclose(log_det, -log_dets[:2], rtol=1e-3)
    with pytest.raises(UsageError, match="estimates its log-determinant, which takes noise"):
        flow.inverse_and_log_det(point, None)


def test_a_density_of_codes_trains_on_fresh_noise():
    """And on few terms; what it says of a point is a function of the point."""
    density = FlowDistribution(ResidualBlock(MLP))
    density.build((3,))
    perturb(density, 2.0)
    x = events(3)
    of_steps = [density.negative_log_likelihood(x, Seeds(0, step)).numpy() for step in (0, 0, 1)]
    np.testing.assert_array_equal(of_steps[0], of_steps[1])
    assert np.all(of_steps[0] != of_steps[2])
    np.testing.assert_array_equal(*(density.distribution().log_prob(x).numpy() for _ in range(2)))


def test_the_density_integrates_to_one():
    """Four blocks of random weights and what normalises between them, on a fine grid of the plane."""
    flow = built(Stack([ActNorm(), *(ResidualBlock(part(LipschitzMLP, width=16), "exact") for _ in range(4))]), (2,))
    edge = np.linspace(-40, 40, 401, dtype=np.float32)
    x = np.stack(np.meshgrid(edge, edge), -1).reshape(-1, 2)
    z, log_det = flow.bijector().inverse_and_log_det(x)
    log_density = log_det - 0.5 * tf.reduce_sum(tf.square(z), -1) - np.log(2 * np.pi)
    assert np.sum(np.exp(log_density)) * (edge[1] - edge[0]) ** 2 == pytest.approx(1.0, abs=2e-3)
    assert np.std(log_det) > 0.02


@pytest.mark.parametrize(
    ("make_wrong", "message"),
    [
        (lambda: LipschitzMLP((2,), coefficient=1.0), "LipschitzMLP.coefficient=1.0 must be a number between 0 and 1"),
        (lambda: LipschitzConvNet((4, 4, 1), coefficient=1.2), "LipschitzConvNet.coefficient=1.2 must be a number"),
        (lambda: LipschitzMLP((4, 4, 1)), "it takes vectors.*LipschitzConvNet"),
        (lambda: LipschitzConvNet((4,)), "it takes images.*LipschitzMLP"),
        (
            lambda: ResidualBlock(log_det="exact").build((65,)),
            r"log_det='exact' takes 64 dimensions or fewer, not \(65,\)",
        ),
        (lambda: ResidualBlock().bijector(), "call build"),
    ],
)
def test_invalid_input_is_rejected(make_wrong, message):
    with pytest.raises(UsageError, match=message):
        make_wrong()
