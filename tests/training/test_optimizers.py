"""Optimizers that gin configures: weight decay, and arguments that are rejected."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.training import optimizers

MAKERS = (optimizers.adam, optimizers.adamax, optimizers.rmsprop, optimizers.sgd)


def moved(optimizer, gradient: float = 0.0) -> list[np.ndarray]:
    """A dense layer's kernel of 2s and bias of 1s, and a gain of 3s, after one step."""
    variables = [keras.Variable(np.full(shape, value)) for shape, value in (((2, 3), 2.0), ((3,), 1.0), ((3,), 3.0))]
    optimizer.build(variables)
    optimizer.apply([tf.fill(variable.shape, gradient) for variable in variables], variables)
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("learning_rate", [0.1, optimizers.LinearDecay(0.1, 100)], ids=["constant", "schedule"])
def test_weight_decay_shrinks_every_variable_by_rate_times_decay(make, learning_rate):
    """Decoupled: without a gradient nothing else moves; kernels, biases and gains alike."""
    for value, start in zip(moved(make(learning_rate, weight_decay=0.5)), (2.0, 1.0, 3.0)):
        np.testing.assert_allclose(value, start * (1 - 0.1 * 0.5), rtol=1e-6)
    for value, start in zip(moved(make(learning_rate)), (2.0, 1.0, 3.0)):
        np.testing.assert_array_equal(value, np.float32(start))


def test_a_linear_decay_may_begin_later():
    """200 steps as they are, then down to a tenth in 100; built again from its own configuration it is the same."""
    decay = optimizers.LinearDecay(1.0, 100, 0.1, begin=200)
    for schedule in (decay, optimizers.LinearDecay.from_config(decay.get_config())):
        rates = [float(schedule(step)) for step in (0, 200, 250, 300, 900)]
        np.testing.assert_allclose(rates, [1.0, 1.0, 0.55, 0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(float(optimizers.LinearDecay(1.0, 100)(25)), 0.75, rtol=1e-6)


def test_weight_decay_is_an_l2_penalty_for_sgd_alone():
    """Of ½ λ ‖θ‖², whose gradient is λ θ; Adam's step of a constant gradient is the rate, whatever is decayed."""
    for value, start in zip(moved(optimizers.sgd(0.1, weight_decay=0.5), gradient=4.0), (2.0, 1.0, 3.0)):
        np.testing.assert_allclose(value, start - 0.1 * (4.0 + 0.5 * start), rtol=1e-6)
    for value, start in zip(moved(optimizers.adam(0.1, weight_decay=0.5), gradient=4.0), (2.0, 1.0, 3.0)):
        np.testing.assert_allclose(value, start * (1 - 0.1 * 0.5) - 0.1, rtol=1e-5)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_invalid_arguments_are_rejected(make):
    for wrong in (-0.1, float("nan"), "0.1"):
        with pytest.raises(UsageError, match="weight_decay=.* must be a finite number ≥ 0"):
            make(weight_decay=wrong)
        with pytest.raises(UsageError, match="learning_rate=.* must be a finite number > 0"):
            make(wrong)


def test_halving_falls_at_equal_distances():
    once, twice = optimizers.Halving(0.8, 10), optimizers.Halving(0.8, 9, times=2)
    np.testing.assert_allclose([once(step) for step in (0, 4, 5, 9, 10, 50)], [0.8, 0.8, 0.4, 0.4, 0.4, 0.4])
    np.testing.assert_allclose([twice(step) for step in (0, 2, 3, 5, 6, 9)], [0.8, 0.8, 0.4, 0.4, 0.2, 0.2])
    for given in ({"initial": 0}, {"steps": 0}, {"times": 0}):
        with pytest.raises(UsageError, match=f"Halving.{next(iter(given))}"):
            optimizers.Halving(**{"initial": 0.1, "steps": 2, **given})


def trained(kind, gather, steps=20):
    """All variables after some steps of two parameters, one of which is a table of rows that the loss picks."""
    table = keras.Variable(np.linspace(-1, 1, 21).reshape(7, 3), dtype="float32")
    scale = keras.Variable(np.ones(3), dtype="float32")
    optimizer = kind(optimizers.LinearDecay(1e-2, 15), 0.5, 0.9, epsilon=1e-8, weight_decay=0.01)
    optimizer.build([table, scale])

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(x * gather(table.value)) * scale.value**2)
        optimizer.apply(tape.gradient(loss, [table.value, scale.value]), [table, scale])

    for index in range(steps):
        step(tf.constant(1.0 + 0.1 * index))
    return [variable.numpy() for variable in (table, scale, *optimizer.variables)]


def test_adam_is_keras_adam_bit_for_bit():
    def dense(table):
        return tf.matmul(tf.one_hot([1, 1, 4], 7), table)

    for ours, reference in zip(trained(optimizers.Adam, dense), trained(keras.optimizers.Adam, dense), strict=True):
        np.testing.assert_array_equal(ours, reference)


def test_a_row_that_is_gathered_twice_has_the_sum_of_its_gradients():
    gathered = trained(optimizers.Adam, lambda table: tf.gather(table, [1, 1, 4]))
    dense = trained(optimizers.Adam, lambda table: tf.matmul(tf.one_hot([1, 1, 4], 7), table))
    for one, other in zip(gathered, dense, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
