import io

import numpy as np
from PIL import Image

from tfade import pictures


def test_a_grid_shows_every_image_in_its_place():
    images = np.zeros((3, 300, 300, 3), np.uint8)
    for index in range(3):
        images[index] = 50 * (index + 1)
    picture = pictures.grid(images, columns=2)
    gap = pictures.GAP
    assert picture.shape == (2 * 300 + 3 * gap, 2 * 300 + 3 * gap, 3)
    assert [picture[gap, gap, 0], picture[gap, 2 * gap + 300, 0], picture[2 * gap + 300, gap, 0]] == [50, 100, 150]
    assert picture[-1, -1, 0] == picture[0, 0, 0] == 255  # the missing fourth, and the gaps


def test_stacked_images_show_their_channels():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), np.uint8)
    shown = pictures.with_channels(images)
    assert shown.shape == (2, 4, 4 * 4 + 3, 3)
    np.testing.assert_array_equal(shown[:, :, :4], images)
    for channel in range(3):
        start = (channel + 1) * 5
        for copy in range(3):
            np.testing.assert_array_equal(shown[:, :, start : start + 4, copy], images[..., channel])


def test_small_grids_are_magnified_by_whole_factors():
    images = np.random.default_rng(0).random((4, 8, 8, 1))
    picture = pictures.magnified(pictures.grid(images))
    assert min(picture.shape[:2]) > pictures.SHORTEST_SIDE / 2
    factor = picture.shape[0] // (2 * 8 + 3 * pictures.GAP)
    np.testing.assert_array_equal(picture[::factor, ::factor].repeat(factor, 0).repeat(factor, 1), picture)
    np.testing.assert_array_equal(
        picture[pictures.GAP * factor, pictures.GAP * factor, 0], round(images[0, 0, 0, 0] * 255)
    )


def test_reconstructions_stand_below_their_originals():
    originals, copies = np.full((3, 4, 4, 1), 10, np.uint8), np.full((3, 4, 4, 1), 200, np.uint8)
    picture = pictures.before_and_after(originals, copies, columns=2)
    rows = [picture[pictures.GAP + row * (4 + pictures.GAP), pictures.GAP, 0] for row in range(4)]
    assert rows == [10, 200, 10, 200]


def test_a_png_holds_the_pixels(tmp_path):
    picture = pictures.grid(np.random.default_rng(0).random((4, 8, 8, 3)))
    pictures.save(tmp_path / "new" / "a.png", picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), picture)
    assert Image.open(io.BytesIO(pictures.png(picture[..., :1]))).mode == "L"


def test_vectors_are_scattered_on_common_axes():
    points = np.random.default_rng(0).normal(size=(50, 3))
    picture = pictures.scatter(samples=points, data=10 * points)
    assert picture.dtype == np.uint8
    assert picture.shape == (480, 960, 3)
    left, right = picture[:, 60:470], picture[:, 490:]
    assert (left < 200).sum() != (right < 200).sum()
    assert pictures.scatter(samples=points[:, :1]).shape == (480, 480, 3)
