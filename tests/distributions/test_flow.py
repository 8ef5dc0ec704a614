"""Flows as densities and as posteriors: how often conditioners run, and bases."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.flows.cases import perturb, precision
from tfade.distributions.flow import FlowDistribution
from tfade.distributions.flow_densities import IAFDensity, MAFDensity, RealNVPDensity, SplineDensity
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.standard import StandardNormal
from tfade.errors import UsageError
from tfade.flows.actnorm import ActNorm
from tfade.flows.autoregressive import IAF, MAF
from tfade.flows.coupling import Coupling
from tfade.flows.permutation import Reverse
from tfade.flows.squeeze import Squeeze
from tfade.flows.stack import Stack
from tfade.networks.conditioner import MLPConditioner
from tfade.networks.made import MADE

LAYERS = 3


class Counted:
    """Counts how often a network is evaluated; `ancestral` is one evaluation too, of D steps."""

    calls = 0

    def call(self, *arguments, **keywords):
        Counted.calls += 1
        return super().call(*arguments, **keywords)


class CountedMLP(Counted, MLPConditioner):
    pass


class CountedMADE(Counted, MADE):
    pass


COUPLING = functools.partial(Coupling, conditioner=functools.partial(CountedMLP, width=8))
PARALLEL_SAMPLES = {
    "real_nvp": COUPLING,
    "iaf": functools.partial(IAF, conditioner=functools.partial(CountedMADE, width=8)),
}
PARALLEL_DENSITY = {
    "real_nvp": COUPLING,
    "maf": functools.partial(MAF, conditioner=functools.partial(CountedMADE, width=8)),
}


def built(part, context_size=0) -> FlowDistribution:
    layer = FlowDistribution(Stack((ActNorm, part), repeat=LAYERS))
    layer.build((4,), context_size)
    perturb(layer)
    return layer


@pytest.mark.every(2, 1)
@pytest.mark.parametrize("part", PARALLEL_SAMPLES.values(), ids=PARALLEL_SAMPLES)
@pytest.mark.parametrize("context_size", [0, 2])
def test_a_sample_and_its_density_take_one_evaluation(part, context_size):
    layer = built(part, context_size)
    context = np.ones((5, 2), "float32") if context_size else None
    Counted.calls = 0
    values, log_probs = layer.distribution(context).experimental_sample_and_log_prob(6, seed=(1, 2))
    assert Counted.calls == LAYERS
    assert log_probs.shape == ((6, 5) if context_size else (6,))
    np.testing.assert_allclose(layer.distribution(context).log_prob(tf.identity(values)), log_probs, atol=1e-4)
    Counted.calls = 0
    layer.distribution(context).sample(6, seed=(1, 2))
    assert Counted.calls == LAYERS


@pytest.mark.parametrize("part", PARALLEL_DENSITY.values(), ids=PARALLEL_DENSITY)
def test_a_density_takes_one_evaluation(part):
    layer = built(part)
    Counted.calls = 0
    layer.distribution().log_prob(tf.ones((6, 4)))
    assert Counted.calls == LAYERS


@pytest.mark.every(2)
@pytest.mark.parametrize(
    ("make", "network", "question"),
    [
        (RealNVPDensity, CountedMLP, "both"),
        (SplineDensity, CountedMLP, "both"),
        (MAFDensity, CountedMADE, "density"),
        (IAFDensity, CountedMADE, "sample"),
    ],
)
def test_ready_made_densities(make, network, question):
    """With a context: a conditioner for each layer, evaluated once in the directions that are fast."""
    with precision("float64"):
        layer = make(2, conditioner=functools.partial(network, width=8))
        layer.build((4,), 2)
        perturb(layer)
        layer.initialise(np.random.default_rng(0).normal(3, 2, (50, 4)), np.ones((50, 2)))
        given = layer.distribution(np.ones((5, 2)))
    Counted.calls = 0
    values, log_probs = given.experimental_sample_and_log_prob(6, seed=(1, 2))
    assert Counted.calls == (0 if question == "density" else 2)  # or else it is `ancestral`
    Counted.calls = 0
    np.testing.assert_allclose(given.log_prob(tf.identity(values)), log_probs, atol=1e-7)
    assert Counted.calls == (0 if question == "sample" else 2)
    assert values.shape == (6, 5, 4)


def test_a_posterior_has_gradients_through_its_samples():
    """What a variational bound differentiates: E_q[log q], with respect to the variables and the context."""
    layer = FlowDistribution(Stack((PARALLEL_SAMPLES["iaf"],), repeat=2), DiagonalNormal)
    layer.build((4,), 2)
    perturb(layer)
    context = tf.constant(np.random.default_rng(0).normal(size=(5, 2)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(context)
        _, log_probs = layer.distribution(context).experimental_sample_and_log_prob(3, seed=(1, 2))
        loss = tf.reduce_mean(log_probs)
    gradients = tape.gradient(loss, [context, *(variable.value for variable in layer.trainable_variables)])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


def test_the_base_lies_over_the_latents():
    """Of another shape than the data: a squeeze changes it."""
    layer = FlowDistribution(Squeeze)
    layer.build((4, 4, 1))
    assert layer.base.event_shape == (2, 2, 4)
    distribution = layer.distribution(temperature=0.5)
    assert distribution.event_shape == (4, 4, 1)
    assert distribution.sample(3, seed=(1, 2)).shape == (3, 4, 4, 1)
    expected = StandardNormal()
    expected.build((16,))
    points = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype("float32")
    np.testing.assert_allclose(
        distribution.log_prob(points), expected.distribution(temperature=0.5).log_prob(points.reshape(3, 16)), rtol=1e-5
    )


def test_the_base_starts_at_the_latents_of_the_data():
    layer = FlowDistribution(Reverse, DiagonalNormal)
    layer.build((3,))
    data = np.random.default_rng(0).normal([10.0, 20.0, 30.0], [1.0, 2.0, 3.0], (500, 3)).astype("float32")
    layer.initialise(data)
    np.testing.assert_allclose(layer.base.shift, data.mean(0)[::-1], rtol=1e-5)
    np.testing.assert_allclose(layer.base.scale, data.std(0)[::-1], rtol=1e-5)


def test_wrong_parts_are_rejected():
    with pytest.raises(UsageError, match="flow=3 is not a flow"):
        FlowDistribution(3)
    with pytest.raises(UsageError, match="flow=.* is not a flow"):
        FlowDistribution(StandardNormal)
    with pytest.raises(UsageError, match="base=.* is not a distribution"):
        FlowDistribution(ActNorm, ActNorm)
