"""Images of any origin as uint8 levels: what is taken, and what is refused."""

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation import as_levels

LEVELS = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3)).astype(np.uint8)
LEVELS[0, 0, 0] = 255  # the largest level is among them
UNIT = LEVELS.astype(np.float32) / 255


def test_levels_stay_and_floats_are_rounded_back():
    np.testing.assert_array_equal(as_levels(LEVELS), LEVELS)
    np.testing.assert_array_equal(as_levels(LEVELS, value_range=(0, 255)), LEVELS)
    np.testing.assert_array_equal(as_levels(UNIT, value_range=(0, 1)), LEVELS)
    np.testing.assert_array_equal(as_levels(2 * UNIT - 1, value_range=(-1, 1)), LEVELS)
    np.testing.assert_array_equal(as_levels(LEVELS.astype(np.float64), value_range=(0.0, 255.0)), LEVELS)
    assert as_levels(np.full((1, 2, 2, 1), 0.499 / 255), value_range=(0, 1)).max() == 0
    assert as_levels(np.full((1, 2, 2, 1), 0.501 / 255), value_range=(0, 1)).min() == 1
    assert as_levels(np.full((1, 2, 2, 1), 1 + 1e-6, np.float32), value_range=(0, 1)).max() == 255


@pytest.mark.parametrize(
    ("images", "value_range", "message"),
    [
        (UNIT, None, r"images has dtype float32 and value_range=None; give their range"),
        (UNIT, (0, 2), r"value_range=\(0, 2\); give their range"),
        (UNIT * 255, (0, 1), r"images lies in \[.*\], outside value_range=\(0, 1\)"),
        (UNIT - 0.5, (0, 1), r"outside value_range=\(0, 1\)"),
        (UNIT * 3 - 1, (-1, 1), r"outside value_range=\(-1, 1\)"),
        (UNIT * 300, (0, 255), r"outside value_range=\(0, 255\)"),
        (UNIT, (0, 255), r"stays under 1.5 \(its largest value is 1\)"),
        (UNIT * 1.49, (0, 255), "stays under 1.5"),
        (np.where(UNIT > 0.9, np.nan, UNIT), (0, 1), "images holds .* NaN or infinite"),
        (np.where(UNIT > 0.9, np.inf, UNIT), (0, 1), "images holds .* NaN or infinite"),
        (LEVELS.astype(np.int64), None, "images has dtype int64"),
        (LEVELS, (0, 1), "does not suit uint8"),
        (LEVELS[0], None, r"give \[N, H, W, C\]"),
        (LEVELS[..., :2], None, "1 or 3 channels"),
        (LEVELS.transpose(0, 3, 1, 2), None, "looks like NCHW"),
        (UNIT.transpose(0, 3, 1, 2), (0, 1), "looks like NCHW"),
        (LEVELS[:0], None, "no image"),
    ],
)
def test_refusals(images, value_range, message):
    with pytest.raises(UsageError, match=message):
        as_levels(images, value_range=value_range)


def test_errors_name_the_argument():
    with pytest.raises(UsageError, match="fake has dtype"):
        as_levels(UNIT, name="fake")


def test_dark_images_that_do_exceed_it_are_taken():
    assert as_levels(UNIT * 1.6, value_range=(0, 255)).max() == 2


def test_bytes_that_were_cast_from_the_unit_interval_are_refused():
    """All-black images are images."""
    images = np.zeros((2, 12, 12, 1), np.uint8)
    assert as_levels(images).max() == 0
    images[0, 0, 0] = 1
    with pytest.raises(UsageError, match="no value above 1 of 255"):
        as_levels(images)
