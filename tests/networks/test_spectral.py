"""Spectral normalisation against NumPy's SVD: the norm, its gradient, the vector that is carried along."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.networks.sngan import SNGANDiscriminator
from tfade.networks.spectral import SpectralConv2D, SpectralConv2DTranspose, SpectralDense, normalized
from tfade.training.strategy import make_strategy, precision

LAYERS = {
    "dense": (lambda: SpectralDense(5, bias_initializer="random_normal"), (2, 7)),
    "conv": (lambda: SpectralConv2D(5, 3, strides=2, padding="same", bias_initializer="random_normal"), (2, 6, 6, 4)),
}


@pytest.fixture(params=list(LAYERS))
def layer(request):
    """A built layer and inputs for it."""
    make, shape = LAYERS[request.param]
    made = make()
    made.build((None, *shape[1:]))
    return made, tf.random.stateless_normal(shape, (1, 2))


def kernel_of(layer) -> np.ndarray:
    return layer.trainable_variables[0].numpy()


def norm(kernel) -> float:
    """The largest singular value of [outputs, everything else]."""
    return np.linalg.svd(np.moveaxis(kernel, -1, 0).reshape(kernel.shape[-1], -1), compute_uv=False)[0]


def settle(layer, inputs, calls=100):
    for _ in range(calls):
        layer(inputs, training=True)


def test_the_norm_is_that_of_the_singular_value_decomposition(layer):
    layer, inputs = layer
    settle(layer, inputs)
    kernel = kernel_of(layer)
    effective, _, sigma = normalized(tf.constant(kernel), layer.u.value)
    assert float(sigma) == pytest.approx(norm(kernel), rel=1e-4)
    assert norm(effective.numpy()) == pytest.approx(1.0, rel=1e-4)


def test_the_layer_is_keras_layer_with_that_kernel(layer):
    layer, inputs = layer
    plain = type(layer).__mro__[2].from_config(layer.get_config())
    plain.build(inputs.shape)
    settle(layer, inputs)
    plain.set_weights([kernel_of(layer) / norm(kernel_of(layer)), layer.bias.numpy()])
    assert type(plain).__module__.startswith("keras.")
    np.testing.assert_allclose(layer(inputs), plain(inputs), rtol=1e-3, atol=1e-5)


def test_one_iteration_for_a_training_call_and_none_for_inference(layer):
    layer, inputs = layer
    matrix = np.moveaxis(kernel_of(layer), -1, 0).reshape(5, -1)
    u = layer.u.numpy()
    layer(inputs)
    layer(inputs, training=False)
    np.testing.assert_array_equal(layer.u.numpy(), u)
    for _ in range(2):
        v = matrix.T @ u / np.linalg.norm(matrix.T @ u)
        u = matrix @ v / np.linalg.norm(matrix @ v)
        layer(inputs, training=True)
        np.testing.assert_allclose(layer.u.numpy(), u, rtol=1e-4, atol=1e-6)


def test_the_estimate_never_exceeds_the_norm():
    kernel = tf.random.stateless_normal((3, 3, 4, 6), (0, 1))
    for seed in range(20):
        assert (
            float(normalized(kernel, tf.random.stateless_normal((6,), (seed, 2)))[2]) <= norm(kernel.numpy()) * 1.00001
        )


def test_the_gradient_is_that_of_the_normalised_kernel():
    """Against differences of W / σ(W) with σ by SVD, in float64: σ's own gradient is part of it."""
    kernel = np.random.default_rng(0).normal(size=(4, 5))
    direction = np.random.default_rng(1).normal(size=(4, 5))
    u = np.linalg.svd(kernel.T)[0][:, 0]
    variable = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = tf.reduce_sum(direction * normalized(variable, tf.constant(u))[0])
    gradient = tape.gradient(value, variable).numpy()
    expected = np.zeros_like(kernel)
    for place in np.ndindex(kernel.shape):
        step = np.zeros_like(kernel)
        step[place] = 1e-6
        ends = [np.sum(direction * end / norm(end)) for end in (kernel + step, kernel - step)]
        expected[place] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-8)
    without = direction / norm(kernel)  # what Keras' wrapper would give
    assert np.abs(gradient - without).max() > 0.01


def test_the_singular_vectors_count_as_constants():
    """The gradient of σ is u' vᵀ even before u has converged: algorithm 1 and equation 10 of the paper."""
    kernel, direction = (np.random.default_rng(seed).normal(size=(4, 5)) for seed in (0, 1))
    u = np.random.default_rng(2).normal(size=5)
    v = kernel @ u / np.linalg.norm(kernel @ u)
    sigma = np.linalg.norm(v @ kernel)
    variable = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = tf.reduce_sum(direction * normalized(variable, tf.constant(u))[0])
    expected = direction / sigma - np.sum(direction * kernel) / sigma**2 * np.outer(v, v @ kernel / sigma)
    np.testing.assert_allclose(tape.gradient(value, variable), expected, rtol=1e-9)


def test_a_kernel_of_zeros_stays_finite(layer):
    layer, inputs = layer
    layer.trainable_variables[0].assign(tf.zeros(kernel_of(layer).shape))
    with tf.GradientTape() as tape:
        outputs = layer(inputs, training=True)
        loss = tf.reduce_sum(outputs**2)
    np.testing.assert_allclose(outputs, np.broadcast_to(layer.bias.numpy(), outputs.shape), atol=1e-7)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(loss, layer.trainable_variables))
    assert np.isfinite(layer.u.numpy()).all()


def test_a_network_of_such_layers_is_lipschitz():
    """A convolution's norm is at most √(places of its kernel that overlap) times its matrix's; rectifiers have slope 1."""
    critic = SNGANDiscriminator((8, 8, 1), width=4, spectral=True)
    for variable in critic.trainable_variables:
        variable.assign(5.0 * variable)
    x = tf.random.stateless_normal((64, 8, 8, 1), (1, 2))
    for _ in range(50):
        critic(x[:1], training=True)
    y = x + 0.1 * tf.random.stateless_normal(x.shape, (3, 4))
    distance = tf.norm(tf.reshape(y - x, (64, -1)), axis=1)
    # One halving: kernels 3×3, 4×4 of stride 2 (each pixel is in 2×2 places), 3×3, and the dense layer.
    bound = 3.0 * 2.0 * 3.0 * 1.0
    slopes = tf.abs(critic(y) - critic(x))[:, 0] / distance
    assert float(tf.reduce_max(slopes)) <= bound
    plain = SNGANDiscriminator((8, 8, 1), width=4)
    plain.set_weights([v.numpy() for v in critic.trainable_variables])
    assert float(tf.reduce_max(tf.abs(plain(y) - plain(x))[:, 0] / distance)) > bound


def test_the_vector_is_saved(tmp_path):
    make = lambda: SNGANDiscriminator((8, 8, 1), width=2, spectral=True)
    critic, other = make(), make()
    assert len(critic.non_trainable_variables) == 4
    settle(critic, tf.ones((1, 8, 8, 1)), 3)
    critic.save_weights(tmp_path / "critic.weights.h5")
    other.load_weights(tmp_path / "critic.weights.h5")
    for saved, loaded in zip(critic.variables, other.variables, strict=True):
        np.testing.assert_array_equal(saved.numpy(), loaded.numpy())


def test_replicas_carry_one_vector(layer):
    """The vector follows W, which every replica has; the data play no part."""
    layer, inputs = layer
    strategy = make_strategy(devices=2)
    with strategy.scope():
        mirrored = type(layer).from_config(layer.get_config())
        mirrored.build(inputs.shape)
    mirrored.set_weights(layer.get_weights())

    @tf.function
    def call():
        context = tf.distribute.get_replica_context
        strategy.run(lambda: mirrored(inputs * tf.cast(context().replica_id_in_sync_group, tf.float32), training=True))

    for _ in range(3):
        call()
    settle(layer, inputs, 3)
    for copy in strategy.experimental_local_results(mirrored.u.value):
        np.testing.assert_allclose(copy.numpy(), layer.u.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", list(LAYERS))
def test_the_norm_is_in_float32_in_mixed_precision(name, policy):
    make, shape = LAYERS[name]
    with precision(policy):
        layer = make()
    layer.build((None, *shape[1:]))
    _, expected, _ = normalized(tf.constant(kernel_of(layer)), tf.constant(layer.u.numpy()))
    inputs = tf.random.stateless_normal(shape, (1, 2))
    assert layer(inputs, training=True).dtype == layer.compute_dtype == policy.removeprefix("mixed_")
    assert {str(variable.dtype) for variable in layer.variables} == {"float32"}
    np.testing.assert_allclose(layer.u.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_keras_arguments_go_through():
    layer = SpectralConv2D(3, 2, padding="valid", use_bias=False, activation="relu")
    outputs = layer(tf.random.stateless_normal((2, 5, 5, 1), (0, 0)))
    assert outputs.shape == (2, 4, 4, 3)
    assert float(tf.reduce_min(outputs)) == 0.0
    assert [variable.name for variable in layer.variables] == ["kernel", "u"]


def test_a_transposed_convolution_is_normalised_over_its_outputs():
    """Keras keeps them on the last axis but one."""
    layer = SpectralConv2DTranspose(5, 4, strides=2, padding="same", bias_initializer="random_normal")
    inputs = tf.random.stateless_normal((2, 3, 3, 4), (1, 2))
    layer.build(inputs.shape)
    settle(layer, inputs)
    kernel = layer.kernel.numpy()
    assert kernel.shape == (4, 4, 5, 4)
    sigma = np.linalg.svd(np.moveaxis(kernel, 2, 0).reshape(5, -1), compute_uv=False)[0]
    plain = keras.layers.Conv2DTranspose(5, 4, strides=2, padding="same")
    plain.build(inputs.shape)
    plain.set_weights([kernel / sigma, layer.bias.numpy()])
    np.testing.assert_allclose(layer(inputs), plain(inputs), rtol=1e-3, atol=1e-5)
