"""Stacked digits, and a classifier of them that is trained once for all tests here."""

import pytest

from tfade.data.digits import digits
from tfade.data.stacked import StackedSource
from tfade.evaluation import Subject, train_classifier


@pytest.fixture(scope="session")
def stacked():
    """(train, test) of stacked digits."""
    return tuple(StackedSource("color_digits", digits(split), 4000) for split in ("train", "test"))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="session")
def classifier(stacked, cache_dir):
    """The default classifier of stacked digits, as the suite makes it."""
    return train_classifier(*stacked, cache_dir=cache_dir)


@pytest.fixture
def subject_of(stacked, classifier, cache_dir):
    """Makes a subject of a model, over stacked digits and with the trained classifier."""
    train, test = stacked

    def make(model, **settings):
        settings = {"num_samples": 2000, "cache_dir": cache_dir, "progress": lambda line: None, **settings}
        return Subject(model, real=test, train=train, **settings)

    return make
