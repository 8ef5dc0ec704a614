"""The masked autoregressive network."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.flows.cases import perturb
from tfade.errors import UsageError
from tfade.networks.made import MADE


def made(*arguments, **options):
    """A network with random weights everywhere."""
    keras.utils.set_random_seed(0)
    network = MADE(*arguments, activation="tanh", **options)
    perturb(network)
    return network


def dependence(network, dimensions, outputs, context_size=0) -> np.ndarray:
    """Whether parameters of dimension i [first axis] depend on x_j [second] somewhere."""
    x = tf.random.stateless_normal((7, dimensions), (1, 2))
    context = (tf.ones((7, context_size)),) if context_size else ()
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        result = network(x, *context)
    matrices = tape.batch_jacobian(result, x, experimental_use_pfor=False).numpy()
    return (matrices.reshape(7, outputs, dimensions, dimensions) != 0).any((0, 1))


@pytest.mark.every(5)
@pytest.mark.parametrize("seed", [0, 1, (2, 3)])
@pytest.mark.parametrize("order", ["natural", "reversed", "random"])
@pytest.mark.parametrize("context_size", [0, 2])
def test_a_parameter_depends_on_every_earlier_number_and_no_other(order, seed, context_size):
    dimensions, outputs = 6, 3
    network = made(dimensions, outputs, context_size, width=17, depth=2, order=order, seed=seed)
    found = dependence(network, dimensions, outputs, context_size)
    in_order = found[np.ix_(network.sequence, network.sequence)]
    np.testing.assert_array_equal(in_order, np.tri(dimensions, k=-1) > 0)
    if order != "random":
        np.testing.assert_array_equal(network.sequence, np.arange(6)[:: 1 if order == "natural" else -1])


def test_random_orders_follow_their_seed():
    orders = [tuple(MADE(20, 1, order="random", seed=seed, width=2).sequence) for seed in (0, 0, 1, (0, 1))]
    assert orders[0] == orders[1]
    assert len(set(orders)) == 3


def test_a_network_narrower_than_its_input_stays_autoregressive():
    found = dependence(made(9, 2, width=1, depth=3), 9, 2)
    assert found.any()
    assert not found[np.triu_indices(9)].any()


def test_parameters_start_at_zero_and_see_the_context_from_the_first_number():
    network = MADE(4, 2, context_size=3, width=8)
    x, context = np.ones((2, 4), "float32"), np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 1.0]], "float32")
    np.testing.assert_array_equal(network(x, context), np.zeros((2, 8)))
    perturb(network)
    one, other = network(x, context).numpy()
    assert (one.reshape(2, 4)[:, 0] != other.reshape(2, 4)[:, 0]).all()


def test_one_dimension_is_a_bias_or_a_function_of_the_context():
    assert [tuple(weight.shape) for weight in MADE(1, 2).weights] == [(2,)]
    network = made(1, 2, context_size=3)
    context = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    one, other = network(np.zeros((5, 1), "float32"), context), network(np.ones((5, 1), "float32"), context)
    np.testing.assert_array_equal(one, other)
    assert (np.std(one, 0) > 0).all()


@pytest.mark.every(3)
@pytest.mark.parametrize("arguments", [(5, 2, 0), (5, 2, 3), (1, 2, 0), (1, 1, 3)])
@pytest.mark.parametrize("width", [2, 13])
def test_ancestral_solves_what_the_whole_pass_states(arguments, width):
    """x_i = given_i + parameters of x_<i: then parameters of x are what was added, in every order and depth."""
    dimensions, outputs, context_size = arguments
    for order, depth in (("reversed", 1), ("random", 2)):
        network = made(*arguments, width=width, depth=depth, order=order)
        given = np.random.default_rng(1).normal(size=(4, dimensions)).astype("float32")
        context = np.random.default_rng(2).normal(size=(4, 3)).astype("float32") if context_size else None

        def draw(column, parameters):
            return column + tf.reduce_sum(parameters, -1, keepdims=True), 2 * column

        for ancestral in (network.ancestral, tf.function(network.ancestral)):
            x, other = ancestral(draw, tf.constant(given)[..., None], context)
            parameters = network(x, context) if context_size else network(x)
            added = tf.reduce_sum(tf.reshape(parameters, (4, outputs, dimensions)), 1)
            np.testing.assert_allclose(x, given + added, atol=1e-5)
            np.testing.assert_allclose(other, 2 * given)


def test_ancestral_computes_every_unit_once(monkeypatch):
    """The work of all steps together is that of one pass: a hidden unit goes through its activation once."""
    network = MADE(6, 2, width=11, depth=2)
    units = []
    monkeypatch.setattr(network, "activation", lambda sums: units.append(sums.shape[-1]) or tf.tanh(sums))
    network.ancestral(lambda column, parameters: (column, column), tf.zeros((3, 6, 1)))
    assert sum(units) <= 2 * 6 * -(-11 // 5)  # 2 layers, 6 steps, groups of at most ⌈11 / 5⌉


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 0}, "dimensions=0"),
        ({"outputs": 0}, "outputs=0"),
        ({"width": 0}, "width=0"),
        ({"depth": 0}, "depth=0"),
        ({"order": "sorted"}, "order='sorted'.*natural"),
    ],
)
def test_invalid_arguments_are_rejected(options, message):
    with pytest.raises(UsageError, match=message):
        MADE(**({"dimensions": 3, "outputs": 2} | options))
