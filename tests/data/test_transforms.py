"""Preprocessing: the crops of the papers, antialiasing, margins, channels."""

import numpy as np
import pytest

from tfade.data.transforms import Transform
from tfade.errors import UsageError


@pytest.fixture
def face():
    """Random pixels of CelebA's size."""
    return np.random.default_rng(0).integers(0, 256, (218, 178, 3), np.uint8)


@pytest.mark.parametrize(("crop", "top", "left"), [(160, 29, 9), (140, 39, 19), (128, 45, 25)])
def test_celeb_a_crops(face, crop, top, left):
    np.testing.assert_array_equal(Transform(crop=crop)(face), face[top : top + crop, left : left + crop])
    assert Transform(crop=crop, image_size=64)(face).shape == (64, 64, 3)


def test_an_image_without_options_is_untouched(face):
    assert Transform().is_identity
    np.testing.assert_array_equal(Transform()(face), face)
    square = face[:64, :64]
    np.testing.assert_array_equal(Transform(image_size=64)(square), square)


def test_a_rectangle_loses_its_sides_not_its_proportions(face):
    np.testing.assert_array_equal(Transform(image_size=178)(face), face[20:198])
    assert Transform(pad=1)(face).shape == (220, 180, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_shrinking_is_antialiased(channels):
    """Every second column white: a filter that widens gives grey, one that does not gives stripes or a flat extreme."""
    stripes = np.zeros((64, 64, channels), np.uint8)
    stripes[:, ::2] = 255
    small = Transform(image_size=16)(stripes)
    assert small.shape == (16, 16, channels)
    assert small.dtype == np.uint8
    assert (abs(small[:, 2:-2].astype(int) - 127.5) < 8).all()


def test_resizing_keeps_flat_colours_and_does_not_wrap():
    flat = np.full((50, 50, 3), (255, 0, 17), np.uint8)
    assert (Transform(image_size=23)(flat) == (255, 0, 17)).all()
    edge = np.zeros((40, 40, 1), np.uint8)
    edge[:, 20:] = 255  # bicubic overshoots here, beyond 255 and below 0
    small = Transform(image_size=20)(edge)[10, :, 0]
    assert small[0] == small[8] == 0
    assert small[-1] == small[11] == 255


def test_an_odd_remainder_is_cut_at_the_end(face):
    np.testing.assert_array_equal(Transform(crop=31)(face), face[93:124, 73:104])


def test_padding():
    digit = np.full((28, 28, 1), 9, np.uint8)
    padded = Transform(pad=2)(digit)
    assert padded.shape == (32, 32, 1)
    assert padded.sum() == digit.sum()
    np.testing.assert_array_equal(padded[2:30, 2:30], digit)


def test_channels():
    colour = np.zeros((2, 2, 3), np.uint8)
    colour[0, 0], colour[1, 1] = (255, 0, 0), (10, 10, 10)
    grey = Transform(channels=1)(colour)
    assert grey[..., 0].tolist() == [[76, 0], [0, 10]]  # 0.299 · 255
    np.testing.assert_array_equal(Transform(channels=3)(grey), np.repeat(grey, 3, -1))


@pytest.mark.parametrize(
    "options", [{"crop": 0}, {"crop": 2.5}, {"image_size": -1}, {"pad": -1}, {"channels": 2}, {"image_size": "64"}]
)
def test_impossible_options_are_named(options):
    (name, value), *_ = options.items()
    with pytest.raises(UsageError, match=f"{name}={value!r}"):
        Transform(**options)


def test_images_that_do_not_fit_are_refused(face):
    with pytest.raises(UsageError, match=r"218×178 pixels are smaller than crop=200; give a crop of at most 178"):
        Transform(crop=200)(face)
    with pytest.raises(UsageError, match="neither grey"):
        Transform()(face[..., :2])


def test_block_means_come_last():
    """MNIST at 16×16: a margin of 2, then means over 2×2, rounded."""
    digit = np.arange(28 * 28, dtype=np.int64).reshape(28, 28, 1) % 256
    small = Transform(pad=2, average=2)(digit.astype(np.uint8))
    assert small.shape == (16, 16, 1)
    assert small.dtype == np.uint8
    assert small[0].max() == 0
    assert small[1, 1, 0] == np.rint((digit[0, 0] + digit[0, 1] + digit[1, 0] + digit[1, 1]) / 4)


def test_blocks_have_to_fit(face):
    with pytest.raises(UsageError, match="average=0"):
        Transform(average=0)
    with pytest.raises(UsageError, match="218×178 pixels with pad=0 cannot be divided into blocks of average=4"):
        Transform(average=4)(face)
    assert Transform(image_size=64, average=4)(face).shape == (16, 16, 3)
