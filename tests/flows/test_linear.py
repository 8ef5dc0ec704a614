"""Linear maps, permutations and activation normalisation, on vectors and images."""

import numpy as np
import pytest
import tensorflow as tf

from tests.flows.cases import Case, Holder, perturb, precision
from tests.flows.properties import CHECKS, name_of
from tfade.errors import UsageError
from tfade.flows.actnorm import ActNorm
from tfade.flows.linear import DiagonalScaling, Invertible1x1Convolution, LULinear
from tfade.flows.permutation import RandomPermutation, Reverse
from tfade.flows.preprocessing import Rescale
from tfade.flows.stack import Stack

KERNEL = np.array([[0.0, 2.0, 0.5], [1.0, -1.0, 0.0], [0.3, 0.0, -4.0]])
CASES = (
    Case("actnorm", ActNorm, (5,)),
    Case("actnorm_images", ActNorm, (3, 2, 4)),
    Case("diagonal", DiagonalScaling, (3, 2)),
    Case("lu", LULinear, (5,)),
    Case("lu_1", LULinear, (1,)),
    Case("lu_kernel", lambda: LULinear(KERNEL), (3,), identity=False),
    Case("convolution", Invertible1x1Convolution, (2, 3, 4), identity=False),
    Case("permutation", RandomPermutation, (7,), uses_context=False),
    Case("reverse", Reverse, (2, 2, 3), uses_context=False),
)


@pytest.mark.every(4, 1)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_property(check, case):
    check(case)


def built(layer, *shape, **arguments):
    layer.build(shape, **arguments)
    return layer


def test_lu_is_its_kernel():
    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype("float32")
    latents, log_det = built(LULinear(KERNEL), 2, 3).bijector().inverse_and_log_det(x)
    np.testing.assert_allclose(latents, x @ KERNEL.T, atol=1e-5)
    np.testing.assert_allclose(log_det, 2 * np.linalg.slogdet(KERNEL)[1] * np.ones(4), rtol=1e-5)


def test_convolution_starts_as_a_rotation_of_its_own():
    layers = Stack([Invertible1x1Convolution], repeat=2), Invertible1x1Convolution(seed=1)
    first, second = built(layers[0], 1, 1, 4).parts
    images = np.eye(4, dtype="float32")[:, None, None, :]
    matrices = [
        part.inverse_and_log_det(images, None)[0].numpy()[:, 0, 0]
        for part in (first, second, built(layers[1], 1, 1, 4))
    ]
    for matrix in matrices:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(4), atol=1e-5)
        assert np.abs(matrix - np.eye(4)).max() > 0.1
    assert np.abs(matrices[0] - matrices[1]).max() > 0.1
    assert np.abs(matrices[0] - matrices[2]).max() > 0.1


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.ones((3, 2)), "square"),
        (np.ones((3,)), "square"),
        (np.ones((3, 3)), "singular"),
        (np.zeros((1, 1)), "singular"),
        (np.diag([1.0, 1e-9]), "singular"),
        (np.full((2, 2), np.nan), "finite"),
    ],
)
def test_invalid_kernels_are_rejected(kernel, message):
    for kind in (LULinear, Invertible1x1Convolution):
        with pytest.raises(UsageError, match=message):
            kind(kernel)


def test_a_kernel_of_another_size_is_rejected():
    with pytest.raises(UsageError, match=r"\[3, 3\].*\[4, 4\]"):
        LULinear(KERNEL).build((2, 2, 4))


def test_permutations_move_what_they_should():
    x = np.arange(8.0, dtype="float32").reshape(2, 4)
    np.testing.assert_array_equal(built(Reverse(), 4).bijector().inverse(x), x[:, ::-1])
    stack = built(Stack([RandomPermutation], repeat=3), 50)
    orders = [
        part.inverse_and_log_det(np.arange(50.0, dtype="float32")[None], None)[0].numpy()[0] for part in stack.parts
    ]
    assert len({tuple(order) for order in orders}) == 3
    again = built(Stack([RandomPermutation], repeat=3), 50)
    np.testing.assert_array_equal(
        orders[2], again.parts[2].inverse_and_log_det(np.arange(50.0, dtype="float32")[None], None)[0][0]
    )


def test_the_gradient_of_a_permutation_goes_back_where_it_came_from():
    layer = built(RandomPermutation(), 6)
    x = tf.reshape(tf.range(6.0), (1, 6))
    for function in (layer.bijector().inverse, layer.bijector().forward):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(function(x) ** 3)
        np.testing.assert_allclose(tape.gradient(total, x), 3 * x**2)


@pytest.mark.parametrize("shape", [(3,), (4, 5, 3)])
def test_actnorm_is_set_once_from_data(shape, tmp_path):
    data = np.random.default_rng(0).normal([5.0, -2.0, 0.0], [3.0, 0.1, 0.0], (200, *shape)).astype("float32")
    layer = built(ActNorm(), *shape, context_size=2)
    context = np.ones((200, 2), "float32")
    latents = layer.initialise(data, context)
    axes = tuple(range(len(shape)))
    np.testing.assert_allclose(np.mean(latents, axes), 0, atol=1e-4)
    np.testing.assert_allclose(np.std(latents, axes)[:2], 1, atol=0.02)
    np.testing.assert_array_equal(latents, layer.bijector(context).inverse(data))
    assert np.isfinite(layer.bijector(context).inverse(data + 1)).all()

    before = layer.get_weights()
    layer.initialise(data * 7 + 1, context)
    for one, two in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(one, two)

    Holder(layer).save_weights(tmp_path / "w.weights.h5")
    other = built(ActNorm(), *shape, context_size=2)
    Holder(other).load_weights(tmp_path / "w.weights.h5")
    other.initialise(data * 7 + 1, context)
    np.testing.assert_array_equal(other.shift, layer.shift)


def test_a_stack_initialises_each_part_with_what_reaches_it():
    data = (3 + 2 * np.random.default_rng(0).normal(size=(100, 4))).astype("float32")
    stack = built(Stack([ActNorm(), LULinear(np.diag([1.0, 2.0, 3.0, 4.0]) + np.eye(4, k=1)), ActNorm()]), 4)
    latents = tf.function(stack.initialise)(data)  # in a graph as well
    np.testing.assert_allclose(np.mean(latents, 0), 0, atol=1e-4)
    np.testing.assert_allclose(np.std(latents, 0), 1, atol=0.01)


def test_actnorm_does_not_learn_from_the_density_pass():
    layer = built(ActNorm(), 3)
    layer.bijector().inverse(np.random.default_rng(0).normal(5, 1, (9, 3)))
    assert all(not weight.any() for weight in layer.get_weights())


def test_constants_keep_float64():
    """Neither ActNorm's epsilon nor the log-determinant of Rescale passes through float32."""
    with precision("float64"):
        x = np.random.default_rng(0).normal(size=(50, 3))
        layer = built(ActNorm(epsilon=0.3), 3)
        layer.initialise(x)
        np.testing.assert_allclose(layer.log_scale, np.log(x.std(0) + 0.3), rtol=1e-13)
        rescale = built(Rescale(3.0), 3072)
        log_det = rescale.inverse_and_log_det(tf.zeros((1, 3072), tf.float64), None)[1]
        np.testing.assert_allclose(log_det, 3072 * np.log(3.0), rtol=1e-15)


def test_actnorm_rejects_a_nonpositive_epsilon():
    with pytest.raises(UsageError, match="epsilon=0"):
        ActNorm(epsilon=0)


def test_diagonal_scaling_is_nices():
    layer = built(DiagonalScaling(), 2)
    perturb(layer)
    x = np.array([[1.0, -2.0]], "float32")
    np.testing.assert_allclose(layer.bijector().inverse(x), x * np.exp(layer.log_scale), rtol=1e-6)


def test_a_stack_leaves_the_settings_of_its_parts_alone():
    stack = Stack((lambda: Rescale(2.0, offset=-1.0), Reverse))
    stack.build((3,))
    x = np.float32([[1.0, 2.0, 3.0]])
    value, log_det = stack.bijector().inverse_and_log_det(x)
    assert stack.parts[0].scale == 2.0
    np.testing.assert_allclose(np.sort(stack.bijector().forward(value)), x, rtol=1e-6)
    assert abs(float(log_det[0])) == pytest.approx(3 * np.log(2), rel=1e-5)
