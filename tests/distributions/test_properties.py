"""What every distribution has to satisfy, whatever its class."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.distributions.cases import CASES, SMALL
from tests.flows.cases import Holder, perturb, precision, saved_arrays
from tests.flows.properties import EXTREMES
from tfade.distributions.autoregressive_networks import AutoregressiveLSTM, AutoregressiveMADE
from tfade.distributions.gaussian import DiagonalNormal, FullNormal
from tfade.distributions.mixture import GaussianMixture
from tfade.distributions.standard import StandardLogistic, StandardNormal
from tfade.errors import UsageError

CONTEXT = np.random.default_rng(3).normal(size=(5, 2)).astype("float32")
SEED = (11, 12)
BY_XLA = {"mixture_full", "lstm_mixture", "made", "iaf"}

cases = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.mark.every(3)
@cases
def test_shapes(case):
    layer = case.build()
    alone = layer.distribution()
    assert (alone.batch_shape, alone.event_shape, alone.dtype) == ((), (3,), tf.float32)
    assert alone.sample(seed=SEED).shape == (3,)
    assert alone.sample(4, seed=SEED).shape == (4, 3)
    assert alone.log_prob(np.zeros((2, 4, 3), "float32")).shape == (2, 4)
    layer = case.build(context_size=2)
    given = layer.distribution(CONTEXT)
    assert (given.batch_shape, given.event_shape) == ((5,), (3,))
    assert given.sample((6, 4), seed=SEED).shape == (6, 4, 5, 3)
    values, log_probs = given.experimental_sample_and_log_prob(6, seed=SEED)
    assert (values.shape, log_probs.shape) == ((6, 5, 3), (6, 5))
    for points in (np.zeros(3), np.zeros((1, 3)), np.zeros((5, 3))):
        np.testing.assert_allclose(given.log_prob(points.astype("float32")), given.log_prob(tf.zeros((5, 3))))
    many = layer.distribution(np.stack([CONTEXT, CONTEXT + 1]))
    assert many.batch_shape == (2, 5)
    assert many.sample(6, seed=SEED).shape == (6, 2, 5, 3)
    np.testing.assert_allclose(many.log_prob(tf.ones(3))[0], given.log_prob(tf.ones(3)), rtol=1e-5)


@pytest.mark.every(3)
@cases
def test_samples_are_a_function_of_the_seed(case):
    given = case.build(context_size=2).distribution(CONTEXT)
    tf.compat.v1.set_random_seed(1)
    first = given.sample(3, seed=SEED)
    tf.compat.v1.set_random_seed(2)
    np.testing.assert_array_equal(first, given.sample(3, seed=SEED))
    other = given.sample(3, seed=(11, 13)).numpy()
    assert np.all(first != other)
    assert len(np.unique(other)) == other.size  # no number is drawn twice


@pytest.mark.every(2, 1)
@cases
def test_a_sample_and_its_density_agree_with_the_density_of_the_sample(case):
    with precision("float64"):
        for layer, context in ((case.build(), None), (case.build(context_size=2), CONTEXT)):
            distribution = layer.distribution(context, temperature=0.8)
            values, log_probs = distribution.experimental_sample_and_log_prob(7, seed=SEED)
            np.testing.assert_allclose(distribution.log_prob(tf.identity(values)), log_probs, rtol=1e-7, atol=1e-7)


POSTERIORS = ("standard_normal", "diagonal", "full", "real_nvp", "iaf")


@cases
def test_a_posterior_is_a_function_of_noise_with_its_density(case):
    """What `from_noise` gives has the density that the distribution has there, and is distributed like its samples."""
    with precision("float64"):
        layer, noise = case.build(context_size=2), np.random.default_rng(0).normal(size=(4000, 5, 3))
        if case.name not in POSTERIORS:
            with pytest.raises(UsageError, match="cannot be a posterior"):
                layer.from_noise(noise, CONTEXT)
            return
        values, log_probs = layer.from_noise(noise, CONTEXT)
        distribution = layer.distribution(CONTEXT)
        np.testing.assert_allclose(distribution.log_prob(tf.identity(values)), log_probs, rtol=1e-7, atol=1e-7)
        samples = distribution.sample(4000, seed=SEED).numpy()
        error = 5 * samples.std(0) / np.sqrt(2000)
        assert np.all(np.abs(values.numpy().mean(0) - samples.mean(0)) < error)
        centre = layer.from_noise(np.zeros((5, 3)), CONTEXT)[0]
        if case.name in ("standard_normal", "diagonal", "full"):
            np.testing.assert_allclose(centre, distribution.mean(), atol=1e-9)


@pytest.mark.every(3)
@cases
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_it_is_a_density_and_samples_follow_it(case, temperature):
    """By quadrature on the plane: the mass is 1, and means and covariances are those of samples."""
    with precision("float64"):
        layer = case.build(2, context_size=2)
        one = layer.distribution(CONTEXT[0], temperature)
        samples = one.sample(4000, seed=SEED).numpy()
    low, high = samples.min(0), samples.max(0)
    axes = [np.linspace(a - 0.6 * (b - a), b + 0.6 * (b - a), 301) for a, b in zip(low, high)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    mass = np.exp(one.log_prob(points)) * np.prod([axis[1] - axis[0] for axis in axes])
    np.testing.assert_allclose(mass.sum(), 1, atol=2e-4)
    mean = mass @ points
    centred = points - mean
    covariance = (mass[:, None] * centred).T @ centred
    deviations = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(samples.mean(0), mean, atol=5 * deviations.max() / 4000**0.5)
    products = np.einsum("p,pi,pj->ij", mass, centred**2, centred**2)
    assert np.all(np.abs(np.cov(samples.T) - covariance) < 5 * np.sqrt((products - covariance**2) / 4000))


@pytest.mark.every(3, 2)
@cases
def test_temperature_scales_the_noise(case):
    """Exactly p^(1/T²) where the class says so; everywhere, less spread."""
    with precision("float64"):
        layer = case.build()
        points = np.random.default_rng(0).normal(size=(20, 3))
        cold, warm = layer.distribution(temperature=0.5), layer.distribution()
        difference = cold.log_prob(points) - warm.log_prob(points) / 0.25
        assert (np.ptp(difference) < 1e-9) == case.tempered
        spreads = [np.std(one.sample(500, seed=SEED), 0) for one in (layer.distribution(temperature=0.01), warm)]
        assert np.all(spreads[0] < spreads[1])
    if layer.takes_temperature_zero:
        frozen = layer.distribution(temperature=0)
        np.testing.assert_array_equal(frozen.sample(5, seed=SEED), np.tile(frozen.mean(), (5, 1)))
    else:
        with pytest.raises(UsageError, match="temperature=0 must be a finite number > 0"):
            layer.distribution(temperature=0)
    for wrong in (-1.0, float("nan"), float("inf"), tf.constant(-1.0)):
        with pytest.raises(UsageError, match="temperature="):
            layer.distribution(temperature=wrong)
    traced = tf.function(lambda t: layer.distribution(temperature=t).log_prob(points), autograph=False)
    np.testing.assert_allclose(traced(tf.constant(0.5)), cold.log_prob(points), rtol=1e-5)


@pytest.mark.every(2, 1)
@cases
def test_far_points_have_a_finite_density_and_gradient(case):
    rows = [np.full(3, extreme) for extreme in EXTREMES] + [np.array([1e6, -1e6, 1.0]), np.array([0.0, 1e6, 0.0])]
    points = tf.constant(np.stack(rows), tf.float32)
    for layer, context in ((case.build(), None), (case.build(context_size=2), np.resize(CONTEXT, (len(rows), 2)))):
        with tf.GradientTape() as tape:
            log_probs = layer.distribution(context).log_prob(points)
            total = tf.reduce_sum(log_probs)
        assert np.isfinite(log_probs).all()
        for variable, gradient in zip(
            layer.trainable_variables, tape.gradient(total, [v.value for v in layer.trainable_variables])
        ):
            assert gradient is None or np.isfinite(gradient).all(), variable.path


@pytest.mark.every(2, 1)
@cases
def test_every_variable_gets_a_gradient(case):
    for layer, context in ((case.build(), None), (case.build(context_size=2), CONTEXT)):
        points = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(layer.distribution(context).log_prob(points))
        variables = layer.trainable_variables
        assert variables or not case.uses_data
        for variable, gradient in zip(variables, tape.gradient(loss, [variable.value for variable in variables])):
            assert gradient is not None, variable.path
            assert np.abs(gradient).max() > 0, variable.path


@cases
def test_the_context_of_a_row_changes_that_row(case):
    layer = case.build(context_size=2)
    changed = CONTEXT.copy()
    changed[0] += 1
    points = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    before, after = (layer.distribution(context).log_prob(points).numpy() for context in (CONTEXT, changed))
    assert (before[0] != after[0]) == case.uses_context
    np.testing.assert_allclose(before[1:], after[1:], rtol=1e-5)


@cases
def test_a_context_that_does_not_fit_is_rejected(case):
    with pytest.raises(UsageError, match="built for context vectors of size 2"):
        case.build(context_size=2).distribution()
    with pytest.raises(UsageError, match=r"context has shape \[5, 3\]"):
        case.build(context_size=2).distribution(np.zeros((5, 3)))
    with pytest.raises(UsageError, match="built for no context"):
        case.build().distribution(CONTEXT)
    with pytest.raises(UsageError, match="call build"):
        case.make().distribution()
    with pytest.raises(UsageError, match="event_shape"):
        case.make().build(())


@pytest.mark.every(3, 1)
@cases
def test_reload(case, tmp_path):
    """Weights, with what was set from data, read into a layer made from another seed give the same to the bit."""
    one, two = case.build(context_size=2), case.build(context_size=2, seed=9)
    one.initialise(np.random.default_rng(0).normal(2, 3, (50, 3)).astype("float32"), np.resize(CONTEXT, (50, 2)))
    path = str(tmp_path / "density.weights.h5")
    Holder(one).save_weights(path)
    assert saved_arrays(path) == len(one.weights)
    Holder(two).load_weights(path)
    for ask in (lambda d: d.sample(4, seed=SEED), lambda d: d.log_prob(tf.ones((4, 5, 3)))):
        np.testing.assert_array_equal(ask(one.distribution(CONTEXT)), ask(two.distribution(CONTEXT)))


@pytest.mark.every(5, 3)
@cases
def test_compiled(case):
    """Inside tf.function, and in some cases with XLA, densities are those of eager execution; the batch size may vary."""
    with precision("float64"):
        layer = case.build(context_size=2)
        points = np.random.default_rng(0).normal(size=(5, 3))

        def ask(points, context):
            return layer.distribution(context).log_prob(points)

        expected = ask(points, CONTEXT)
        signature = [tf.TensorSpec((None, 3), tf.float64), tf.TensorSpec((None, 2), tf.float32)]
        flexible = tf.function(ask, input_signature=signature, autograph=False)
        compiled = tf.function(lambda *given: flexible(*given), jit_compile=True, autograph=False)  # not traced twice
        for function, rows in ((flexible, 5), (flexible, 2), *([(compiled, 5)] if case.name in BY_XLA else [])):
            np.testing.assert_allclose(function(points[:rows], CONTEXT[:rows]), expected[:rows], rtol=1e-9)
        draw = tf.function(
            lambda context: layer.distribution(context).sample(4, seed=SEED), input_signature=[signature[1]]
        )
        np.testing.assert_allclose(draw(CONTEXT), layer.distribution(CONTEXT).sample(4, seed=SEED), rtol=1e-9)


def test_constant_data_keep_their_scale():
    layer = DiagonalNormal()
    layer.build((2,))
    layer._standardise(np.stack([np.full(1000, 0.1), np.arange(1000.0)], 1))  # a deviation of 1e-17 by rounding
    np.testing.assert_allclose(layer.scale, [1.0, np.arange(1000.0).std()], rtol=1e-6)


def test_a_normal_of_one_number_takes_any_batch():
    layer = FullNormal(conditioner=SMALL)
    layer.build((1,), 2)
    ask = tf.function(lambda context: layer.distribution(context).log_prob(tf.zeros((1,))), autograph=False)
    given = np.ones((5, 2), np.float32)
    assert ask.get_concrete_function(tf.TensorSpec((None, 2), tf.float32))(tf.constant(given)).shape == (5,)


@pytest.mark.every(2, 1)
@cases
def test_initialise_moves_the_density_to_the_data(case):
    """Near a diagonal Gaussian of the data's own moments, far from zero and of different scales."""
    generator = np.random.default_rng(0)
    data = (generator.normal(size=(400, 3)) * [3.0, 0.02, 50.0] + [100.0, -1.0, 0.0]).astype("float32")
    diagonal = np.mean(-0.5 * ((data - data.mean(0)) / data.std(0)) ** 2 - np.log(data.std(0)), 0).sum()
    gaps = []
    for context_size, context in ((0, None), (2, np.resize(CONTEXT, (400, 2)))):
        keras.utils.set_random_seed(1)
        layer = case.make()
        layer.build((3,), context_size)
        layer.initialise(data, context)
        gaps.append(diagonal - 1.5 * np.log(2 * np.pi) - np.mean(layer.distribution(context).log_prob(data)))
    if case.uses_data:
        np.testing.assert_array_less(gaps, 1.0)
    else:
        np.testing.assert_array_less(50.0, gaps)


@pytest.mark.parametrize("make", [StandardNormal, StandardLogistic, DiagonalNormal], ids=lambda make: make.__name__)
def test_events_may_be_images(make):
    layer = make()
    layer.build((2, 3, 1), 2)
    perturb(layer)
    given = layer.distribution(CONTEXT)
    assert given.sample(4, seed=SEED).shape == (4, 5, 2, 3, 1)
    assert given.log_prob(tf.zeros((2, 3, 1))).shape == (5,)
    flat = make()
    flat.build((6,), 2)
    for one, other in zip(flat.weights, layer.weights):
        one.assign(np.reshape(other, one.shape))
    points = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    np.testing.assert_allclose(
        given.log_prob(points.reshape(5, 2, 3, 1)), flat.distribution(CONTEXT).log_prob(points), rtol=1e-6
    )


@pytest.mark.parametrize(
    "make",
    [FullNormal, GaussianMixture, AutoregressiveLSTM, AutoregressiveMADE],
    ids=lambda make: make.__name__,
)
def test_others_take_vectors(make):
    with pytest.raises(UsageError, match=rf"{make.__name__} was given events of shape \(2, 3, 1\)"):
        make().build((2, 3, 1))
