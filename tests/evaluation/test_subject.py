"""What is evaluated: which real images, and how many."""

import numpy as np
import pytest

from tests.evaluation.replay import Replay
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.errors import UsageError
from tfade.evaluation import (
    NearestNeighbours,
    Subject,
)


def test_real_images_of_sorted_data_are_drawn_from_everywhere():
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    source = ArraySource("sorted", "test", images)
    subject = Subject(None, real=source, train=source, num_samples=40, progress=lambda line: None)
    chosen = subject.real_images.ravel()
    assert len(set(chosen.tolist())) == 40
    assert chosen.max() > 80
    assert len(Subject(None, real=source, train=source, num_samples=400).real_images) == 100


def test_neighbours_of_sorted_data_are_sought_for_images_from_everywhere():
    images = np.arange(100, dtype=np.uint8).reshape(100, 1, 1, 1)
    real, black = ArraySource("sorted", "test", images), ArraySource("black", "train", np.zeros_like(images))
    subject = Subject(Replay(real), real=real, train=black, num_samples=100, progress=lambda line: None)
    result, _ = NearestNeighbours(num_samples=25)(subject)
    assert 35 < 255 * result.real.value < 65  # the first 25 are 12 on average
    assert 35 < 255 * result.value < 65


def test_subject_refuses_sizes_that_make_no_sense(stacked):
    train, test = stacked
    with pytest.raises(UsageError, match="num_samples=1"):
        Subject(Replay(test), real=test, train=train, num_samples=1)
    with pytest.raises(UsageError, match=r"\[16, 16, 3\] and train of \[16, 16, 1\]"):
        Subject(Replay(test), real=test, train=digits("train"))
