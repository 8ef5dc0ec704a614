"""The decoded-image cache: hits, keys, damage, concurrent writers, full disks."""

import collections
import concurrent.futures
import multiprocessing
import os
import pathlib
import shutil

import numpy as np
import pytest

import tfade.data.cache
from tfade.data import load
from tfade.data.cache import Store
from tfade.errors import UsageError

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3), np.uint8)
LABELS = np.arange(30, dtype=np.int32) % 7


def read():
    for start in range(0, 30, 8):
        yield IMAGES[start : start + 8], LABELS[start : start + 8]


def forbidden():
    pytest.fail("decoded although the cache holds it")


def stored(store, key="key", reader=read):
    return store.examples("set", {"key": key}, 30, reader, labelled=True)


def check(images, labels):
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def is_mapped(images):
    while images is not None and not isinstance(images, np.memmap):
        images = images.base
    return images is not None


@pytest.mark.parametrize("memory_limit", [10, 10**6])
def test_decoded_once_then_found(tmp_path, memory_limit):
    store = Store(tmp_path / "new" / "cache", memory_limit)
    images, labels = stored(store)
    check(images, labels)
    again, labels = stored(store, reader=forbidden)
    check(again, labels)
    assert is_mapped(images) == is_mapped(again) == (memory_limit == 10)
    assert type(again[[2, 1]]) is np.ndarray
    assert sorted(path.suffixes for path in store.cache_dir.iterdir()) == [[".labels", ".npy"], [".npy"]]
    np.testing.assert_array_equal(np.load(next(p for p in store.cache_dir.iterdir() if "labels" not in p.name)), IMAGES)


def test_another_key_is_another_file(tmp_path):
    store = Store(tmp_path, 10)
    stored(store, "a")
    calls = []
    stored(store, "b", lambda: calls.append(1) or read())
    assert calls


def test_without_cache_dir():
    check(*stored(Store(None, IMAGES.nbytes)))
    with pytest.raises(UsageError, match=r"above memory_limit=1439 bytes; give load.cache_dir"):
        stored(Store(None, IMAGES.nbytes - 1))


@pytest.mark.parametrize("memory_limit", [10, 10**6])
@pytest.mark.parametrize("which", ["images", "labels"])
@pytest.mark.parametrize("size", [0, 50, -1, 3])
def test_a_damaged_file_is_decoded_again(tmp_path, capsys, which, size, memory_limit):
    store = Store(tmp_path, memory_limit)
    stored(store)
    path = next(path for path in tmp_path.iterdir() if ("labels" in path.name) == (which == "labels"))
    data = path.read_bytes()
    path.write_bytes(data + b"xxx" if size == 3 else data[:size])
    if which == "labels" and size == 3:
        return  # trailing bytes do no harm to a file that is read by its header
    check(*stored(store))
    assert "is damaged: decoding again" in capsys.readouterr().err
    check(*stored(store, reader=forbidden))


@pytest.mark.parametrize("other", [IMAGES[:29], IMAGES[..., 0], IMAGES.astype(np.int16)])
def test_a_file_of_another_shape_is_decoded_again(tmp_path, other):
    store = Store(tmp_path, 10)
    stored(store)
    np.save(next(path for path in tmp_path.iterdir() if "labels" not in path.name), other)
    check(*stored(store))


def test_a_failed_decode_leaves_nothing(tmp_path):
    def breaks():
        yield from (block for block, _ in zip(read(), range(2)))
        raise UsageError("a bad file")

    for memory_limit in (10, 10**6):
        with pytest.raises(UsageError, match="a bad file"):
            stored(Store(tmp_path, memory_limit), reader=breaks)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("memory_limit", [10, 10**6])
def test_wrong_counts_and_sizes_are_refused(tmp_path, memory_limit):
    store = Store(tmp_path, memory_limit)
    for count in (29, 31):
        with pytest.raises(UsageError, match=f"declared {count} examples"):
            store.examples("set", {}, count, read, labelled=True)
    with pytest.raises(UsageError, match=r"different sizes, such as \(4, 4, 3\) and \(5, 4, 3\); give load.image_size"):
        store.examples("set", {}, 2, lambda: iter([([IMAGES[0], np.zeros((5, 4, 3), np.uint8)], None)]), labelled=False)
    assert not list(tmp_path.iterdir())


def _race(folder, barrier):
    """Writes the same 20 splits as the other process, each begun at the same moment."""
    right = True
    for key in range(20):
        barrier.wait()
        images, labels = stored(Store(folder, 10 if key % 2 else 10**6), key)
        right = right and np.array_equal(images, IMAGES) and np.array_equal(labels, LABELS)
    return right


def test_two_processes_writing_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")  # TensorFlow's threads do not survive a fork
    with context.Manager() as manager, concurrent.futures.ProcessPoolExecutor(2, context) as pool:
        barrier = manager.Barrier(2, timeout=60)
        assert all(pool.map(_race, [tmp_path] * 2, [barrier] * 2))
    assert len(list(tmp_path.iterdir())) == 40
    for key in range(20):
        check(*stored(Store(tmp_path, 10), key, forbidden))


def test_a_half_written_file_is_never_visible(tmp_path):
    """While one process is still decoding, another finds no file under the final name."""

    def watched():
        for block in read():
            assert not list(tmp_path.glob("[!.]*"))
            yield block

    stored(Store(tmp_path, 10), reader=watched)
    assert len(list(tmp_path.glob("[!.]*"))) == 2


def denied(path):
    raise PermissionError(13, "Permission denied", str(path))


def test_no_room_or_no_permission(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"give another load.cache_dir"):
        stored(Store(tmp_path / "file" / "cache", 10))
    with monkeypatch.context() as closed:  # a folder of another user; that of the tests may enter every one
        closed.setattr(pathlib.Path, "exists", denied)
        check(*stored(Store(tmp_path / "closed", 10**6)))
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(tfade.data.cache.shutil, "disk_usage", lambda path: usage(10, 9, 1))
    with pytest.raises(UsageError, match="too little room"):
        stored(Store(tmp_path, 10))
    assert shutil.disk_usage is tfade.data.cache.shutil.disk_usage


def test_a_changed_folder_is_decoded_again(write_images, tmp_path):
    cache = str(tmp_path / "cache")
    root = write_images({f"{number}.png": np.full((3, 3), number, np.uint8) for number in range(6)})
    name = f"folder:{root}"
    before = load(name, carve=None, cache_dir=cache, memory_limit=1)
    assert sorted(before.fetch(np.arange(6))[:, 0, 0, 0]) == list(range(6))
    write_images({"3.png": np.full((3, 3), 77, np.uint8)})
    os.utime(root / "3.png", ns=(1, 1))
    after = load(name, carve=None, cache_dir=cache, memory_limit=1)
    assert sorted(after.fetch(np.arange(6))[:, 0, 0, 0]) == [0, 1, 2, 4, 5, 77]
    assert load(name, carve=None, cache_dir=cache, image_size=2).spec.shape == (2, 2, 1)
    with pytest.raises(UsageError, match=r"give load.cache_dir"):
        load(name, carve=None, memory_limit=1)
