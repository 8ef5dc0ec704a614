"""Parts of the pictures of codes by hand: nearest images, the plane, grids."""

import io

import numpy as np
import pytest
from PIL import Image

from tfade.errors import UsageError
from tfade.evaluation import (
    Figure,
)
from tfade.evaluation.latents import latent_map, low_posterior


def test_the_nearest_image_by_hand():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, size=(50, 3, 3, 1), dtype=np.uint8)
    queries = np.clip(images[[7, 0, 49]].astype(int) + 1, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(low_posterior.nearest_images(queries=queries, images=images), [7, 0, 49])
    distances = ((queries[:, None].astype(float) - images[::-1]) ** 2).sum((2, 3, 4))
    found = low_posterior.nearest_images(queries=queries, images=images[::-1])
    np.testing.assert_array_equal(found, distances.argmin(1))
    with pytest.raises(UsageError, match="queries have shape"):
        low_posterior.nearest_images(queries=queries, images=images[:, :2])


def test_the_plane():
    generator = np.random.default_rng(0)
    flat = generator.normal(size=(9, 2))
    np.testing.assert_array_equal(latent_map.planar(codes=flat), flat)
    np.testing.assert_array_equal(latent_map.planar(codes=flat[:, :1]), flat * [1, 0])
    clusters = np.repeat(50.0 * np.eye(2, 8), 15, axis=0) + generator.normal(size=(30, 8))
    points = latent_map.planar(codes=clusters, perplexity=5.0)
    centres = points.reshape(2, 15, 2).mean(1)
    nearest = ((points[:, None] - centres) ** 2).sum(-1).argmin(1)
    np.testing.assert_array_equal(nearest, np.repeat([0, 1], 15))
    np.testing.assert_array_equal(latent_map.planar(codes=clusters, perplexity=5.0), points)
    with pytest.raises(UsageError, match="perplexity=30.0 of 20 codes"):
        latent_map.planar(codes=clusters[:20])


def test_the_grids_stand_side_by_side():
    images = [np.full((4, 8, 8, 1), level, np.uint8) for level in (40, 120, 200)]
    figure = low_posterior.low_posterior_figure(*images)
    assert isinstance(figure, Figure)
    row = np.asarray(Image.open(io.BytesIO(figure.png)).convert("L"))
    row = row[len(row) // 4]
    order = [level for level in row[np.insert(np.diff(row.astype(int)) != 0, 0, True)] if level != 255]
    assert order == [40, 40, 120, 120, 200, 200]
