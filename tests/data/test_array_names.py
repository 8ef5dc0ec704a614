"""Names of arrays in a file, ranges of their values, and remedies that work."""

import numpy as np
import pytest

from tests.data.stored import LABELS, PIXELS, everything, npy, npz
from tfade.data import load
from tfade.errors import UsageError


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images", "labels"), ("X", "y"), ("x", "y"), ("arr_0", "arr_1"), ("x_train", "y_train"), ("X_train", "Y_train")],
)
def test_usual_names_of_images_and_labels(tmp_path, images, labels):
    source = load(npz(tmp_path, **{images: PIXELS, labels: LABELS}), carve=None)
    np.testing.assert_array_equal(everything(source), PIXELS)
    np.testing.assert_array_equal(source.labels(np.arange(50)), LABELS)


def test_medmnist_style_keys(tmp_path):
    parts = {"train": slice(40), "val": slice(40, 45), "test": slice(45, 50)}
    stored = {f"{split}_images": PIXELS[part] for split, part in parts.items()}
    stored |= {f"{split}_labels": LABELS[part, None] for split, part in parts.items()}
    name = npz(tmp_path, **stored)
    for split, part in {"train": parts["train"], "validation": parts["val"], "test": parts["test"]}.items():
        np.testing.assert_array_equal(everything(load(name, split)), PIXELS[part])
        np.testing.assert_array_equal(load(name, split).labels(np.arange(5)), LABELS[part][:5])
    with pytest.raises(UsageError, match="has both x_train and train_images; keep one"):
        load(npz(tmp_path, x_train=PIXELS, train_images=PIXELS))


def test_arrays_that_are_not_used_do_not_matter(tmp_path, capsys):
    """Neither pickled nor large ones; but a note names them, in case that one holds the labels."""
    names = np.array(["a", None] * 25, object)
    name = npz(tmp_path, images=PIXELS, names=names, label=np.zeros(10**5))
    source = load(name, carve=None, max_bytes=PIXELS.nbytes)
    np.testing.assert_array_equal(everything(source), PIXELS)
    load(name, "test")
    assert capsys.readouterr().err.count("the arrays label, names are not read") == 1


def test_rounding_beyond_1_is_1(tmp_path):
    values = (PIXELS / 255).astype(np.float32)
    values[0], values[1] = np.nextafter(np.float32(1), np.float32(2)), -1e-7
    images = everything(load(npy(tmp_path, values), carve=None))
    assert (images[0] == 255).all()
    assert (images[1] == 0).all()
    np.testing.assert_array_equal(images[2:], PIXELS[2:])


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_masks_and_images_divided_twice_are_refused(tmp_path, dtype):
    mask = (PIXELS > 128).astype(dtype) / (1 if dtype == np.uint8 else 255)
    with pytest.raises(UsageError, match="has no value above 1 of 255: a mask, .* multiply by 255"):
        load(npy(tmp_path, mask.astype(dtype)))


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (PIXELS > 128, lambda x: x.astype(np.uint8) * 255),
        ((PIXELS > 128).astype(np.uint8), lambda x: x * 255),
        (PIXELS.astype(np.int64), lambda x: x.astype(np.uint8)),
        (PIXELS.astype(np.float32), lambda x: x.astype(np.uint8)),
        (PIXELS / 127.5 - 1, lambda x: (x + 1) / 2),
        (PIXELS.astype(np.uint16) * 257, lambda x: (x / 65535).astype(np.float32)),
        (np.moveaxis(PIXELS, -1, 1), lambda x: np.moveaxis(x, 1, -1)),
    ],
)
def test_a_remedy_works_when_it_is_followed(tmp_path, wrong, remedy):
    with pytest.raises(UsageError):
        load(npy(tmp_path, wrong), carve=None)
    images = everything(load(npy(tmp_path, remedy(wrong)), carve=None))
    expected = 255 * (PIXELS > 128) if wrong.max() == 1 and wrong.min() == 0 else PIXELS
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (1000 * (LABELS + 7), lambda y: np.unique(y, return_inverse=True)[1]),
        (np.eye(4)[LABELS], lambda y: y.argmax(-1)),
        (LABELS.astype(np.float32), lambda y: y.astype(np.int64)),
    ],
)
def test_remedies_of_labels_work(tmp_path, wrong, remedy):
    with pytest.raises(UsageError):
        load(npz(tmp_path, images=PIXELS, labels=wrong))
    source = load(npz(tmp_path, images=PIXELS, labels=remedy(wrong)), carve=None)
    assert source.labels(np.arange(50)).tolist() == LABELS.tolist()
    assert source.spec.num_classes == 4


def test_an_empty_array_with_labels_is_refused(tmp_path):
    with pytest.raises(UsageError, match="which is empty"):
        load(npz(tmp_path, images=PIXELS[:0], labels=LABELS[:0]))
