"""Data sets made of others: halves that share nothing, painted images whose truth is known, and their names."""

import numpy as np
import pytest

from tfade.data import load
from tfade.data.derived import split_prefixes
from tfade.data.halves import HALVES, HalfSource
from tfade.data.painted import GROUND, INK, paint
from tfade.data.source import ArraySource
from tfade.errors import UsageError

SPLITS = ("train", "validation", "test")


def everything(source):
    chosen = np.arange(source.spec.num_examples)
    return source.fetch(chosen), source.labels(chosen)


@pytest.mark.parametrize("split", SPLITS)
def test_halves_divide_a_split(split):
    """Every example with its label is in one of them, and both have the same number of each class, or one more."""
    halves, (images, labels) = (
        [everything(load(f"{half}:digits", split)) for half in HALVES],
        everything(load("digits", split)),
    )
    both = sorted((image.tobytes(), label) for half in halves for image, label in zip(*half))
    assert both == sorted((image.tobytes(), label) for image, label in zip(images, labels))
    first, second = (np.bincount(half_labels, minlength=10) for _, half_labels in halves)
    assert set(first - second) <= {0, 1}


def test_halves_of_all_splits_share_no_scan():
    """Not even one of those few that scikit-learn's set holds twice."""
    scans = [
        {image.tobytes() for split in SPLITS for image in load(f"{half}:digits", split).fetch(slice(None))}
        for half in HALVES
    ]
    assert not scans[0] & scans[1]


def test_halves_of_data_without_labels_alternate():
    numbered = ArraySource("numbered", "train", np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1))
    first, second = (HalfSource(half, numbered, half).fetch(np.array([0, 1]))[:, 0, 0, 0] for half in HALVES)
    assert (first.tolist(), second.tolist()) == ([0, 2], [1, 3])
    with pytest.raises(UsageError, match="half='third' is not one of first_half, second_half"):
        HalfSource("x", numbered, "third")
    one = ArraySource("one", "test", np.zeros((1, 2, 3, 1), np.uint8))
    with pytest.raises(UsageError, match="data='x': the test split of 'one' is too small to halve"):
        HalfSource("x", one, "second_half")


def test_paint_by_hand():
    """A bright pixel and those below and right of it become ink, those of one a fifth as bright a fifth of it."""
    grey = np.zeros((1, 5, 7, 1), np.uint8)
    grey[0, 2, 2, 0], grey[0, 1, 5, 0] = 255, 51
    painted = paint(grey)[0]
    full = [(2, 2), (3, 2), (2, 3)]
    fifth = [(1, 5), (2, 5), (1, 6)]
    expected = np.full((5, 7, 3), GROUND)
    expected[tuple(zip(*full))] = INK
    expected[tuple(zip(*fifth))] = np.rint(np.array(GROUND) + (np.array(INK) - GROUND) / 5)
    np.testing.assert_array_equal(painted, expected)


@pytest.mark.parametrize("name", ["painted:second_half:digits", "second_half:painted:digits"])
def test_painted_images_are_those_of_their_originals(name):
    source, plain = load(name, "test"), load("second_half:digits", "test")
    assert (source.spec.name, source.spec.shape, source.stacked) == (name, (16, 16, 3), None)
    chosen = np.array([3, 100, 3])
    np.testing.assert_array_equal(source.original.fetch(chosen), plain.fetch(chosen))
    np.testing.assert_array_equal(source.fetch(chosen), paint(plain.fetch(chosen)))
    np.testing.assert_array_equal(source.labels(chosen), plain.labels(chosen))
    assert plain.original is None
    assert load("painted:digits", pad=1).spec.preprocessing == "black margin of 1, inverted, coloured and thickened"


def test_half_of_stacked_data_is_stacked():
    half, whole = (load(name, stacked_examples=(6, 6, 6)) for name in ("first_half:color_digits", "color_digits"))
    assert half.spec.stacked
    assert half.stacked is not None
    assert {image.tobytes() for image in half.fetch(np.arange(half.spec.num_examples))} <= {
        image.tobytes() for image in whole.fetch(np.arange(6))
    }


def test_names():
    assert split_prefixes("painted:first_half:tfds:mnist") == (["painted", "first_half"], "tfds:mnist")
    assert split_prefixes("digits") == ([], "digits")
    assert load("color_digits").spec.name == "color_digits"
    for name in ("painted:color_digits", "painted:painted:digits", "painted:toy:ring"):
        with pytest.raises(UsageError, match=f"data='{name}': only grey images can be painted"):
            load(name)
    for name in ("first_half:", "painted:first_half:digts"):
        with pytest.raises(UsageError, match="is unknown.*possible are .*painted:NAME, first_half:NAME"):
            load(name)
