"""Flow models: exact likelihood, exact inverse, noise that belongs to an image, data-dependent beginnings."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.data.loading import load
from tfade.data.pipeline import batches
from tfade.distributions.standard import StandardLogistic, StandardNormal
from tfade.errors import UsageError
from tfade.flows.actnorm import ActNorm
from tfade.flows.coupling import Coupling
from tfade.flows.image_coupling import CheckerboardCoupling
from tfade.flows.linear import DiagonalScaling
from tfade.flows.preprocessing import Flatten, Logit
from tfade.flows.stack import Stack
from tfade.flows.transformers import Affine, Shift
from tfade.models.flow import FlowModel
from tfade.models.optimization import Optimization
from tfade.networks.conditioner import MLPConditioner
from tfade.seeds import per_example_noise
from tfade.spec import Batch
from tfade.training.strategy import make_strategy

CONDITIONER = functools.partial(MLPConditioner, width=16)
COUPLING = functools.partial(Coupling, conditioner=CONDITIONER)
IMAGE_FLOW = functools.partial(
    Stack, (functools.partial(Logit, 0.01), Flatten, ActNorm, functools.partial(Stack, (COUPLING,), 4))
)


@pytest.fixture
def images():
    """Twelve grey scans of digits, uint8 [12, 16, 16, 1]."""
    return load("digits", "train").fetch(np.arange(12))


def model_of(shape=(16, 16, 1), flow=IMAGE_FLOW, **arguments) -> FlowModel:
    """A flow model whose conditioners are not the identity."""
    keras.utils.set_random_seed(3)
    model = FlowModel(shape, flow, **arguments)
    for variable in model.trainable_variables:
        variable.assign_add(0.05 * tf.random.stateless_normal(variable.shape, (1, 2)))
    return model


@pytest.mark.every(3)
@pytest.mark.parametrize(
    "prior", [StandardNormal, functools.partial(StandardLogistic, tempered=True)], ids=["normal", "logistic"]
)
@pytest.mark.parametrize("transformer", [Shift, functools.partial(Affine, gain=1.0)], ids=["NICE", "RealNVP"])
def test_tempering_is_exact_where_the_volume_is_constant(transformer, prior):
    """Samples at T = √τ have the density p^(1/τ), normalised: a constant of NICE (Dinh et al. 2015), none of RealNVP."""
    coupling = functools.partial(COUPLING, transformer, mask="alternate")
    parts = (functools.partial(Stack, (coupling,), 4), DiagonalScaling)
    model = model_of((2,), functools.partial(Stack, parts), prior=prior)
    for variable in model.trainable_variables:
        variable.assign_add(0.5 * tf.random.stateless_normal(variable.shape, (3, 4)))
    tau = 0.49
    x = model.sample(500, temperature=tau**0.5, seed=0)
    z = model.encode(x).mean()
    log_det = model.log_density(x) - model.prior().log_prob(z)
    tempered = model.prior(tau**0.5).log_prob(z) + log_det
    constant = tempered - model.log_density(x) / tau
    assert (np.std(constant) < 1e-3) == (transformer is Shift)
    wrong = model.prior(tau).log_prob(z) + log_det - model.log_density(x) / tau  # τ in place of √τ
    assert np.std(wrong) > 0.5


def test_in_pixels_tempering_is_approximate():
    """The volume of the logit is not constant."""
    shifts = functools.partial(Stack, (functools.partial(COUPLING, Shift, mask="alternate"),), 4)
    model = model_of((2,), functools.partial(Stack, (functools.partial(Logit, 0.01), shifts)))
    x, tau = model.sample(500, temperature=0.7, seed=0), 0.49
    z = model.encode(x).mean()
    tempered = model.prior(0.7).log_prob(z) + model.log_density(x) - model.prior().log_prob(z)
    assert np.std(tempered - model.log_density(x) / tau) > 0.1


def test_the_likelihood_is_the_change_of_variables(images):
    """Against autodiff in another way: slogdet of the decoder's Jacobian at the code."""
    model = model_of((4, 4, 1))
    y = tf.constant(np.random.default_rng(0).uniform(0.2, 0.8, (2, 4, 4, 1)), tf.float32)
    z = model.flow.bijector().inverse(y)
    with tf.GradientTape() as tape:
        tape.watch(z)
        decoded = model.decode(z)
    matrix = tf.reshape(tape.batch_jacobian(decoded, z), (2, 16, 16))
    expected = model.prior().log_prob(z) - np.linalg.slogdet(matrix)[1]
    np.testing.assert_allclose(model.log_density(y), expected, rtol=1e-4)


def test_the_density_integrates_to_one():
    """A flow on [0, 1]² with random weights, summed over a fine grid."""
    flow = functools.partial(Stack, (functools.partial(Logit, 0.01), functools.partial(Stack, (COUPLING,), 4)))
    model = model_of((2,), flow)
    edge = (np.arange(600) + 0.5) / 600
    points = np.stack(np.meshgrid(edge, edge), -1).reshape(-1, 2).astype(np.float32)
    inside = np.exp(model.log_density(points).numpy().astype(np.float64)).mean()
    z = model.prior().sample(200_000, seed=(0, 1))
    y = model.flow.bijector().forward(z).numpy()
    assert inside == pytest.approx(np.mean(np.all((y > 0) & (y < 1), -1)), abs=0.01)


def test_an_images_likelihood_is_its_own(images):
    """Neither its place nor its batch mates matter, though dequantisation noise is drawn."""
    model = model_of()
    together = model.log_prob(images)
    np.testing.assert_allclose(model.log_prob(images[5:6]), together[5:6], rtol=1e-5)
    np.testing.assert_allclose(model.log_prob(images[::-1]), together[::-1], rtol=1e-5)
    np.testing.assert_array_equal(model.log_prob(images / np.float32(255)), together)


def test_more_draws_average_the_noise(images):
    model = model_of()
    one, four = model.log_prob(images), model.log_prob(images, num_samples=4)
    assert not np.allclose(one, four)
    assert np.abs(one - four).max() < 0.2 * np.abs(four).max()


def test_noise_is_uniform_and_of_the_image():
    x = tf.constant(load("digits", "train").fetch(np.arange(400)) / np.float32(255))
    noise = per_example_noise(x).numpy()
    assert noise.min() >= 0
    assert noise.max() < 1
    counts = np.histogram(noise, 20, (0, 1))[0]
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 50  # χ² with 19 degrees: 50 has p = 1e-4
    flat = noise.reshape(400, -1)
    assert abs(np.corrcoef(flat[:, :-1].ravel(), flat[:, 1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(flat[:-1].ravel(), flat[1:].ravel())[0, 1]) < 0.02
    assert np.abs(noise - per_example_noise(x, 1).numpy()).mean() > 0.3
    changed = per_example_noise(tf.concat([x[:1, :1] + 1 / 255, x[:1, 1:]], 1)).numpy()
    assert np.abs(changed - noise[:1]).mean() > 0.3


def test_codes_bring_images_back(images):
    model = model_of()
    np.testing.assert_allclose(model.reconstruct(images), (images + 0.5) / 256, atol=1e-4)
    assert model.encode(images).mean().shape == (12, 256)
    one, other = model.sample(3, seed=1), model.sample(3, temperature=0.5, seed=1)
    np.testing.assert_array_equal(one, model.sample(3, seed=1))
    assert one.shape == (3, 16, 16, 1)
    assert 0 <= float(tf.reduce_min(one)) <= float(tf.reduce_max(one)) <= 1
    np.testing.assert_allclose(other, model.decode(0.5 * model.prior().sample(3, seed=(1, 0))), atol=1e-5)


def test_interpolation_goes_from_image_to_image(images):
    model = model_of()
    between = model.interpolate(images[:2], images[2:4], steps=5)
    assert between.shape == (2, 5, 16, 16, 1)
    np.testing.assert_allclose(between[:, 0], model.reconstruct(images[:2]), atol=1e-4)
    np.testing.assert_allclose(between[:, -1], model.reconstruct(images[2:4]), atol=1e-4)
    assert np.abs(between[:, 2] - between[:, 0]).max() > 0.01


def test_vectors_have_no_noise():
    flow = functools.partial(Stack, (COUPLING,), 4)
    model = model_of((3,), flow, prior=StandardLogistic)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.log_prob(x), model.log_density(x))
    assert set(model.validate(Batch(x))) == {"nll"}
    assert model.sample(7, seed=0).shape == (7, 3)


def test_the_gradient_of_the_decoder_passes_the_clip():
    """With α = 0.01 dark pixels lie below 0; the Jacobian is the flow's there too."""
    model = model_of()
    z = tf.fill((1, 256), -8.0)
    with tf.GradientTape() as tape:
        tape.watch(z)
        image = model.decode(z)
    assert np.any(image == 0)
    assert np.abs(tape.gradient(image, z)).min() > 0


@pytest.mark.every(2, 1)
@pytest.mark.parametrize("replicas", [1, 2])
def test_actnorm_begins_with_the_first_global_batch(replicas, eager):
    strategy = make_strategy(devices=replicas)
    source = load("digits", "train")
    with strategy.scope():
        model = FlowModel((16, 16, 1), IMAGE_FLOW)
        model.compile(lambda name: keras.optimizers.SGD(0.0), Optimization(average_decay={"flow": 0.9}))
    dataset = batches(source, 32, seed=0)
    first = next(iter(dataset))["images"]
    model.fit(strategy.experimental_distribute_dataset(dataset), steps_per_epoch=1, verbose=0)
    model.fit(strategy.experimental_distribute_dataset(batches(source, 32, seed=1)), steps_per_epoch=1, verbose=0)
    for network in (model.flow, model.network("flow")):
        unit = first.numpy() / np.float32(255)
        z = network.bijector().inverse((255 * unit + per_example_noise(tf.constant(unit))) / 256).numpy()
        np.testing.assert_allclose(z.mean(0), 0, atol=1e-3)
        np.testing.assert_allclose(z.std(0), 1, atol=3e-2)  # ActNorm's epsilon


@pytest.mark.parametrize(
    ("jit_compile", "convolutions", "devices", "compiled"),
    [
        ("auto", False, 1, True),
        ("auto", True, 1, False),  # XLA's convolutions are slow on a CPU
        ("auto", False, 2, False),  # XLA finds the variables of one replica on another's device
        (False, False, 1, False),
        (True, True, 1, True),
    ],
)
def test_xla_compiles_what_gains_by_it(jit_compile, convolutions, devices, compiled):
    with make_strategy("auto", devices).scope():
        flow = CheckerboardCoupling if convolutions else COUPLING
        model = FlowModel((16, 16, 1) if convolutions else (4,), flow)
        model.compile(lambda name: keras.optimizers.SGD(0.1), Optimization(jit_compile=jit_compile))
    assert model.jit_compile is compiled


@pytest.mark.full("one of the couplings is trained in a graph, too")
def test_training_lowers_the_nll():
    model = FlowModel((16, 16, 1), IMAGE_FLOW)
    model.compile(lambda name: keras.optimizers.Adam(2e-3), Optimization(jit_compile=True))
    dataset = batches(load("digits", "train"), 32, seed=0)
    held_out = load("digits", "test").fetch(np.arange(100))
    before = model.validate(Batch(held_out))["bits_per_dim"].numpy().mean()
    model.fit(dataset, steps_per_epoch=150, verbose=0)
    after = model.validate(Batch(held_out))["bits_per_dim"].numpy().mean()
    assert after < min(before, 8.0) - 0.5


def test_couplings_alternate_through_stacks_in_stacks():
    """Every dimension is transformed, however the stack is written."""
    inner = functools.partial(Stack, (ActNorm, COUPLING))
    for parts, repeat in (((inner,), 4), ((COUPLING, functools.partial(Coupling, Shift, conditioner=CONDITIONER)), 2)):
        stack = Stack(parts, repeat)
        stack.build((4,))
        couplings = [layer for layer in stack._flatten_layers() if isinstance(layer, Coupling)]
        assert [layer.ordinal for layer in couplings] == [0, 1, 2, 3]


def test_built_parts_have_to_fit():
    part = ActNorm()
    part.build((3,))
    with pytest.raises(UsageError, match=r"ActNorm built for events of shape \(3,\)"):
        Stack((part,)).build((5,))


def test_training_needs_batches(images):
    """An array would show ActNorm its first image alone."""
    model = FlowModel((16, 16, 1), IMAGE_FLOW)
    model.compile(lambda name: keras.optimizers.SGD(0.0))
    with pytest.raises(UsageError, match=r"x is a ndarray.*tf\.data\.Dataset"):
        model.fit(images, batch_size=4)
    with pytest.raises(UsageError, match="batch of 2 or more"):
        model.fit(tf.data.Dataset.from_tensor_slices(images).batch(1))


def test_data_have_to_be_where_the_flow_is_defined(images):
    model = model_of()
    for wrong in (images.astype(np.float32), np.full((2, 16, 16, 1), np.nan, np.float32)):
        with pytest.raises(UsageError, match=r"floats in \[0, 1\]"):
            model.log_prob(wrong)
    vectors = FlowModel((2,), functools.partial(Stack, (Logit, COUPLING)))
    vectors.compile(lambda name: keras.optimizers.SGD(0.0))
    with pytest.raises(UsageError, match=r"Logit was given data in \[-3, 2\]"):
        vectors.fit(tf.data.Dataset.from_tensors([[-3.0, 2.0], [0.5, 0.5]]))
    with pytest.raises(UsageError, match="num_samples=0"):
        model.log_prob(images, num_samples=0)
    with pytest.raises(UsageError, match="flow=None"):
        FlowModel((2,))


def test_the_slope_of_a_saturated_logit_is_right_on_both_sides():
    """TensorFlow's own is 0 where the sigmoid rounds to 1: white pixels would count as lost directions."""
    logit = Logit(0.01)
    logit.build((1,))
    z = tf.constant([[-20.0], [20.0]])
    with tf.GradientTape() as tape:
        tape.watch(z)
        x, log_det = logit.forward_and_log_det(z, None)
    np.testing.assert_allclose(tape.gradient(x, z)[:, 0], np.exp(log_det), rtol=1e-4)


@pytest.mark.parametrize("parts", [(), (3,), ("Coupling",)])
def test_parts_are_flows(parts):
    with pytest.raises(UsageError, match="parts"):
        Stack(parts)


def test_a_flow_over_vectors_needs_a_vector():
    with pytest.raises(UsageError, match=r"\(16, 16, 1\)"):
        FlowModel((16, 16, 1), functools.partial(Stack, (Coupling,)))
