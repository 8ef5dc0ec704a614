"""GAN-train and GAN-test of samples whose accuracies are known; what is refused."""

import numpy as np
import pytest

from tfade.contract import Contract
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.errors import UsageError
from tfade.evaluation import Subject, classification_scores, evaluate, select
from tfade.evaluation.samples import classification

DARK, BRIGHT = 40, 200


def squares(count, seed=0, num_classes=2):
    """8×8 images of one brightness a class, with noise, and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % num_classes
    levels = np.linspace(DARK, BRIGHT, num_classes)[labels]
    return (levels[:, None, None, None] + random.integers(-20, 20, (count, 8, 8, 1))).astype(np.uint8), labels


def scores(fake, fake_labels, num_classes=2, **settings):
    (real, real_labels), (test, test_labels) = squares(200, 1, num_classes), squares(101, 2, num_classes)
    results = classification_scores(
        real=real,
        real_labels=real_labels,
        fake=fake,
        fake_labels=fake_labels,
        test=test,
        test_labels=test_labels,
        num_classes=num_classes,
        **settings,
    )
    return {result.name: result for result in results}


def test_a_quarter_of_wrong_labels(quick):
    """Samples of the wrong class lower GAN-test by their share; a classifier shrugs them off, so GAN-train stays."""
    images, labels = squares(160)
    wrong = np.where(np.arange(160) % 8 < 2, 1 - labels, labels)
    found = scores(images / np.float32(255), wrong, value_range=(0, 1))
    assert list(found) == ["gan_train", "gan_test"]
    assert found["gan_test"].value == 0.75
    np.testing.assert_allclose(found["gan_test"].std, np.sqrt(0.75 * 0.25 / 160))
    assert found["gan_train"].value > 0.95
    assert (found["gan_train"].real.value, found["gan_train"].real.std) == (1, 0)
    protocol = found["gan_train"].protocol
    wanted = {"num_real": 200, "num_fake": 160, "num_test": 101, "num_classes": 2, "classifier_steps": 400}
    assert wanted.items() <= protocol.items()
    assert (protocol["classifier_of"], found["gan_test"].protocol["classifier_of"]) == ("fake", "real")


def test_swapped_labels_teach_the_opposite(quick):
    images, labels = squares(160)
    found = scores(images, 1 - labels)
    assert [result.value for result in found.values()] == [0, 0]
    assert found["gan_train"].real.value == 1


@pytest.mark.full("classifiers are trained; the others here have a stand-in")
def test_a_class_without_samples_lowers_gan_train_only():
    images, labels = squares(240, num_classes=3)
    kept = labels != 1
    with pytest.warns(UserWarning, match=r"'fake' has no example of the classes \[1\]"):
        found = scores(images[kept], labels[kept], num_classes=3, steps=40, batch_size=32)
    np.testing.assert_allclose(found["gan_train"].value, 67 / 101, atol=0.02)  # 34 of the 101 are of class 1
    assert found["gan_test"].value > 0.95


def test_refusals():
    images, labels = squares(20)
    for fake, fake_labels, settings, message in (
        (images, labels + 1, {}, r"fake_labels lies in \[1, 2\]; give integers from 0 to 1"),
        (images, labels - 1, {}, "fake_labels lies in"),
        (images, labels[:-1], {}, "fake_labels has 19 labels for 20 images"),
        (images, labels / 1.0, {}, "fake_labels has dtype float64"),
        (images[:, :4], labels, {}, r"fake has images of shape \[4, 8, 1\] and real of \[8, 8, 1\]"),
        (images / 255, labels, {}, "fake has dtype float64 and value_range=None"),
        (images.transpose(0, 3, 1, 2), labels, {}, "NCHW"),
        (images, labels, {"num_classes": 1}, "num_classes=1 is below 2"),
        (images, labels, {"steps": 0}, "steps=0"),
    ):
        with pytest.raises(UsageError, match=message):
            scores(fake, fake_labels, **settings)


class NearestMean:
    """A classifier by brightness in the place of a trained one, which takes seconds."""

    def __init__(self, train, test, *, progress, **settings):
        assert settings == {"steps": 400, "batch_size": 64, "learning_rate": 3e-3, "seed": 0}
        images, labels = whole(train)
        self.means = np.array([images[labels == label].mean() for label in range(train.spec.num_classes)])
        images, labels = whole(test)
        self.accuracy = float((self.modes(images) == labels).mean())

    def modes(self, images):
        return np.abs(images.mean((1, 2)) - self.means).argmin(axis=1)


def whole(source):
    chosen = np.arange(source.spec.num_examples)
    return source.fetch(chosen), source.labels(chosen)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(classification, "train_classifier", NearestMean)


class Conditional(Contract):
    """Draws training images of the wanted classes."""

    conditional = True

    def __init__(self, source):
        self.source = source

    def sample(self, n, temperature=1.0, seed=None, labels=None):
        count = self.source.spec.num_examples
        known, random = self.source.labels(np.arange(count)), np.random.default_rng(seed)
        chosen = [random.choice(np.flatnonzero(known == label)) for label in labels]
        return self.source.fetch(np.array(chosen)).astype(np.float32) / 255


class Unconditional(Conditional):
    conditional = False


def test_metric_of_a_conditional_model(quick):
    train, test = (ArraySource("squares", split, *squares(200, seed), 2) for split, seed in (("train", 1), ("test", 2)))
    subject = Subject(Conditional(train), test, train, num_samples=90, batch_size=40, progress=lambda line: None)
    results = evaluate(subject, select("classification_scores")).results
    assert [result.value for result in results.values()] == [1, 1]
    protocol = results["gan_test"].protocol
    assert {"data": "squares", "num_fake": 90, "num_real": 200, "seed": 0}.items() <= protocol.items()


def test_metric_says_why_it_does_not_apply(stacked):
    plain = Subject(Unconditional(None), digits("test"), digits("train"), progress=lambda line: None)
    unlabelled = ArraySource("squares", "train", squares(20)[0])
    for subject, reason in (
        (plain, "Unconditional is not conditional"),
        (Subject(Conditional(stacked[0]), stacked[1], stacked[0], progress=lambda line: None), "stacked classes"),
        (Subject(Conditional(unlabelled), unlabelled, unlabelled, progress=lambda line: None), "has no labels"),
    ):
        outcome = evaluate(subject, select("classification_scores")).outcomes[0]
        assert reason in outcome.not_applicable
    assert "classification_scores" not in [metric.name for metric in select()]
