"""NumPy files: which are accepted, and how the others are rejected."""

import io
import pickle
import zipfile

import numpy as np
import pytest

import tfade.data.npy
from tests.data.stored import LABELS, PIXELS, everything, npy, npz
from tfade.data import load
from tfade.errors import UsageError


@pytest.mark.parametrize("compressed", [False, True])
def test_images_and_labels(tmp_path, compressed):
    name = npz(tmp_path, compressed, images=PIXELS, labels=LABELS)
    validates, tests = np.arange(50) % 10 == 4, np.arange(50) % 10 == 9
    for split, chosen in {"train": ~validates & ~tests, "validation": validates, "test": tests}.items():
        source = load(name, split)
        np.testing.assert_array_equal(everything(source), PIXELS[chosen])
        np.testing.assert_array_equal(source.labels(np.arange(chosen.sum())), LABELS[chosen])
        assert source.spec.num_classes == 4
        assert source.spec.name == name


def test_keras_style_keys(tmp_path):
    name = npz(tmp_path, x_train=PIXELS[:40], y_train=LABELS[:40, None], x_test=PIXELS[40:], y_test=LABELS[40:, None])
    np.testing.assert_array_equal(everything(load(name, "test")), PIXELS[40:])
    assert load(name, "test").labels(np.arange(10)).tolist() == LABELS[40:].tolist()
    assert load(name).spec.num_examples == 36
    assert load(name, carve=None).spec.num_examples == 40
    name = npz(tmp_path, x_train=PIXELS[:40], x_val=PIXELS[40:45], x_test=PIXELS[45:])
    np.testing.assert_array_equal(everything(load(name, "validation")), PIXELS[40:45])
    assert load(name).spec.num_examples == 40


def test_small_blocks_give_the_same(tmp_path, monkeypatch):
    name = npz(tmp_path, images=PIXELS, labels=LABELS)
    whole = load(name, "train")
    monkeypatch.setattr(tfade.data.npy, "BLOCK_BYTES", 7 * PIXELS[0].size)
    pieces = load(name, "train")
    np.testing.assert_array_equal(everything(whole), everything(pieces))
    np.testing.assert_array_equal(whole.labels(np.arange(40)), pieces.labels(np.arange(40)))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_floats_are_rounded_to_levels(tmp_path, dtype):
    source = load(npy(tmp_path, (PIXELS / 255).astype(dtype)), carve=None)
    np.testing.assert_array_equal(everything(source), PIXELS)
    assert source.spec.dtype == "uint8"


def test_one_array_grey_without_axis_and_fortran_order(tmp_path):
    grey = PIXELS[..., 0]
    np.testing.assert_array_equal(everything(load(npy(tmp_path, grey), carve=None)), grey[..., None])
    np.testing.assert_array_equal(everything(load(npz(tmp_path, whatever=grey), carve=None)), grey[..., None])
    np.testing.assert_array_equal(everything(load(npy(tmp_path, np.asfortranarray(PIXELS)), carve=None)), PIXELS)


def test_preprocessing(tmp_path):
    assert load(npy(tmp_path, PIXELS), image_size=4, pad=1, channels=1).spec.shape == (6, 6, 1)


def test_values_out_of_range_are_counted_and_placed(tmp_path):
    values = (PIXELS / 255).astype(np.float32)
    values[3, 2, 1, 0], values[7, 0, 0, 2], values[8, 0, 0, 0], values[9, 0, 0, 0] = np.nan, np.inf, -0.25, 1.5
    with pytest.raises(UsageError, match=r"4 values outside of .* the first nan at \(3, 2, 1, 0\)"):
        load(npy(tmp_path, values))
    with pytest.raises(
        UsageError, match=r"save images.astype\(np.uint8\) if they are 0 to 255, and \(images \+ 1\) / 2"
    ):
        load(npy(tmp_path, PIXELS.astype(np.float32)))


def test_bad_values_are_placed_over_block_borders(tmp_path, monkeypatch):
    monkeypatch.setattr(tfade.data.npy, "BLOCK_BYTES", 7 * PIXELS[0].size * 4)
    values = (PIXELS / 255).astype(np.float32)
    values[44, 1, 2, 1] = values[45] = 2
    with pytest.raises(UsageError, match=r"91 values .* the first 2.0 at \(44, 1, 2, 1\)"):
        load(npy(tmp_path, values))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (PIXELS[..., None] / 255, r"shape \(50, 6, 5, 3, 1\); images are \[N, H, W\] or .*, and vectors are \[N, D\]"),
        (
            PIXELS.reshape(50, -1),
            r"dtype uint8 and shape \(50, 90\); vectors .*\(save x.astype\(np.float32\)\).* flattened",
        ),
        (PIXELS.reshape(50, -1) > 3, r"dtype bool and shape \(50, 90\); vectors .* are floating"),
        (np.moveaxis(PIXELS, -1, 1), r"looks like \[N, C, H, W\]; save np.moveaxis\(images, 1, -1\)"),
        (PIXELS[..., :2], "last axis has to be 1 .grey. or 3"),
        (PIXELS.astype(np.int64), "dtype int64; images are uint8, or floating point"),
        (PIXELS > 3, r"dtype bool; .* save images.astype\(np.uint8\) \* 255"),
        (PIXELS.astype(np.uint16), r"dtype uint16; .* or \(images / largest\).astype\(np.float32\)"),
        (PIXELS[:0], "which is empty"),
        (PIXELS[0, 0, 0, 0], "images are"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, message):
    with pytest.raises(UsageError, match=message):
        load(npy(tmp_path, array))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:40], r"shape \(40,\) for 50 examples"),
        (np.eye(4)[LABELS], "save labels.argmax"),
        (LABELS - 1, "labels from -1 to 2; they count from 0: save np.unique"),
        (LABELS * 200_000_000, "labels up to 600000000, but 4 different ones; save np.unique"),
        (LABELS * 400, "labels up to 1200, but 4 different ones; save np.unique"),
        (LABELS.astype(np.float32), "labels are integers"),
    ],
)
def test_other_labels_are_refused(tmp_path, labels, message):
    with pytest.raises(UsageError, match=message):
        load(npz(tmp_path, images=PIXELS, labels=labels))


def test_unknown_keys_are_listed(tmp_path):
    with pytest.raises(UsageError, match="holds the arrays A, b; call them images and labels"):
        load(npz(tmp_path, A=PIXELS, b=LABELS))
    with pytest.raises(UsageError, match="not for test"):
        load(npz(tmp_path, x_train=PIXELS, y_train=LABELS, x_test=PIXELS))


class Exploding:
    """Unpickling it fails the test."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_nothing_is_unpickled(tmp_path):
    bomb = np.empty(3, object)
    bomb[:] = [Exploding()] * 3
    for name in (npy(tmp_path, bomb), npz(tmp_path, images=bomb), npz(tmp_path, images=PIXELS, labels=bomb)):
        with pytest.raises(UsageError, match="is pickled"):
            load(name)
    path = tmp_path / "file.npy"
    path.write_bytes(pickle.dumps(Exploding()))
    with pytest.raises(UsageError, match="not a NumPy file"):
        load(f"npy:{path}")


def test_declared_size_is_limited_before_decompression(tmp_path):
    """A zip bomb: 3 TB of zeros according to the header; a real 100 MB one that zips to 100 kB."""
    header = io.BytesIO()
    declared = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 1000, 1000, 3)}
    np.lib.format.write_array_header_1_0(header, declared)
    path = tmp_path / "file.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue())
    with pytest.raises(UsageError, match="declares 3000000000000 bytes, above max_bytes=4294967296"):
        load(f"npz:{path}")
    name = npz(tmp_path, True, images=PIXELS)
    with pytest.raises(UsageError, match=r"declares 4500 bytes, above max_bytes=4499; raise load.max_bytes"):
        load(name, max_bytes=4499)
    assert load(name, max_bytes=4500).spec.num_examples == 40


def test_more_data_than_declared_is_refused(tmp_path):
    member = io.BytesIO()
    np.save(member, PIXELS)
    path = tmp_path / "file.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", member.getvalue() + bytes(10))
    with pytest.raises(UsageError, match="more bytes than its header declares"):
        load(f"npz:{path}")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("keep", [0, 3, 0.3, 0.9])
def test_truncated_archives_are_refused(tmp_path, compressed, keep):
    path = tmp_path / "file.npz"
    npz(tmp_path, compressed, images=PIXELS)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    with pytest.raises(UsageError, match="damaged or not a NumPy file"):
        load(f"npz:{path}")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_flipped_byte_in_an_archive_is_found(tmp_path, compressed):
    path = tmp_path / "file.npz"
    npz(tmp_path, compressed, images=PIXELS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UsageError, match="damaged"):
        load(f"npz:{path}")


@pytest.mark.parametrize("keep", [0, 40, 3000])
def test_truncated_npy(tmp_path, keep):
    path = tmp_path / "file.npy"
    np.save(path, PIXELS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UsageError, match="damaged or not a NumPy file"):
        load(f"npy:{path}")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        load(f"npz:{tmp_path}/nothing.npz")
    with pytest.raises(UsageError, match="damaged or not a NumPy file"):
        load(f"npz:{tmp_path}")


@pytest.mark.parametrize(
    "test", [PIXELS[:, :5], PIXELS[..., 0], PIXELS[:, 0, :, 0] / 255], ids=["size", "channels", "vectors"]
)
def test_splits_of_different_shapes_are_refused(tmp_path, test):
    with pytest.raises(UsageError, match=r"splits of different shapes: train \(50, 6, 5, 3\), test \(50, "):
        load(npz(tmp_path, x_train=PIXELS, x_test=test))


def test_splits_that_preprocessing_makes_alike_are_taken(tmp_path):
    name = npz(tmp_path, x_train=PIXELS, x_test=PIXELS[:, :4, :, 0])
    assert load(name, "test", image_size=4, channels=1).spec.shape == (4, 4, 1)
    with pytest.raises(UsageError, match="splits of different shapes"):
        load(name, image_size=4)
    grey = npz(tmp_path, x_train=PIXELS[..., :1], x_test=PIXELS[..., 0])
    assert load(grey, "test").spec.shape == (6, 5, 1)
