"""What the benchmarks time really does its work."""

import math
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from launch import common
from launch.benchmarks import ade as ade_benchmark
from launch.benchmarks import devices as devices_benchmark
from launch.benchmarks import flows as flow_benchmark
from launch.benchmarks import glf as glf_benchmark
from launch.benchmarks import peak as peak_benchmark
from launch.benchmarks import pixel_cnn as pixel_cnn_benchmark
from launch.benchmarks import residual as residual_benchmark
from launch.benchmarks import torch_peers
from tests.helpers import ROOT, SPEC_BINDING, TINY
from tfade.data import load
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.discriminators import CodeDiscriminator, ConvDiscriminator
from tfade.training import configuration
from tfade.training.recipe import Recipe, build_model


def test_a_step_is_a_training_step():
    step, model = ade_benchmark.step_of("vae", ("DCGANEncoder.width = 2", "DCGANGenerator.width = 2", "batch_size = 4"))
    before = [variable.numpy() for variable in model.decoder.trainable_variables]
    assert math.isfinite(step())
    assert int(model.step.numpy()) == 1
    assert any(np.any(old != new.numpy()) for old, new in zip(before, model.decoder.trainable_variables))


@pytest.fixture
def counted(monkeypatch):
    """A small AV-ADE that alternates, and the passes through its flow so far."""
    alternating = "Optimization.schedule = (('discriminator',), ('autoencoder',))"
    bindings = [alternating, SPEC_BINDING, "data = 'digits'", "couplings/Stack.repeat = 1"]
    with common.workspace().configured([str(ROOT / "gin" / "av_ade.gin"), TINY], bindings):
        model = build_model(configuration.make(Recipe))
    flow, passes = model.networks["flow"], []
    for name in ("forward_and_log_det", "inverse_and_log_det"):
        pass_of = getattr(flow, name)
        monkeypatch.setattr(flow, name, lambda *given, name=name, real=pass_of: passes.append(name) or real(*given))
    return model, passes


@pytest.mark.full("a count of calls")
def test_the_flow_is_passed_both_ways(counted):
    """As often as in a step: once for densities, and twice for samples, one of them without gradients."""
    model, passes = counted
    assert math.isfinite(ade_benchmark.flow_passes(model)())
    assert sorted(passes) == ["forward_and_log_det"] * 2 + ["inverse_and_log_det"]


@pytest.mark.full("a count of calls")
def test_how_often_a_step_passes_the_flow(counted, eager):
    """The second density is that of the discriminator's pass, which asks for none: a compiled step leaves it out."""
    model, passes = counted
    model.train_step(tf.constant(load("digits", "train").fetch(np.arange(4))))
    assert sorted(passes) == ["forward_and_log_det"] * 2 + ["inverse_and_log_det"] * 2


@pytest.mark.full("their equality is tested in test_pixel_cnn.py")
def test_cached_sampling_is_timed_against_the_loop(monkeypatch):
    monkeypatch.setattr(pixel_cnn_benchmark, "SHAPE", (3, 3, 1))
    figures = {name: value for name, value, limit in pixel_cnn_benchmark.measure()}
    titles = [f"PixelCNN, 4 × 3×3, {levels} levels, cached sampling" for levels in (2, 256)]
    assert list(figures) == [f"{title}{what}" for title in titles for what in (" / naive", ", seconds")]
    assert all(0 < value < math.inf for value in figures.values())


@pytest.mark.full("the estimate is unbiased in test_residual.py")
def test_a_residual_block_and_its_reference_agree(monkeypatch):
    for name, small in (("BATCH", 3), ("SHAPE", (4, 4, 1)), ("WIDTH", 3)):
        monkeypatch.setattr(residual_benchmark, name, small)
    x, probe = (tf.random.stateless_normal((3, 4, 4, 1), (seed, 0)) for seed in (3, 4))

    def residual(x, parameters):
        return 0.5 * tf.tanh(parameters[0] * x)

    parameters = [tf.constant(0.7)]
    ours, theirs = (
        function(residual, x, parameters, probe, 5)
        for function in (residual_benchmark.estimate, residual_benchmark.differentiated_series)
    )
    for one, other in zip(ours, theirs):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    step = residual_benchmark.block_step(2, residual_benchmark.estimate)
    assert np.isfinite(step()).all()


@pytest.mark.skipif(os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0", reason="only oneDNN's allocator counts")
def test_peak_memory_is_that_of_a_call():
    @tf.function
    def total(seed):
        return tf.reduce_sum(tf.random.stateless_normal((2**20,), seed))

    seed = tf.constant((0, 0))
    assert 2**22 <= residual_benchmark.peak_bytes(lambda: total(seed).numpy()) < 1.5 * 2**22


@pytest.mark.full("as the step of a VAE")
def test_our_flows_train_and_sample():
    step = flow_benchmark.our_training_step(4, 8, 2, jit=False)
    losses = [float(step()) for _ in range(5)]
    assert losses[0] > losses[-1] > 0
    density = flow_benchmark.our_density(False, 4, 8, 2, jit=False)()
    x, log_prob = flow_benchmark.our_density(True, 4, 8, 2, jit=False)()
    assert (density.shape, x.shape, log_prob.shape) == ((256,), (256, 4), (256,))
    normal = -0.5 * np.sum(x**2, -1) - 2 * np.log(2 * np.pi)  # flows begin as the identity
    np.testing.assert_allclose(log_prob, normal, rtol=1e-4)


@pytest.mark.full("as the step of a VAE")
def test_glf_is_timed_against_steps_that_train(monkeypatch):
    """Each call of the three is a step of training, of the autoencoder alone, the flow alone, or both."""
    small = (
        "InfoGANEncoder.channels = (2, 2)",
        "InfoGANDecoder.channels = (2, 2)",
        "batch_size = 4",
        "codes/Stack.repeat = 1",
    )
    for recipe, moved in (("glf", {"encoder", "decoder", "prior"}), ("glf_two_stage", {"encoder", "decoder"})):
        step, model = ade_benchmark.step_of(recipe, small)
        before = {name: network.get_weights() for name, network in model.networks.items()}
        assert math.isfinite(step())
        changed = {
            name
            for name, network in model.networks.items()
            if any(np.any(old != new) for old, new in zip(before[name], network.get_weights()))
        }
        assert changed == moved
    monkeypatch.setattr(glf_benchmark, "CODES", 400)
    assert 0 < glf_benchmark.mixture_seconds() < glf_benchmark.EM_LIMIT


SMALL = ("DCGANEncoder.width = 2", "DCGANGenerator.width = 2", "batch_size = 8")
DENSE_GAN = (
    *("Recipe.model = @GAN", "GAN.generator = @MLPDecoder", "GAN.discriminator = @MLPDiscriminator"),
    *("GAN.penalty = None", "GAN.latent_size = 4", "MLPDecoder.width = 5", "MLPDecoder.depth = 1"),
    *("MLPDiscriminator.width = 6", "MLPDiscriminator.depth = 1"),
    "Optimization.schedule = (('discriminator',), ('generator',))",
)


def dense_gan(*bindings: str):
    """A step of a GAN of dense layers on points of the plane, whose players move in turn, and the GAN."""
    return ade_benchmark.step_of("fragments/toys", (*DENSE_GAN, *bindings), ("data/toy_ring",))


@pytest.mark.full("the operations of one are counted below")
@pytest.mark.usefixtures("eager")
def test_steps_of_two_replicas_are_counted_once():
    alone, model = dense_gan()
    keras.utils.set_random_seed(0)  # as the fixture of every test does
    together, mirrored = dense_gan("Recipe.devices = 2")
    assert together() == pytest.approx(alone(), rel=1e-4)
    assert mirrored.distribute_strategy.num_replicas_in_sync == 2
    assert peak_benchmark.step_operations(mirrored) == peak_benchmark.step_operations(model) > 0


@pytest.mark.full("as the batch of any other recipe")
@pytest.mark.usefixtures("eager")
def test_a_second_domain_and_labels_reach_the_step():
    tiny = ("ResidualTranslator.width = 2", "PatchDiscriminator.width = 2", "batch_size = 2")
    assert math.isfinite(ade_benchmark.step_of("cycle_gan", tiny)[0]())
    assert math.isfinite(ade_benchmark.step_of("conditional_vae", SMALL)[0]())


@pytest.mark.full("seconds of XLA")
def test_devices_are_measured_and_described(monkeypatch):
    """Of every recipe without XLA and with it: time, images, share of the speed of products; no GPU has no memory."""
    for name, small in (("RECIPES", ("gan",)), ("SIDE", 64), ("step_of", lambda recipe, given: dense_gan(*given))):
        monkeypatch.setattr(devices_benchmark, name, small)
    figures = {name: value for name, value, limit in devices_benchmark.measure(10)}
    assert figures.pop("GPUs") == 0
    assert {name.split(", ")[0] for name in figures} == {"float32", "gan"}
    assert len(figures) == 1 + 2 * 3
    assert all(0 < value < math.inf for value in figures.values())
    rate, time = (figures[f"gan, float32, XLA, {what}"] for what in ("images a second", "milliseconds a step"))
    assert rate * time == pytest.approx(1000 * devices_benchmark.BATCH)
    assert any(line.startswith("CPU: ") for line in devices_benchmark.describe())


def test_operations_of_products_and_convolutions_with_their_gradients():
    """Two for each multiplication with its addition; what no result depends on is not executed and not counted."""
    image, kernel = tf.ones((2, 8, 8, 3)), tf.Variable(tf.ones((5, 5, 3, 4)))
    left, right = tf.ones((6, 3)), tf.ones((6, 7))

    @tf.function
    def convolved(unused):
        with tf.GradientTape() as tape:
            tape.watch(image)
            tf.nn.conv2d(unused, kernel, 1, "SAME")
            value = tf.reduce_sum(tf.nn.conv2d(image, kernel, 2, "SAME") ** 2)
        return tape.gradient(value, [image, kernel.value()]), tf.matmul(left, right, transpose_a=True)

    graph = convolved.get_concrete_function(tf.TensorSpec(image.shape)).graph
    counts = sorted(filter(None, map(peak_benchmark.operations_of, peak_benchmark.executed(graph))))
    convolution = 2 * (2 * 4 * 4 * 4) * (5 * 5 * 3)
    assert counts == sorted([2 * 3 * 7 * 6, *[convolution] * 2])


def test_operations_of_a_training_step(monkeypatch):
    """Those of a GAN of dense layers: passes, gradients of weights and gradients passed through."""
    _, model = dense_gan()
    monkeypatch.setattr(peak_benchmark, "BATCH", 8)
    first, last = (4 * 5, 5 * 2), (2 * 6, 6 * 1)  # multiplications of the layers of G and of D for one example
    of_discriminator = sum(first) + 2 * (sum(last) + sum(last) + last[1])  # on data and on fakes
    of_generator = sum(first) + sum(last) + sum(last) + sum(first) + first[1]
    assert peak_benchmark.step_operations(model) == 8 * 2 * (of_discriminator + of_generator)


PEER_NETWORKS = {
    "generator": lambda: DCGANGenerator((16, 16, 3), 5, width=4),
    "decoder": lambda: DCGANGenerator((16, 16, 1), 5, width=4, kernel_size=5, activation=None),
    "encoder": lambda: DCGANEncoder((16, 16, 3), 7, width=4),
    "discriminator": lambda: ConvDiscriminator((16, 16, 1), channels=(3, 4), dense=(6,)),
    "codes": lambda: CodeDiscriminator(5, width=8),
}


@pytest.mark.parametrize("make", PEER_NETWORKS.values(), ids=PEER_NETWORKS)
def test_a_peer_in_pytorch_is_the_same_function(make):
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    from launch.benchmarks.torch_networks import translated

    network = make()
    generator = np.random.default_rng(0)
    for variable in network.variables:
        variable.assign(variable + 0.1 * generator.uniform(size=variable.shape))
    x = generator.normal(size=(6, *network.input_shape[1:])).astype(np.float32)
    given = torch.tensor(x if x.ndim == 2 else x.transpose(0, 3, 1, 2))
    for training in (True, False):
        ours, theirs = (
            network(x, training=training).numpy(),
            translated(network).train(training)(given).detach().numpy(),
        )
        np.testing.assert_allclose(ours, theirs if ours.ndim == 2 else theirs.transpose(0, 2, 3, 1), atol=1e-4)


@pytest.mark.parametrize("name", torch_peers.SYSTEMS)
def test_a_peer_in_pytorch_trains(name, monkeypatch):
    for package in ("torch", *["pythae"] * ("pythae" in name)):
        pytest.importorskip(package, reason=f"{package} is optional")
    monkeypatch.setattr(torch_peers, "BATCH", 4)
    recipe, bindings, kind = torch_peers.SYSTEMS[name]
    widths = [f"DCGAN{network}.width = 2" for network in ("Encoder", "Generator", "Discriminator")]
    _, model = ade_benchmark.step_of(recipe, (*bindings, *widths))
    step = torch_peers.peer_step(model, kind)
    values = [step() for _ in range(3)]
    assert np.isfinite(values).all()
    assert len(set(values)) == 3
