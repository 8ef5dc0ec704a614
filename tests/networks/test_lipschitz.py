"""Lipschitz-bounded layers and networks: the bound holds, and the norm is that of the linear map."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.flows.cases import perturb
from tests.flows.residual_cases import events, part
from tfade.networks.lipschitz import LipschitzConvNet, LipschitzDense, LipschitzMLP
from tfade.networks.singular_vectors import converged_singular_vectors


@pytest.mark.every(2, 1)
@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (part(LipschitzMLP, (4,), width=32, depth=2), (4,)),
        (part(LipschitzConvNet, (6, 6, 2), width=8), (6, 6, 2)),
    ],
)
def test_the_lipschitz_constant_is_below_one(network, shape):
    """Between random points, between near ones, and where gradient ascent makes it largest."""
    keras.utils.set_random_seed(2)
    network = network()
    perturb(network, 3.0)
    parameters = network.parameters()

    @tf.function
    def ascend(x, direction, parameters):
        with tf.GradientTape() as outer:
            outer.watch([x, direction])
            along = tf.math.l2_normalize(direction, list(range(1, x.shape.rank)))
            with tf.autodiff.ForwardAccumulator(x, along) as forward:
                value = network.evaluate(x, parameters)
            stretch = tf.sqrt(tf.reduce_sum(tf.square(forward.jvp(value)), list(range(1, x.shape.rank))))
        of_x, of_direction = outer.gradient(stretch, [x, direction])
        return x + 10.0 * of_x, along + 10.0 * of_direction, stretch

    x, direction = events(*shape, rows=50), events(*shape, rows=50, seed=1)
    moved = x + 0.5 * direction
    difference = tf.norm(tf.reshape(network(moved) - network(x), (50, -1)), axis=1)
    assert np.max(difference / tf.norm(tf.reshape(moved - x, (50, -1)), axis=1)) < 1
    free = [*(layer.kernel.value for layer in network.linear), *parameters[len(network.linear) :]]
    assert np.max(ascend(x, direction, free)[2]) > 1  # without the limit it is no contraction
    first = None
    for _ in range(30):
        x, direction, stretch = ascend(x, direction, parameters)
        first = stretch if first is None else first
    assert 1.1 * np.max(first) < np.max(stretch) < network.constant + 0.005


def test_the_norm_is_that_of_the_linear_map():
    """Of the whole convolution with its zeros around, by its matrix; of the reshaped kernel it is another."""
    keras.utils.set_random_seed(0)
    network = LipschitzConvNet((5, 4, 2), width=3)
    perturb(network, 4.0)
    for layer, inputs in zip(network.linear, ((5, 4, 2), (5, 4, 3), (5, 4, 3))):
        kernel = layer.limited_kernel()
        basis = tf.reshape(tf.eye(int(np.prod(inputs))), (-1, *inputs))
        matrix = np.reshape(layer.linear(basis, kernel), (len(basis), -1))
        assert 0.97 < np.linalg.norm(matrix, 2) < 0.985
        if kernel.shape[0] > 1:
            reshaped = np.linalg.norm(np.reshape(kernel, (-1, kernel.shape[-1])), 2)
            assert abs(reshaped - 0.98) > 0.1
    small = network.linear[0].kernel
    small.assign(0.01 * small)
    np.testing.assert_array_equal(network.linear[0].limited_kernel(), small)


def test_an_update_settles_the_singular_vectors():
    """An optimizer's update leaves them where a call finds them converged; a fresh kernel of zeros does no harm."""
    network = LipschitzMLP((3,), width=8)
    optimizer, x = keras.optimizers.SGD(0.5), events(3)
    before = [layer.left.numpy() for layer in network.linear]
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(network(x) - 1.0))
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
    for layer, old in zip(network.linear, before):
        assert np.any(layer.left.numpy() != old)
        left = np.linalg.svd(layer.kernel)[2][0]
        assert np.linalg.norm(layer.left @ left) > 0.9999


def test_the_norm_is_not_lost_while_the_kernel_moves():
    """One stored vector stays near a singular vector that another one overtakes, and the norm rises above the limit."""
    generator = np.random.default_rng(0)
    layer = LipschitzDense(64, 64, 0.98)
    orthogonal = [np.linalg.qr(generator.normal(size=(64, 64)))[0] for _ in range(2)]
    values = np.linspace(1.5, 0.5, 64)
    for _ in range(30):
        generator.shuffle(values[:6])  # others take the lead, as little by little in training
        kernel = orthogonal[0] @ np.diag(values) @ orthogonal[1]
        layer.kernel.assign(layer.kernel.constraint(np.float32(kernel)))
        assert np.linalg.norm(layer.limited_kernel(), 2) < 0.981


def test_layers_of_one_kind_and_shape_share_the_trace_of_their_iteration():
    """Which gives the same numbers, and gradients, as the iteration written out in each of them."""
    layers = [LipschitzDense(5, 4, 0.9) for _ in range(3)]
    for seed, layer in enumerate(layers):
        perturb(layer, 4.0, seed)

    @tf.function(autograph=False)
    def limited():
        with tf.GradientTape() as tape:
            kernels = [layer.limited_kernel() for layer in layers]
            total = tf.add_n([tf.reduce_sum(kernel**3) for kernel in kernels])
        return kernels, tape.gradient(total, [layer.kernel.value for layer in layers])

    graph = limited.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert len([node for node in nodes if node.op in ("While", "StatelessWhile")]) == 1
    for layer, kernel, gradient in zip(layers, *limited()):
        weight = tf.convert_to_tensor(layer.kernel)
        with tf.GradientTape() as tape:
            tape.watch(weight)
            _, u, v = converged_singular_vectors(
                lambda x, weight=weight: x @ weight,
                lambda y, weight=weight: y @ tf.transpose(weight),
                tf.convert_to_tensor(layer.left),
            )
            expected = weight * (0.9 / tf.reduce_sum(u * (v @ weight)))
            total = tf.reduce_sum(expected**3)
        np.testing.assert_allclose(kernel, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(gradient, tape.gradient(total, weight), rtol=1e-4, atol=1e-5)
