"""Stacked digits: labels name what is in the channels, and splits share no pixels."""

import numpy as np
import pytest

from tfade.data import load
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.data.stacked import StackedSource
from tfade.errors import UsageError


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_labels_match_the_channels(split):
    """Every channel is, pixel for pixel, a grey scan of its split, and its class is the label's digit."""
    source = load("color_digits", split)
    grey = source.stacked
    everything = np.arange(grey.spec.num_examples)
    classes = {}
    for scan, label in zip(grey.fetch(everything), grey.labels(everything)):
        classes.setdefault(scan.tobytes(), set()).add(int(label))
    chosen = np.arange(0, source.spec.num_examples, 7)
    for image, label in zip(source.fetch(chosen), source.labels(chosen)):
        for channel, digit in enumerate((label // 100, label // 10 % 10, label % 10)):
            assert digit in classes[image[..., channel].tobytes()]


def test_no_test_scan_is_in_train():
    """scikit-learn's set holds a few identical scans; besides them the splits share no pixels."""
    scans = {split: {scan.tobytes() for scan in digits(split).fetch(slice(None))} for split in ("train", "test")}
    source = load("color_digits", "train")
    channels = np.moveaxis(source.fetch(np.arange(5_000)), -1, 1).reshape(-1, 16, 16, 1)
    drawn = {channel.tobytes() for channel in channels}
    assert drawn == scans["train"]
    assert not drawn & scans["test"]


def test_modes_and_counts():
    source = load("color_digits")
    assert source.spec.num_examples == 60_000
    assert (source.spec.shape, source.spec.num_classes) == ((16, 16, 3), 1000)
    labels = source.labels(np.arange(60_000))
    assert len(np.unique(labels)) == 1000
    # Channels are drawn independently: pairs of digits are as frequent as the product of their shares.
    digit = np.stack([labels // 100, labels // 10 % 10, labels % 10])
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(digit[a], digit[b])[0, 1]) < 4 / np.sqrt(60_000)


def test_an_example_does_not_depend_on_its_company():
    source = load("color_digits", "validation", stacked_examples=(10, 50, 10))
    assert source.spec.num_examples == 50
    indices = np.array([3, 41, 3])
    np.testing.assert_array_equal(source.fetch(indices), source.fetch(np.arange(50))[indices])


def test_unlabelled_grey_sets_can_be_stacked():
    grey = ArraySource("grey", "train", np.zeros((5, 4, 4, 1), np.uint8))
    source = StackedSource("stacked:grey", grey, 9)
    assert source.spec.num_classes is None
    with pytest.raises(UsageError, match="no labels"):
        source.labels(np.arange(2))


def test_only_grey_images_are_stacked():
    for name in ("stacked:toy:ring", "stacked:color_digits", "stacked:stacked:digits"):
        with pytest.raises(UsageError):
            load(name)
    with pytest.raises(UsageError, match="only grey images can be stacked"):
        load("stacked:digits", channels=3)
