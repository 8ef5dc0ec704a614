"""Jacobians and their singular values against matrices that are known."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.evaluation.latents.jacobian import Spectrum, jacobians, singular_values, spectrum

MATRIX = np.random.default_rng(0).normal(size=(7, 4))


def linear(z):
    """z → M z as an image of 7 numbers."""
    return tf.reshape(tf.linalg.matvec(tf.constant(MATRIX, tf.float32), z), (-1, 7, 1))


@pytest.mark.parametrize("chunk", [1, 3, 7, 256])
def test_the_jacobian_of_a_linear_map_is_its_matrix(chunk):
    for found in jacobians(linear, tf.ones((2, 4)), chunk):
        np.testing.assert_allclose(found, MATRIX, rtol=1e-6)


def test_the_jacobian_belongs_to_its_code():
    codes = tf.constant([[0.5, -2.0], [1.0, 3.0]])
    found = list(jacobians(lambda z: tf.stack([z[:, 0] ** 2, z[:, 0] * z[:, 1]], -1), codes))
    np.testing.assert_allclose(found, [[[1.0, 0.0], [-2.0, 0.5]], [[2.0, 0.0], [3.0, 1.0]]], rtol=1e-6)


def test_singular_values_agree_with_numpy():
    np.testing.assert_allclose(singular_values(MATRIX), np.linalg.svd(MATRIX, compute_uv=False), rtol=1e-12)
    np.testing.assert_allclose(singular_values(MATRIX.T), np.linalg.svd(MATRIX, compute_uv=False), rtol=1e-12)
    np.testing.assert_allclose(singular_values(np.diag([1.0, 0.0, 3.0])), [3.0, 1.0, 0.0])


def test_badly_scaled_rows_keep_their_small_singular_values():
    """Their product is |det|, here over 40 orders of magnitude, where the usual algorithm is off by many."""
    generator = np.random.default_rng(1)
    core, scales = generator.normal(size=(40, 40)), generator.permutation(10.0 ** -np.linspace(0, 40, 40))
    expected = np.linalg.slogdet(core)[1] + np.log(scales).sum()
    assert np.log(singular_values(scales[:, None] * core)).sum() == pytest.approx(expected, abs=1e-9)
    usual = np.linalg.svd(scales[:, None] * core, compute_uv=False)
    assert abs(np.log(usual).sum() - expected) > 1


def test_the_spectrum_is_summed_up():
    found = spectrum(lambda z: z * tf.constant([1.0, 10.0, 1000.0]), tf.zeros((5, 3)))
    np.testing.assert_allclose(found.values, [[1000.0, 10.0, 1.0]] * 5, rtol=1e-6)
    summary = found.summary()
    assert summary["log10_condition_median"] == pytest.approx(3.0)
    assert (summary["codes"], summary["directions"], summary["singular"]) == (5, 3, 0)


def test_a_lost_direction_is_infinite_and_counted():
    summary = Spectrum(np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 1.0]])).summary()
    assert summary["log10_condition_median"] is None
    assert summary["singular"] == 2


@pytest.mark.parametrize("matrix", [np.ones(3), np.ones((0, 2)), np.array([[np.nan, 1.0]])])
def test_what_is_no_matrix_is_refused(matrix):
    with pytest.raises(UsageError, match="finite"):
        singular_values(matrix)


def test_codes_have_to_be_a_matrix():
    with pytest.raises(UsageError, match=r"codes have shape \[4\]"):
        spectrum(linear, tf.ones(4))
