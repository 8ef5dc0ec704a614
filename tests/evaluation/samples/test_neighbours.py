"""Nearest neighbours against hand cases and SciPy, whatever the blocks and however many points are equal."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tfade.errors import UsageError
from tfade.evaluation import nearest_neighbours
from tfade.evaluation.samples import distances


def test_hand_case():
    found = nearest_neighbours(real=[[0, 0], [3, 4]], fake=[[0, 0], [3, 0]], k=2)
    np.testing.assert_array_equal(found.indices, [[0, 1], [0, 1]])
    np.testing.assert_allclose(found.distances, [[0, 5], [3, 4]], rtol=1e-12)
    assert found.value == 1.5
    np.testing.assert_allclose(found.std, np.std([0, 3], ddof=1) / np.sqrt(2))


def test_pixels_are_on_the_unit_scale():
    black, white = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 255, np.uint8)
    found = nearest_neighbours(real=black, fake=white)
    np.testing.assert_allclose(found.value, np.sqrt(48), rtol=1e-12)
    assert found.std is None
    assert found.protocol["space"] == "pixels in [0, 1]"


def test_pixels_agree_with_features():
    generator = np.random.default_rng(0)
    real, fake = (generator.integers(0, 256, size=(n, 6, 6, 1)).astype(np.uint8) for n in (50, 20))
    pixels = nearest_neighbours(real=real, fake=fake, k=3)
    features = nearest_neighbours(real=real.reshape(50, -1) / 255, fake=fake.reshape(20, -1) / 255, k=3)
    np.testing.assert_array_equal(pixels.indices, features.indices)
    np.testing.assert_allclose(pixels.distances, features.distances, rtol=1e-12)


@pytest.fixture(scope="module")
def sets():
    generator = np.random.default_rng(1)
    return generator.normal(5, 1, size=(230, 7)), generator.normal(5, 1, size=(90, 7))


@pytest.mark.parametrize("k", [1, 4, 230])
@pytest.mark.parametrize("blocks", [(1024, 4096), (16, 10), (7, 3), (1, 1)])
def test_against_scipy(sets, k, blocks):
    real, fake = sets
    if min(blocks) == 1:
        real, fake, k = real[:30], fake[:5], min(k, 30)
    squared, indices = distances.nearest(fake, real, k, rows=blocks[0], columns=blocks[1])
    expected = cdist(fake, real)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :k])
    np.testing.assert_allclose(np.sqrt(squared), np.sort(expected, axis=1)[:, :k], rtol=1e-12)


@pytest.mark.parametrize("blocks", [(1024, 4096), (16, 10), (10, 2)])
def test_a_point_is_not_its_own_neighbour(sets, blocks):
    squared, indices = distances.nearest(sets[1], k=3, rows=blocks[0], columns=blocks[1])
    expected = cdist(sets[1], sets[1]) + np.diag(np.full(90, np.inf))
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :3])
    np.testing.assert_allclose(np.sqrt(squared), np.sort(expected, axis=1)[:, :3], rtol=1e-12)


@pytest.mark.parametrize("blocks", [(1024, 4096), (16, 10), (5, 3)])
def test_equal_points_are_at_distance_zero_in_their_order(sets, blocks):
    real = np.concatenate([sets[0][:20], np.repeat(sets[0][5:6], 30, axis=0), sets[0][20:40]])
    fake = np.repeat(sets[0][5:6], 12, axis=0)
    squared, indices = distances.nearest(fake, real, 4, rows=blocks[0], columns=blocks[1])
    assert (squared == 0).all()
    np.testing.assert_array_equal(indices, np.tile([5, 20, 21, 22], (12, 1)))


def test_near_points_far_from_the_origin():
    """‖x‖² + ‖y‖² − 2x·y of points near 1e8 has an error of about 2; their distances here are about 1e-3."""
    generator = np.random.default_rng(2)
    real, fake = (1e8 + generator.integers(-60000, 60000, size=(n, 3)) / 2**24 for n in (40, 15))
    found = nearest_neighbours(real=real, fake=fake, k=2)
    expected = cdist(fake, real)
    np.testing.assert_array_equal(found.indices, np.argsort(expected, axis=1)[:, :2])
    np.testing.assert_allclose(found.distances, np.sort(expected, axis=1)[:, :2], rtol=1e-12)


def test_an_outlier_does_not_blur_the_others():
    """A point at 1e9 moves the origin and the error bound of every product in its block."""
    generator = np.random.default_rng(3)
    real, fake = np.append(generator.normal(size=(60, 3)), [[1e9] * 3], axis=0), generator.normal(size=(15, 3))
    found = nearest_neighbours(real=real, fake=fake, k=3)
    expected = cdist(fake, real)
    np.testing.assert_array_equal(found.indices, np.argsort(expected, axis=1)[:, :3])
    np.testing.assert_allclose(found.distances, np.sort(expected, axis=1)[:, :3], rtol=1e-12)


def test_blocks_bound_memory(sets):
    for block in distances.distance_blocks(*sets, rows=50, columns=40):
        assert block.approximate.shape <= (50, 40)
        exact = cdist(sets[0], sets[1], "sqeuclidean")[block.rows, block.columns]
        assert (np.abs(block.approximate - exact) <= block.tolerance).all()
        assert block.tolerance.max() < 1e-11


def test_json_and_renaming_keep_what_they_should(sets):
    found = nearest_neighbours(real=sets[0], fake=sets[1], k=2)
    assert set(found.to_json()) == {"name", "value", "std", "protocol", "diagnostics", "real"}
    assert found.protocol["k"] == 2
    assert found.renamed("other").indices is found.indices
    assert found.with_protocol(split="test").distances.shape == (90, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 5}, "at least k=5 real examples"),
        ({"fake": np.zeros((3, 5))}, "fake has 5 features and real has 2"),
        ({"fake": np.zeros(3)}, r"fake has shape \[3\]"),
        ({"fake": np.full((3, 2), np.nan)}, "fake holds 6 NaN"),
        ({"fake": np.zeros((3, 8, 8, 1), np.uint8)}, "real has dtype float64; give uint8 images"),
        ({"real": np.zeros((3, 8, 8, 1), np.uint8)}, "fake has dtype float64; give uint8 images"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(UsageError, match=message):
        nearest_neighbours(**{"real": np.zeros((4, 2)), "fake": np.zeros((3, 2)), **changes})


@pytest.mark.parametrize(
    ("fake", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), r"fake are images of shape \[8, 8, 3\]"),
        (np.zeros((2, 1, 8, 8), np.uint8), "NCHW"),
        (np.zeros((0, 8, 8, 1), np.uint8), "fake has 0 examples"),
        (np.zeros((2, 8, 8, 1)), "float64; give uint8"),
    ],
)
def test_refuses_images(fake, message):
    with pytest.raises(UsageError, match=message):
        nearest_neighbours(real=np.zeros((4, 8, 8, 1), np.uint8), fake=fake)
