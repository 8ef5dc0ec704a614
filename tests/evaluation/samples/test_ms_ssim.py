"""MS-SSIM diversity against closed forms of flat images and TensorFlow's own MS-SSIM."""

import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.evaluation import ms_ssim_diversity
from tfade.evaluation.samples.ms_ssim import WEIGHTS

C1 = (0.01 * 255) ** 2


def flat(*levels, side=32, channels=1):
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), side, side, channels))


def textured(count, side, channels=3):
    generator = np.random.default_rng(side)
    noise = generator.integers(0, 64, size=(count, side, side, channels))
    slope = np.arange(side)[:, None, None] * generator.uniform(0, 2, size=(count, 1, 1, 1))
    return np.minimum(noise + slope + generator.integers(0, 60, size=(count, 1, 1, channels)), 255).astype(np.uint8)


@pytest.mark.parametrize(("side", "scales"), [(16, 2), (32, 2), (64, 3), (176, 5)])
def test_flat_images(side, scales):
    """Without texture cs = 1, and the last scale's luminance remains: ((2ab + c₁)/(a² + b² + c₁))^w."""
    luminance = (2 * 50 * 200 + C1) / (50**2 + 200**2 + C1)
    expected = 1 - luminance ** (WEIGHTS[scales - 1] / sum(WEIGHTS[:scales]))
    found = ms_ssim_diversity(images=flat(50, 200, side=side))
    np.testing.assert_allclose(found.value, expected, rtol=1e-9)
    assert found.protocol["scales"] == scales


def test_flat_images_of_one_scale_and_several_pairs():
    pairs = [(10, 20), (10, 90), (20, 90)]
    expected = np.mean([1 - (2 * a * b + C1) / (a * a + b * b + C1) for a, b in pairs])
    found = ms_ssim_diversity(images=flat(10, 20, 90), scales=1)
    np.testing.assert_allclose(found.value, expected, rtol=1e-9)
    assert found.protocol["pairs"] == 3


def test_repeated_image_and_noise():
    image = textured(1, 28)
    assert ms_ssim_diversity(images=np.repeat(image, 5, axis=0)).value < 1e-12
    noise = np.random.default_rng(0).integers(0, 256, size=(8, 64, 64, 1)).astype(np.uint8)
    assert ms_ssim_diversity(images=noise).value > 0.95


@pytest.mark.parametrize(
    ("side", "scales", "filter_size"), [(64, 3, 11), (51, 3, 11), (32, 2, 11), (32, 3, 7), (28, 2, 11), (16, 2, 7)]
)
def test_against_tensorflow(side, scales, filter_size):
    images = textured(6, side)
    found = ms_ssim_diversity(images=images, scales=scales, filter_size=filter_size)
    first, second = np.triu_indices(6, 1)
    weights = tuple(float(weight) for weight in np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales]))
    similar = tf.image.ssim_multiscale(
        images[first], images[second], 255, power_factors=weights, filter_size=filter_size
    )
    np.testing.assert_allclose(found.value, 1 - similar.numpy().mean(dtype=np.float64), atol=1e-4)


@pytest.mark.parametrize(
    ("side", "settings", "scales", "filter_size"),
    [
        (10, {}, 2, 5),
        (16, {}, 2, 7),
        (21, {}, 2, 11),
        (28, {}, 2, 11),
        (32, {}, 2, 11),
        (32, {"filter_size": 7}, 3, 7),
        (32, {"scales": 3}, 3, 7),
        (32, {"scales": 1}, 1, 11),
        (64, {}, 3, 11),
        (8, {"scales": 1}, 1, 7),
    ],
)
def test_what_sides_allow(side, settings, scales, filter_size):
    protocol = ms_ssim_diversity(images=flat(1, 2, side=side), **settings).protocol
    assert (protocol["scales"], protocol["filter_size"]) == (scales, filter_size)
    np.testing.assert_allclose(sum(protocol["weights"]), 1, atol=1e-5)
    assert len(protocol["weights"]) == scales


def test_batches_use_every_image_once():
    images = textured(130, 16, 1)
    protocol = ms_ssim_diversity(images=images).protocol
    assert (protocol["batches"], protocol["num_compared"]) == (3, 130)
    assert protocol["pairs"] == 44 * 43 / 2 + 2 * (43 * 42 / 2)
    fewer = ms_ssim_diversity(images=images, batches=1)
    assert (fewer.protocol["num_compared"], fewer.std) == (64, None)
    whole = ms_ssim_diversity(images=images, batch_size=130)
    np.testing.assert_allclose(ms_ssim_diversity(images=images[::-1], batch_size=130).value, whole.value, rtol=1e-12)
    assert abs(whole.value - ms_ssim_diversity(images=images, batches=None).value) < 0.01


def test_a_remainder_of_one_image_joins_the_others():
    protocol = ms_ssim_diversity(images=textured(5, 16, 1), batch_size=2).protocol
    assert (protocol["batches"], protocol["num_compared"], protocol["pairs"]) == (2, 5, 3 + 1)


def test_seed():
    images = textured(130, 16, 1)
    first = ms_ssim_diversity(images=images, batches=1, seed=1)
    assert first == ms_ssim_diversity(images=images, batches=1, seed=1)
    assert first.value != ms_ssim_diversity(images=images, batches=1, seed=2).value


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        (flat(1, 2, side=9), {}, "side of 9 pixels; two scales need at least 10"),
        (flat(1, 2, side=32), {"scales": 5}, None),  # halves to 2: no window of 3
        (flat(1, 2, side=32), {"scales": 3, "filter_size": 11}, "filter_size=11 does not fit 3 scale"),
        (flat(1, 2, side=32), {"filter_size": 33}, "filter_size=33 does not fit"),
        (flat(1, 2), {"filter_size": 8}, "filter_size=8 is even"),
        (flat(1, 2), {"scales": 6}, "scales=6"),
        (flat(1, 2), {"scales": 0}, "scales=0"),
        (flat(1, 2), {"batch_size": 1}, "batch_size=1"),
        (flat(1, 2), {"batches": 0}, "batches=0"),
        (flat(1, 2), {"seed": -1}, "seed=-1"),
        (flat(1), {}, r"images has 1 image\(s\)"),
        (flat(1, 2)[..., 0], {}, r"\[2, 32, 32\]"),
        (flat(1, 2, channels=4), {}, "1 or 3 channels"),
        (np.zeros((2, 3, 32, 32), np.uint8), {}, "NCHW"),
        (flat(1, 2) / 255, {}, "float64; give uint8"),
        (flat(1, 2).astype(np.float32), {}, "float32; give uint8"),
    ],
)
def test_refusals(images, settings, message):
    with pytest.raises(UsageError, match=message or "side of 32 pixels"):
        ms_ssim_diversity(images=images, **settings)
