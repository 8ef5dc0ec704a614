"""Reconstruction losses against hand cases."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.objectives.reconstruction import absolute_error, squared_error


@pytest.mark.parametrize("shape", [(2, 4), (2, 2, 2, 1), (2, 1, 2, 2)])
def test_errors_are_over_all_dimensions_of_an_example(shape):
    x = tf.reshape(tf.constant([1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]), shape)
    other = tf.reshape(tf.constant([1.0, 0.0, 3.0, 7.0, 0.5, 0.0, 0.0, 0.0]), shape)
    np.testing.assert_allclose(absolute_error(x, other, reduction="sum"), [5.0, 0.5])
    np.testing.assert_allclose(absolute_error(x, other), [1.25, 0.125])
    np.testing.assert_allclose(squared_error(x, other, reduction="sum"), [13.0, 0.25])
    np.testing.assert_allclose(squared_error(x, other), [3.25, 0.0625])


@pytest.mark.parametrize("error", [absolute_error, squared_error])
def test_other_reductions_are_rejected(error):
    with pytest.raises(UsageError, match="reduction='median' is unknown; use one of 'mean', 'sum'"):
        error(tf.zeros((1, 2)), tf.zeros((1, 2)), reduction="median")
