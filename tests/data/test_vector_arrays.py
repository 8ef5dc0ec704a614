"""NumPy files of vectors."""

import numpy as np
import pytest

import tfade.data.npy
from tests.data.stored import LABELS, everything, npy, npz
from tfade.data import load
from tfade.errors import UsageError

VECTORS = np.random.default_rng(0).normal(0, 100, (50, 7))


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
