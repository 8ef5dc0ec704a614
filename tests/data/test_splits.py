"""Every stored example belongs to exactly one split."""

import itertools

import numpy as np
import pytest

from tfade.data.source import SPLITS
from tfade.data.splits import plan
from tfade.errors import UsageError

STORED = [("train",), ("train", "test"), ("train", "validation"), SPLITS]


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("carve", [3, 6, 10])
@pytest.mark.parametrize("count", [60, 101])
def test_splits_are_disjoint_and_complete(stored, carve, count):
    parts = [plan("set", split, {role: f"the {role}" for role in stored}, carve) for split in SPLITS]
    for name in {f"the {role}" for role in stored}:
        positions = np.arange(count)
        chosen = [part.chosen(positions) for part in parts if part.stored == name]
        np.testing.assert_array_equal(np.sum(chosen, axis=0), 1)
        stretches = sorted(part.bounds(count) for part in parts if part.stored == name)
        assert stretches[0][0] == 0
        assert stretches[-1][1] == count
        assert all(left[1] == right[0] and left[0] < left[1] for left, right in itertools.pairwise(stretches))


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (("train",), {"train": "train", "validation": "train", "test": "train"}),
        (("train", "test"), {"train": "train", "validation": "train", "test": "test"}),
        (("train", "validation"), {"train": "train", "validation": "train", "test": "validation"}),
        (SPLITS, {split: split for split in SPLITS}),
    ],
)
def test_native_splits_come_first(stored, expected):
    found = {split: plan("set", split, {role: role for role in stored}, 10).stored for split in SPLITS}
    assert found == expected


def test_sizes():
    sizes = {split: plan("set", split, {"train": "train"}, 10) for split in SPLITS}
    assert {split: part.bounds(60_000) for split, part in sizes.items()} == {
        "train": (0, 48_000),
        "validation": (48_000, 54_000),
        "test": (54_000, 60_000),
    }
    assert plan("mnist", "train", {"train": "train", "test": "test"}, 6).bounds(60_000) == (0, 50_000)
    assert {split: int(part.chosen(np.arange(1000)).sum()) for split, part in sizes.items()} == {
        "train": 800,
        "validation": 100,
        "test": 100,
    }


def test_without_carving_train_is_whole():
    part = plan("set", "train", {"train": "train", "test": "test"}, None)
    assert part.bounds(7) == (0, 7)
    assert part.chosen(np.arange(7)).all()
    with pytest.raises(UsageError, match="no validation split of its own and load.carve is None; set load.carve = 10"):
        plan("set", "validation", {"train": "train", "test": "test"}, None)


def test_errors():
    with pytest.raises(UsageError, match="carve=2"):
        plan("set", "train", {"train": "train"}, 2)
    with pytest.raises(UsageError, match="no train split, only test"):
        plan("set", "train", {"test": "test"}, 10)
    assert plan("set", "test", {"test": "test"}, 10).stored == "test"
