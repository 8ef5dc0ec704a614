"""NumPy files: which are accepted, and how the others are rejected."""

import io
import pickle
import zipfile

import numpy as np
import pytest

import tfade.data.npy
from tfade.data import load
from tfade.errors import UsageError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (50, 6, 5, 3), np.uint8)
LABELS = np.arange(50) % 4


def everything(source):
    return source.fetch(np.arange(source.spec.num_examples))


def npz(tmp_path, compressed=False, **arrays):
    path = tmp_path / "file.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return f"npz:{path}"


def npy(tmp_path, array):
    np.save(tmp_path / "file.npy", array)
    return f"npy:{tmp_path}/file.npy"


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


# ---- Vectors ----

VECTORS = RNG.normal(0, 100, (50, 7))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_vectors_and_labels(tmp_path, dtype):
    vectors = VECTORS.astype(dtype)
    name = npz(tmp_path, x_train=vectors, y_train=LABELS)
    for split, chosen in {"train": ~np.isin(np.arange(50) % 10, (4, 9)), "test": np.arange(50) % 10 == 9}.items():
        source = load(name, split)
        np.testing.assert_array_equal(everything(source), vectors[chosen].astype(np.float32))
        np.testing.assert_array_equal(source.labels(np.arange(chosen.sum())), LABELS[chosen])
        assert (source.spec.shape, source.spec.dtype, source.spec.value_range) == ((7,), "float32", None)
        assert (source.spec.num_classes, source.spec.num_examples) == (4, chosen.sum())
    assert load(npy(tmp_path, vectors)).spec.num_classes is None


def test_vectors_in_blocks_and_from_the_cache(tmp_path, monkeypatch):
    name = npy(tmp_path, np.asfortranarray(VECTORS))
    whole = everything(load(name))
    np.save(tmp_path / "file.npy", VECTORS)
    monkeypatch.setattr(tfade.data.npy, "BLOCK_BYTES", 7 * VECTORS[0].nbytes)
    for limit in (10, 2**20):
        for _ in range(2):
            source = load(name, cache_dir=str(tmp_path / "cache"), memory_limit=limit)
            np.testing.assert_array_equal(everything(source), whole)
            assert source.spec.dtype == "float32"
    with pytest.raises(UsageError, match=f"above memory_limit={whole.nbytes - 1} bytes"):
        load(name, memory_limit=whole.nbytes - 1)


def test_vectors_that_are_not_finite_are_placed(tmp_path, monkeypatch):
    values = VECTORS.copy()
    values[3, 2], values[7, 0], values[44, 6] = np.nan, np.inf, 1e39  # the last is infinite in float32
    with pytest.raises(UsageError, match=r"3 values that are not finite in float32, the first nan at \(3, 2\)"):
        load(npy(tmp_path, values))
    monkeypatch.setattr(tfade.data.npy, "BLOCK_BYTES", 7 * VECTORS[0].nbytes)
    values[3, 2] = values[7, 0] = 0
    with pytest.raises(UsageError, match=r"1 values that are not finite in float32, the first 1e\+39 at \(44, 6\)"):
        load(npy(tmp_path, values))


@pytest.mark.parametrize("argument", [{"image_size": 4}, {"crop": 4}, {"pad": 1}, {"average": 2}, {"channels": 1}])
def test_vectors_have_no_preprocessing(tmp_path, argument):
    with pytest.raises(
        UsageError, match="holds vectors, not images; leave crop, image_size, pad, average and channels"
    ):
        load(npy(tmp_path, VECTORS), **argument)


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


# ---- Names of arrays, ranges, remedies ----


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
