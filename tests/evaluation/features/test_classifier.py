"""The classifier: accuracy on digits, the same weights again, stacking, the cache, refusals."""

import shutil

import numpy as np
import pytest

from tests.helpers import eagerly
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.data.stacked import StackedSource
from tfade.errors import UsageError
from tfade.evaluation import train_classifier
from tfade.evaluation.features.classifier_network import build_network, random_transforms

pytestmark = pytest.mark.usefixtures("eager")  # tracing takes longer than three steps
SHORT = {"steps": 3, "batch_size": 16}


def whole(source):
    chosen = np.arange(source.spec.num_examples)
    return source.fetch(chosen), source.labels(chosen)


def short(cache_dir=None, **settings):
    lines = []
    made = train_classifier(
        digits("train"), digits("test"), cache_dir=cache_dir, progress=lines.append, **{**SHORT, **settings}
    )
    return made, lines


def test_accuracy_on_digits(classifier):
    images, labels = whole(digits("test"))
    assert classifier.accuracy >= 0.985
    assert classifier.accuracy == np.mean(classifier._grey.modes(images) == labels)


def test_stacked_modes_are_the_sources_labels(classifier, stacked):
    images, labels = whole(stacked[1])
    assert np.mean(classifier.modes(images) == labels) >= 0.95
    assert classifier.num_modes == 1000


def test_stacked_outputs_are_the_channels_side_by_side(classifier, stacked):
    images = stacked[1].fetch(np.arange(20))
    features, probabilities = classifier.outputs(images)
    assert features.shape == (20, 3 * 64)
    assert probabilities.shape == (20, 3, 10)
    for channel in range(3):
        grey_features, grey_probabilities = classifier._grey.outputs(images[..., channel : channel + 1])
        np.testing.assert_allclose(features[:, 64 * channel : 64 * channel + 64], grey_features, atol=1e-4)
        np.testing.assert_allclose(probabilities[:, channel], grey_probabilities, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-9)


def test_batch_size_does_not_matter(classifier, stacked):
    images = stacked[1].fetch(np.arange(50))
    features, probabilities = classifier.outputs(images, 50)
    for batch_size in (1, 7):
        other_features, other_probabilities = classifier.outputs(images, batch_size)
        np.testing.assert_allclose(other_features, features, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(other_probabilities, probabilities, atol=1e-5)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with one cached classifier, trained for 3 steps, and that classifier."""
    folder = tmp_path_factory.mktemp("kept")
    with eagerly():
        return folder, short(folder)[0]


def test_same_inputs_same_weights(kept):
    assert short()[0].fingerprint == kept[1].fingerprint
    assert short(seed=1)[0].fingerprint != kept[1].fingerprint


def test_cache_gives_the_same_classifier_without_training(kept, tmp_path):
    folder, first = kept
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    again, lines = short(tmp_path)
    images, _ = whole(digits("test"))
    assert lines == []
    assert again.record == first.record
    assert again.fingerprint == first.fingerprint
    for one, other in zip(first.outputs(images), again.outputs(images)):
        np.testing.assert_array_equal(one, other)
    short(tmp_path, steps=4)
    assert len(list(tmp_path.iterdir())) == 2


def test_cache_tells_data_apart_by_their_content(kept, tmp_path):
    images, labels = whole(digits("train"))
    shutil.copytree(kept[0], tmp_path, dirs_exist_ok=True)
    changed = ArraySource("digits", "train", 255 - images, labels, 10)
    lines = []
    train_classifier(changed, digits("test"), cache_dir=tmp_path, progress=lines.append, **SHORT)
    assert any("training" in line for line in lines)


@pytest.mark.every(2)
@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "other weights"])
def test_damaged_cache_is_reported_and_rebuilt(kept, tmp_path, damage):
    folder, first = kept
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        place = 2 * len(content) // 3  # inside the largest array of weights
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    elif damage == "foreign":
        np.savez(path, record=np.array("{}"))
    else:
        with np.load(path) as file:
            np.savez(path, **{name: file[name] if name == "record" else file[name] * 2 for name in file.files})
    with pytest.warns(UserWarning, match="damaged"):
        again, _ = short(tmp_path)
    assert again.fingerprint == first.fingerprint
    assert short(tmp_path)[1] == []


@pytest.mark.every(2)
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (64, 64, 3), (17, 40, 1), (8, 8, 3)])
def test_other_sizes_and_colours(shape):
    generator = np.random.default_rng(0)
    labels = np.arange(24) % 3
    images = generator.integers(0, 256, (24, *shape)).astype(np.uint8)
    source = ArraySource("noise", "train", images, labels, 3)
    made = train_classifier(source, source, steps=1, batch_size=100)
    assert [part.shape for part in made.outputs(images)] == [(24, 64), (24, 3)]
    sides = [
        max(layer.output.shape[1:3]) for layer in build_network(shape, 3, 0).layers[1:] if len(layer.output.shape) == 4
    ]
    assert max(sides) <= 32


def test_augmentation_is_mild_and_centred():
    transforms = random_transforms(np.random.default_rng(0), 1000, 16, 16)
    centre = np.array([7.5, 7.5, 1.0])
    moved = np.stack([transforms[:, :3] @ centre, transforms[:, 3:6] @ centre], axis=-1)
    assert np.abs(moved - 7.5).max() <= 1.6 + 1e-5
    assert np.linalg.det(transforms[:, [0, 1, 3, 4]].reshape(-1, 2, 2)).min() > 0.75


def test_refuses_data(stacked):
    train, test = digits("train"), digits("test")
    images, labels = whole(test)
    for bad, message in (
        (ArraySource("d", "train", images), "no classes"),
        (ArraySource("d", "train", images, labels * 0, 1), "1 classes"),
        (ArraySource("d", "train", images[:, :8], labels, 10), "two splits of one data set"),
        (ArraySource("d", "train", np.zeros((5, 2), np.float32), np.zeros(5, int), 2), "uint8 images"),
        (StackedSource("s", train, 5), "two splits of one data set"),
        (ArraySource("d", "train", images[:0], labels[:0], 10), "empty"),
    ):
        with pytest.raises(UsageError, match=message):
            train_classifier(bad, test, **SHORT)
    with pytest.raises(UsageError, match="steps=0"):
        train_classifier(train, test, steps=0)


def test_warns_of_a_class_without_examples():
    images, labels = whole(digits("train"))
    with pytest.warns(UserWarning, match=r"no example of the classes \[9\]"):
        train_classifier(
            ArraySource("digits", "train", images[labels < 9], labels[labels < 9], 10), digits("test"), **SHORT
        )


def test_refuses_images(classifier):
    for images, message in (
        (np.zeros((2, 16, 16, 3), np.float32), "uint8"),
        (np.zeros((2, 3, 16, 16), np.uint8), "NCHW"),
        (np.zeros((16, 16, 3), np.uint8), r"\[N, H, W, C\]"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"\[16, 16, 3\]"),
        (np.zeros((2, 16, 16, 1), np.uint8), r"\[16, 16, 3\]"),
    ):
        with pytest.raises(UsageError, match=message):
            classifier.outputs(images)
