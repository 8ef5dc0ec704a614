"""Metrics of translations: the exact translation is perfect, wrong ones are found out, others are not applicable."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from tfade.contract import Contract
from tfade.data import load
from tfade.data.painted import paint
from tfade.data.source import ArraySource
from tfade.errors import UsageError
from tfade.evaluation import Subject, evaluate, frechet_distance, select
from tfade.evaluation.translating import exact_translation
from tfade.questions import unanswered

NAMES = "translated_labels,cycle_error,translation_frechet_distance"
GREY, PAINTED = "first_half:digits", "painted:second_half:digits"


class Exact(Contract):
    """Paints, and finds the scan that a painted image was made of."""

    def __init__(self):
        scans = np.concatenate([load("digits", split).fetch(slice(None)) for split in ("train", "test")])
        self._scans = {image.tobytes(): scan for image, scan in zip(paint(scans), scans)}

    def translate(self, x):
        return (paint(levels(x)) / 255).astype(np.float32)

    def translate_back(self, y):
        return np.stack([self._scans[image.tobytes()] for image in levels(y)]).astype(np.float32) / 255


class Changed(Exact):
    """Changes what the exact translator paints, and undoes it or not."""

    def __init__(self, change, undo=lambda images: images):
        super().__init__()
        self._change, self._undo = change, undo

    def translate(self, x):
        return self._change(super().translate(x))

    def translate_back(self, y):
        return super().translate_back(self._undo(y))


class Centroids:
    """A classifier by the nearest mean of a class, with means over 4×4 blocks as features."""

    def __init__(self, train):
        images, labels = train.fetch(slice(None)), train.labels(slice(None))
        self.num_modes = train.spec.num_classes
        self.means = np.stack([images[labels == label].mean(0) for label in range(self.num_modes)])
        self.protocol = {"extractor": f"centroids of {train.spec.name}"}

    def modes(self, images, batch_size=500):
        return np.square(images[:, None] - self.means).sum((2, 3, 4)).argmin(1)

    def outputs(self, images, batch_size=500):
        return images.reshape(len(images), 4, 4, 4, 4, -1).mean((2, 4)).reshape(len(images), -1)[:, ::2], None


def levels(x) -> np.ndarray:
    x = np.asarray(x)
    return x if x.dtype == np.uint8 else np.rint(255 * x).astype(np.uint8)


def side(model, name: str, **more) -> Subject:
    subject = Subject(model, load(name, "test"), load(name), progress=lambda line: None, **more)
    subject.__dict__["classifier"] = Centroids(subject.train)  # it costs no training
    return subject


def subject_of(model, **settings) -> Subject:
    return side(model, GREY, other=side(model, PAINTED, **settings), **settings)


@pytest.fixture(scope="module")
def exact():
    subject = subject_of(Exact())
    report = evaluate(subject, select(NAMES))
    assert not report.failures
    return subject, report.results


def test_the_exact_translation(exact):
    """There and back nothing is lost; the classifiers are as right about translations as about images of their domain."""
    subject, results = exact
    for name in ("cycle_error", "cycle_error_back", "translation_error", "translation_error_back"):
        assert results[name].value < 1e-6, name
    for suffix, source, target in (("", subject, subject.other), ("_back", subject.other, subject)):
        share = results[f"translated_labels{suffix}"]
        assert share.protocol["num_real"] == source.real.spec.num_examples
        assert share.protocol["data"] == source.real.spec.name
        assert share.protocol["translated_to"] == target.real.spec.name
        assert share.protocol["extractor"] == f"centroids of {target.real.spec.name}"
        images, labels = target.real.fetch(slice(None)), target.real.labels(slice(None))
        assert share.real.value == np.mean(target.classifier.modes(images) == labels) > 0.8
        assert abs(share.value - share.real.value) < 0.08
        distance = results[f"translation_frechet_distance{suffix}"]
        # Of two halves of the scans; as far apart as test and training images are.
        assert 0 < distance.value < 3 * distance.real.value


def test_the_share_and_the_distance_by_hand(exact):
    subject, results = exact
    translations, other = paint(subject.real.fetch(slice(None))), subject.other
    right = other.classifier.modes(translations) == subject.real.labels(slice(None))
    assert results["translated_labels"].value == right.mean()
    features = [other.classifier.outputs(images)[0] for images in (other.real.fetch(slice(None)), translations)]
    by_hand = frechet_distance(real=features[0], fake=features[1])
    np.testing.assert_allclose(results["translation_frechet_distance"].value, by_hand.value, rtol=1e-6)


def test_wrong_translations_are_found_out(exact):
    """Painted images of the batch's neighbours, and negatives."""
    _, results = exact
    neighbours = evaluate(subject_of(Changed(lambda images: np.roll(images, 1, 0))), select(NAMES)).results
    assert neighbours["translated_labels"].value < 0.25
    assert neighbours["translated_labels_back"].value == results["translated_labels_back"].value
    assert neighbours["cycle_error"].value > 0.1
    assert neighbours["translation_error"].value > 0.1
    np.testing.assert_allclose(
        neighbours["translation_frechet_distance"].value, results["translation_frechet_distance"].value, rtol=1e-6
    )
    there_and_back = Changed(lambda images: 1 - images, lambda y: 1 - y if np.mean(y) < 0.5 else y)
    negatives = evaluate(subject_of(there_and_back), select("translation_frechet_distance")).results
    distances = [each["translation_frechet_distance"].value for each in (negatives, results)]
    assert distances[0] > 10 * distances[1]


def test_as_many_images_as_samples_are_wanted():
    results = evaluate(subject_of(Exact(), num_samples=50, batch_size=16), select("cycle_error")).results
    assert results["cycle_error"].protocol["num_real"] == results["cycle_error_back"].protocol["num_real"] == 50


def test_the_exact_translation_is_known_of_painted_images_only():
    grey, painted = load(GREY, "test"), load(PAINTED, "test")
    assert exact_translation(grey, grey) is None
    assert exact_translation(load(GREY, "test", pad=1), painted) is None
    chosen = np.array([4, 9])
    np.testing.assert_array_equal(
        exact_translation(grey, painted)(chosen, grey.fetch(chosen)), paint(grey.fetch(chosen))
    )
    back = exact_translation(painted, grey)(chosen, painted.fetch(chosen))
    np.testing.assert_array_equal(back, load("second_half:digits", "test").fetch(chosen))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * np.nan, "translations holds"),
        (lambda x: x[..., :1], r"translations are images of shape \[16, 16, 1\]; these data have shape \[16, 16, 3\]"),
        (lambda x: 2 * x - 1, "translations lies in"),
    ],
)
def test_translations_are_checked(change, message):
    with pytest.raises(UsageError, match=message):
        _ = subject_of(Changed(change)).translations


def test_pictures_of_both_cycles():
    """A dozen images, their translations and these translated back, three rows each; one without the second domain."""
    whole, half = (
        evaluate(subject, select("pictures")).outcomes[0] for subject in (subject_of(Exact()), side(Exact(), GREY))
    )
    assert [figure.name for figure in whole.figures] == ["cycle", "cycle_back"]
    assert [figure.name for figure in half.figures] == ["cycle"]
    assert whole.figures[0].png == half.figures[0].png
    for figure, name in zip(whole.figures, (GREY, PAINTED)):
        assert f"12 images of the test split of {name}" in figure.caption
        source = load(name, "test")
        chosen = source.fetch(np.linspace(0, source.spec.num_examples - 1, 12).astype(int))
        picture = np.asarray(Image.open(io.BytesIO(figure.png)))
        factor = picture.shape[0] // (3 * (16 + 4))
        small = picture[::factor, ::factor]
        assert small.shape == (3 * 20, 12 * 18 + 2, 3)
        for row in (0, 2):  # the exact translation brings back what it was given
            shown = small[20 * row + 2 : 20 * row + 18, 2:18]
            np.testing.assert_array_equal(shown, np.broadcast_to(chosen[0], (16, 16, 3)))


def test_what_does_not_apply():
    class OneWay(Exact):
        translate_back = unanswered("it forgets")(Contract.translate_back)

    alone = side(Exact(), GREY)
    unlabelled = dataclasses.replace(side(Exact(), PAINTED), real=bare("test"), train=bare("train"))
    cases = {
        "does not translate between two domains": subject_of(OneWay()),
        "the data of its second domain are not given": alone,
        "the domains have 10 and no classes": dataclasses.replace(alone, other=unlabelled),
    }
    for reason, subject in cases.items():
        assert reason in evaluate(subject, select("translated_labels")).outcomes[0].not_applicable


def bare(split: str) -> ArraySource:
    return ArraySource("bare", split, load(PAINTED, split).fetch(slice(None)))
