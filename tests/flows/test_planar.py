"""Planar and radial flows."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.flows.cases import Case, perturb, precision
from tests.flows.properties import CHECKS, name_of
from tfade.errors import UsageError
from tfade.flows.planar import Planar, Radial, root_of_tanh
from tfade.flows.stack import Stack
from tfade.networks.conditioner import MLPConditioner

SMALL = functools.partial(MLPConditioner, width=16)
CASES = (
    Case("planar", lambda: Planar(SMALL), (4,), tolerance=1e-7),
    Case("planar_strong", lambda: Planar(SMALL), (2,), tolerance=1e-7, noise=8.0),
    Case("planar_stack", lambda: Stack([Planar], repeat=4), (3,), tolerance=1e-7, context_size=0),
    Case("radial", lambda: Radial(SMALL), (4,), tolerance=1e-7),
    Case("radial_1", lambda: Radial(SMALL), (1,), tolerance=1e-7, noise=4.0),
)


@pytest.mark.every(4)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_property(check, case):
    check(case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_root_is_found_and_has_the_implicit_gradient(dtype):
    slopes = np.array([-0.999, -0.99, -0.5, 0.0, 1.0, 30.0, 1e4])
    values = np.array([0.0, 1e-6, -1e-3, 0.3, -2.0, 25.0, -9e3, 1e6])
    slope, value = (tf.constant(grid.ravel(), dtype) for grid in np.meshgrid(slopes, values))
    with tf.GradientTape() as tape:
        tape.watch([slope, value])
        alpha = root_of_tanh(slope, value)
    rounding = 4 * np.finfo(dtype).eps * (1 + np.abs(slope) + np.abs(value))
    assert (np.abs(alpha + slope * np.tanh(alpha) - value) <= rounding).all()
    by_slope, by_value = tape.gradient(alpha, [slope, value])
    steepness = 1 + slope * (1 - np.tanh(alpha) ** 2)
    np.testing.assert_allclose(by_value, 1 / steepness, rtol=1e-5)
    np.testing.assert_allclose(by_slope, -np.tanh(alpha) / steepness, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("kind", [Planar, Radial])
def test_any_parameters_are_invertible(kind):
    """The unconstrained parameters may take any value: the map stays increasing along every line through it."""
    with precision("float64"):
        for seed in range(5):
            layer = kind()
            layer.build((2,))
            perturb(layer, noise=20.0, seed=seed)
            z = np.random.default_rng(seed).normal(0, 20, (200, 2))
            x, log_det = layer.bijector().forward_and_log_det(z)
            assert np.isfinite(log_det).all()
            np.testing.assert_allclose(layer.bijector().inverse(tf.identity(x)), z, rtol=1e-6, atol=1e-6)


def test_radial_is_finite_at_its_centre():
    layer = Radial()
    layer.build((3,))
    perturb(layer)
    centre = tf.constant(layer.weights[0].numpy()[None])
    for function in (layer.bijector().forward_and_log_det, layer.bijector().inverse_and_log_det):
        with tf.GradientTape() as tape:
            tape.watch(centre)
            value, log_det = function(centre)
        np.testing.assert_allclose(value, centre, atol=1e-6)
        assert np.isfinite(tape.gradient([value, log_det], centre)).all()


def test_images_are_rejected():
    with pytest.raises(UsageError, match=r"Planar.*\(4, 4, 1\).*vectors"):
        Planar().build((4, 4, 1))
