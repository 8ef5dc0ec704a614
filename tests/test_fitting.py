"""The training loop of single networks: stretches of steps, what is reported, and where it stops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import NonFiniteError
from tfade.fitting import by_batches, fit, minimise


@pytest.mark.parametrize(("steps", "reports", "stops"), [(7, 3, [3, 6, 7]), (2, 5, [1, 2]), (10, 5, [2, 4, 6, 8, 10])])
def test_every_step_is_taken_once_and_reported_now_and_then(steps, reports, stops):
    taken, lines = [], []

    def advance(start, stop):
        taken.extend(range(start, stop))
        return {"loss": stop / 2}

    fit(advance, steps, name="a network", progress=lines.append, reports=reports)
    assert taken == list(range(steps))
    assert lines == [f"  a network: step {stop} of {steps}, loss {stop / 2:.5g}" for stop in stops]


def test_a_number_that_is_not_finite_ends_it():
    values = iter([{"loss": 1.0, "norm": 2.0}, {"loss": 1.0, "norm": np.inf}])
    with pytest.raises(
        NonFiniteError, match=r"a network: loss 1, norm inf between steps 2 and 4; lower learning_rate=3"
    ):
        fit(lambda *_: next(values), 6, name="a network", progress=print, reports=3, learning_rate=3)


def test_batches_in_their_order_minimise_the_loss():
    """Gradient descent on ½ E (w − x)² with rate 1 ends at the last batch's mean."""
    weight = tf.Variable(0.0)
    optimizer = keras.optimizers.SGD(1.0)
    data = np.float32([[1, 3], [4, 4], [5, 7]])

    @tf.function
    def step(x):
        return minimise(
            lambda: {"loss": tf.reduce_mean((weight - x) ** 2) / 2, "w": tf.identity(weight)}, optimizer, [weight]
        )

    last = by_batches(step, lambda position: (data[position],))(0, 3)
    assert float(weight) == 6
    assert (float(last["w"]), float(last["loss"])) == (4, 2.5)  # of before the step
