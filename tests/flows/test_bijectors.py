"""What flows promise as TFP bijectors: one evaluation, right gradients, nothing stale, clear errors."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.flows.cases import perturb, precision
from tfade.errors import UsageError
from tfade.flows.actnorm import ActNorm
from tfade.flows.autoregressive import IAF, MAF
from tfade.flows.coupling import Coupling
from tfade.flows.permutation import Reverse
from tfade.flows.planar import Planar
from tfade.flows.splines import RationalQuadratic
from tfade.flows.stack import Stack
from tfade.flows.transformers import Affine, Shift
from tfade.networks.conditioner import MLPConditioner
from tfade.networks.made import MADE

tfd = tfp.distributions
SMALL = functools.partial(MLPConditioner, width=8)
KINDS = {
    "affine": functools.partial(Coupling, conditioner=SMALL),
    "spline": functools.partial(Coupling, RationalQuadratic, conditioner=SMALL),
    "maf": functools.partial(MAF, conditioner=functools.partial(MADE, width=8)),
    "iaf": functools.partial(IAF, conditioner=functools.partial(MADE, width=8)),
    "planar": Planar,
}


def stack(kind, dimensions=4, context_size=0, repeat=3, noise=1.0):
    layer = Stack([KINDS[kind], Reverse], repeat=repeat)
    layer.build((dimensions,), context_size)
    perturb(layer, noise)
    return layer


def density(layer, context=None):
    base = tfd.MultivariateNormalDiag(tf.zeros(layer.latent_shape, layer.variable_dtype))
    return tfd.TransformedDistribution(base, layer.bijector(context))


class Counter:
    """Counts the evaluations of every conditioner, in whichever way it is evaluated."""

    def __init__(self, monkeypatch):
        self.calls = []
        for kind, method in ((MLPConditioner, "call"), (MADE, "call"), (MADE, "ancestral")):
            monkeypatch.setattr(kind, method, self.counted(method, getattr(kind, method)))

    def counted(self, name, method):
        def call(network, *arguments, **options):
            self.calls.append((name, id(network)))
            return method(network, *arguments, **options)

        return call

    def taken(self, name="call"):
        """How often, and over how many networks; forgotten thereafter."""
        calls, self.calls = self.calls, []
        assert all(kind == name for kind, _ in calls)
        return len(calls), len(set(calls))


@pytest.mark.every(3)
@pytest.mark.parametrize("kind", ["affine", "spline", "maf"])
def test_log_prob_evaluates_every_conditioner_once(kind, monkeypatch):
    layer, x, counter = stack(kind), np.ones((5, 4), "float32"), Counter(monkeypatch)
    density(layer).log_prob(x)
    assert counter.taken() == (3, 3)
    tf.function(lambda x: density(layer).log_prob(x), autograph=False)(x)
    assert counter.taken() == (3, 3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(density(layer).log_prob(x))
    tape.gradient(loss, layer.trainable_variables)
    assert counter.taken() == (3, 3)


@pytest.mark.parametrize("kind", ["affine", "spline", "iaf"])
def test_sample_and_log_prob_evaluate_every_conditioner_once(kind, monkeypatch):
    with precision("float64"):
        layer, context, counter = stack(kind, context_size=2), np.ones((5, 2)), Counter(monkeypatch)
        x, log_prob = density(layer, context).experimental_sample_and_log_prob(7, seed=1)
        assert counter.taken() == (3, 3)
        assert (x.shape, log_prob.shape) == ((7, 5, 4), (7, 5))
        again = layer.bijector(context).inverse_and_log_det(x)
        expected = np.sum(again[1] - 0.5 * tf.reduce_sum(again[0] ** 2, -1)) - 35 * 2 * np.log(2 * np.pi)
        np.testing.assert_allclose(np.sum(log_prob), expected, rtol=1e-8)


def test_the_sequential_directions_evaluate_every_conditioner_once(monkeypatch):
    maf, iaf, counter = stack("maf"), stack("iaf"), Counter(monkeypatch)
    density(maf).sample(5, seed=1)
    assert counter.taken("ancestral") == (3, 3)
    density(iaf).log_prob(np.ones((5, 4), "float32"))
    assert counter.taken("ancestral") == (3, 3)


def numerical_gradient(function, x, step=1e-6):
    """Central differences of a function of rows [batch, D] → [batch]."""
    columns = []
    for place in range(x.shape[1]):
        move = step * np.eye(x.shape[1])[place]
        columns.append((function(x + move) - function(x - move)) / (2 * step))
    return np.stack(columns, -1)


@pytest.mark.every(2, 1)
@pytest.mark.parametrize("kind", list(KINDS))
def test_the_density_of_a_sample_has_a_gradient_with_respect_to_it(kind):
    with precision("float64"):
        layer = stack(kind, noise=0.5)
        distribution = density(layer)
        x = distribution.sample(6, seed=1)
        with tf.GradientTape() as tape:
            tape.watch(x)
            log_prob = distribution.log_prob(x)
        expected = numerical_gradient(lambda x: density(layer).log_prob(x).numpy(), x.numpy())
        np.testing.assert_allclose(tape.gradient(log_prob, x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_sample_and_its_density_have_gradients_to_the_weights(kind):
    """Reparameterised: d/dθ of log p(x(θ); θ), against differences in one weight."""
    with precision("float64"):
        layer = stack(kind, repeat=2)
        variable = layer.trainable_variables[-1]
        noise = tf.constant(np.random.default_rng(0).normal(size=(3, 4)))

        def objective():
            bijector = layer.bijector()
            x = bijector.forward(noise)
            return tf.reduce_sum(x**2) - tf.reduce_sum(bijector.forward_log_det_jacobian(noise, 1))

        with tf.GradientTape() as tape:
            value = objective()
        gradient = tf.reshape(tape.gradient(value, variable.value), -1)
        direction = np.random.default_rng(1).normal(size=variable.shape)
        before, ends = variable.numpy(), []
        for step in (1e-6, -1e-6):
            variable.assign(before + step * direction)
            ends.append(float(objective()))
        np.testing.assert_allclose(gradient.numpy() @ direction.ravel(), (ends[0] - ends[1]) / 2e-6, rtol=1e-5)


@pytest.mark.every(2)
@pytest.mark.parametrize("kind", list(KINDS))
def test_nothing_is_stale_after_a_weight_update(kind):
    layer, x = stack(kind), tf.ones((3, 4))
    bijector = layer.bijector()
    distribution = tfd.TransformedDistribution(tfd.MultivariateNormalDiag(tf.zeros(4)), bijector)
    before = distribution.log_prob(x)
    bijector.inverse(x)
    asked = bijector.inverse_log_det_jacobian(x, 1)
    perturb(layer, seed=5)
    assert (bijector.inverse_log_det_jacobian(x, 1) != asked).numpy().all()
    after = distribution.log_prob(x)
    np.testing.assert_array_equal(after, density(layer).log_prob(tf.identity(x)))
    assert (np.abs(after - before) > 1e-3).all()


def test_a_context_is_broadcast_over_samples_and_data():
    layer = stack("maf", context_size=2)
    contexts = np.random.default_rng(0).normal(size=(5, 2)).astype("float32")
    x = np.random.default_rng(1).normal(size=(7, 5, 4)).astype("float32")
    whole = density(layer, contexts).log_prob(x)
    np.testing.assert_allclose(whole[2], density(layer, contexts).log_prob(x[2]), atol=1e-4)
    one = density(layer, contexts[3]).log_prob(x[:, 3])
    np.testing.assert_allclose(whole[:, 3], one, atol=1e-4)


@pytest.mark.every(3)
@pytest.mark.parametrize("dimensions", [2, 8, 64])
@pytest.mark.parametrize("transformer", [Affine, Shift])
def test_32_couplings_keep_their_inverse_in_float32(dimensions, transformer):
    """Random weights of unit gain, drawn by hand so that the last layers are not zero."""
    keras.utils.set_random_seed(0)
    layer = Stack([functools.partial(Coupling, transformer)], repeat=32)
    layer.build((dimensions,))
    perturb(layer)
    value = np.random.default_rng(0).normal(size=(64, dimensions)).astype("float32")
    bijector = layer.bijector()
    there, back = bijector.inverse(value), bijector.forward(value)
    assert min(np.abs(there - value).max(), np.abs(back - value).max()) > 0.1
    assert np.abs(bijector.forward(tf.identity(there)) - value).max() < 1e-4
    assert np.abs(bijector.inverse(tf.identity(back)) - value).max() < 1e-4


def test_a_coupling_rejects_one_dimension_and_images():
    for shape in ((1,), (4, 4, 1)):
        with pytest.raises(UsageError, match="Coupling.*shape.*2 dimensions"):
            Coupling().build(shape)
    for shape in ((), (0,), (4, 0, 1)):
        with pytest.raises(UsageError, match="Coupling was given event_shape="):
            Coupling().build(shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RationalQuadratic(bins=100), r"min_bin=0\.01 times bins=100.*0\.01"),
        (lambda: Coupling(transformer=0.5), "transformer=0.5 is not a transformer.*Affine"),
        (lambda: Coupling(conditioner=MLPConditioner(2, 2)), "conditioner=.*is not a class.*without parentheses"),
        (lambda: MAF(conditioner=MADE(2, 2)), "conditioner=.*is not a class.*without parentheses"),
        (lambda: MAF().build((2, 2, 1)), r"MAF.*\(2, 2, 1\).*vectors"),
        (lambda: MAF().build((3,), context_size=-1), "context_size=-1"),
    ],
)
def test_invalid_arguments_are_rejected(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def built(kind, context_size):
    layer = kind()
    layer.build((4,), context_size)
    return layer


@pytest.mark.parametrize("kind", [Coupling, MAF, IAF, Planar, ActNorm, Reverse, functools.partial(Stack, [MAF])])
def test_invalid_contexts_and_events_are_rejected(kind):
    conditional, plain = built(kind, 3), built(kind, 0)
    with pytest.raises(UsageError, match="context=None.*size 3"):
        conditional.bijector()
    with pytest.raises(UsageError, match=r"\[5, 2\].*\[batch, 3\]"):
        conditional.bijector(np.zeros((5, 2)))
    with pytest.raises(UsageError, match="no context"):
        plain.bijector(np.zeros((5, 3)))
    with pytest.raises(UsageError, match=r"\(4,\).*\(5, 3\)"):
        plain.bijector().inverse(np.zeros((5, 3)))
    with pytest.raises(UsageError, match="build"):
        kind().bijector()


def test_transformers_may_be_classes_or_objects():
    for transformer in (Affine, Affine(), functools.partial(Affine, gain=1.0)):
        for kind in (MAF, Coupling):
            assert isinstance(kind(transformer).transformer, Affine)


def test_couplings_and_orders_alternate_along_a_stack():
    layer = Stack([Coupling, MAF], repeat=2)
    layer.build((4,))
    perturb(layer)
    kept = []
    for part in layer.parts[::2]:
        x = np.random.default_rng(0).normal(size=(9, 4)).astype("float32")
        kept.append((part.inverse_and_log_det(x, None)[0] == x).numpy().all(0).tolist())
    assert kept == [[True, True, False, False], [False, False, True, True]]
    assert [part.conditioner.sequence.tolist() for part in layer.parts[1::2]] == [[0, 1, 2, 3], [3, 2, 1, 0]]
