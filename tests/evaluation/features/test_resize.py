"""The three resizes against closed forms, TensorFlow 1's operation, plain NumPy and PIL."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfade.errors import UsageError
from tfade.evaluation.features.resize import CLEAN, LEGACY_PYTORCH, LEGACY_TENSORFLOW, RESIZES, resized

NOISE = np.random.default_rng(0).integers(0, 256, (2, 32, 24, 3)).astype(np.uint8)


def row(values, size, mode):
    """A row of grey levels at another length."""
    return resized(np.array(values, np.float32)[None, None, :, None], (1, size), mode).numpy()[0, 0, :, 0]


def test_two_pixels_become_four():
    """At i/2 for TensorFlow 1, whose last pixel is repeated; at (i + ½)/2 − ½ for PyTorch."""
    np.testing.assert_allclose(row([0, 100], 4, LEGACY_TENSORFLOW), [0, 50, 100, 100])
    np.testing.assert_allclose(row([0, 100], 4, LEGACY_PYTORCH), [0, 25, 75, 100])


def test_four_pixels_become_two():
    """Without antialiasing: TensorFlow 1 takes every second pixel, PyTorch means of pairs."""
    np.testing.assert_allclose(row([10, 20, 40, 80], 2, LEGACY_TENSORFLOW), [10, 40])
    np.testing.assert_allclose(row([10, 20, 40, 80], 2, LEGACY_PYTORCH), [15, 60])
    np.testing.assert_allclose(row([7] * 9, 4, CLEAN), 7, rtol=1e-5)


@pytest.mark.parametrize("size", [(299, 299), (16, 50)])
def test_legacy_tensorflow_is_the_old_operation(size):
    expected = tf.compat.v1.image.resize_bilinear(NOISE, size, align_corners=False, half_pixel_centers=False)
    np.testing.assert_allclose(resized(NOISE, size, LEGACY_TENSORFLOW), expected, rtol=1e-6)


@pytest.mark.parametrize("size", [(299, 299), (16, 50)])
def test_legacy_pytorch_is_bilinear_at_half_pixels(size):
    expected = NOISE.astype(np.float64)
    for axis, new in ((1, size[0]), (2, size[1])):
        old = expected.shape[axis]
        places = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        below = np.minimum(np.floor(places).astype(int), old - 2)
        part = (places - below).reshape([-1 if i == axis else 1 for i in range(4)])
        expected = np.take(expected, below, axis) * (1 - part) + np.take(expected, below + 1, axis) * part
    np.testing.assert_allclose(resized(NOISE, size, LEGACY_PYTORCH), expected, atol=1e-3)


@pytest.mark.parametrize("size", [(299, 299), (16, 50), (11, 9)])
def test_clean_is_pils_bicubic_clipped(size):
    planes = [Image.fromarray(plane.astype(np.float32)) for image in NOISE for plane in image.transpose(2, 0, 1)]
    made = [np.asarray(plane.resize(size[::-1], Image.Resampling.BICUBIC)) for plane in planes]
    expected = np.stack(made).reshape(2, 3, *size).transpose(0, 2, 3, 1)
    if size[0] > 32:
        assert expected.min() < -20
        assert expected.max() > 275
    np.testing.assert_allclose(resized(NOISE, size, CLEAN), np.clip(expected, 0, 255), atol=3e-3)


def test_modes_differ_and_the_same_size_is_left_alone():
    made = [resized(NOISE, (299, 299), mode).numpy() for mode in RESIZES]
    assert np.abs(made[0] - made[1]).mean() > 20
    assert np.abs(made[1] - made[2]).mean() > 5
    for mode in RESIZES:
        same = resized(NOISE, (32, 24), mode)
        assert same.dtype == tf.float32
        np.testing.assert_allclose(same, NOISE, atol=1e-4)


def test_refuses_other_modes():
    with pytest.raises(UsageError, match="mode='nearest' is not one of legacy_tensorflow, legacy_pytorch, clean"):
        resized(NOISE, (8, 8), "nearest")
