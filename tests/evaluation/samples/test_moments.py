"""Streaming moments against NumPy: any batching, order or merging; files that must be refused."""

import itertools
import pickle
import tracemalloc

import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.evaluation import Moments, frechet_distance, kernel_distance, precision_recall
from tfade.evaluation.samples import moments

FEATURES = np.random.default_rng(0).normal(size=(1003, 7)) @ np.random.default_rng(1).normal(size=(7, 7)) + 5


def streamed(features, batch_size):
    moments = Moments()
    for start in range(0, len(features), batch_size):
        moments.update(features[start : start + batch_size])
    return moments


def assert_exact(moments, features):
    assert moments.count == len(features)
    np.testing.assert_allclose(moments.mean, features.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(features, rowvar=False), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 2, 64, 1003])
def test_batch_size_and_short_last_batch(batch_size):
    assert_exact(streamed(FEATURES, batch_size), FEATURES)


def test_order():
    assert_exact(streamed(np.random.default_rng(2).permutation(FEATURES), 100), FEATURES)


@pytest.mark.parametrize("cut", [1, 500, 1002])
def test_merging(cut):
    assert_exact(Moments(FEATURES[:cut]).merge(Moments(FEATURES[cut:])), FEATURES)
    assert_exact(Moments().merge(Moments(FEATURES)).merge(Moments()), FEATURES)


def test_merging_in_any_order_and_shape():
    """Pieces of four replicas or processes, in every order, one after the other and in pairs."""
    pieces = [FEATURES[start:stop] for start, stop in ((0, 1), (1, 300), (300, 302), (302, 1003))]
    for order in itertools.permutations(pieces):
        first, second, third, fourth = (pickle.loads(pickle.dumps(Moments(piece))) for piece in order)
        assert_exact(Moments(order[0]).merge(Moments(order[1])).merge(Moments(order[2])).merge(fourth), FEATURES)
        assert_exact(first.merge(second).merge(third.merge(Moments(order[3]))), FEATURES)


def test_merging_leaves_the_other_as_it_was():
    other = Moments(FEATURES[:500])
    Moments().merge(other).update(FEATURES[500:]).update(FEATURES[:100])
    assert_exact(other, FEATURES[:500])


def test_large_batches_go_in_pieces(monkeypatch):
    monkeypatch.setattr(moments, "ROWS", 100)
    assert_exact(Moments(FEATURES), FEATURES)
    broken = np.where(np.arange(1003)[:, None] == 900, np.nan, FEATURES)
    untouched = Moments(FEATURES[:50])
    with pytest.raises(UsageError, match="NaN"):
        untouched.update(broken)
    assert_exact(untouched, FEATURES[:50])


def test_memory_does_not_grow_with_the_stream():
    def peak(batches):
        stream = Moments()
        tracemalloc.start()
        for index in range(batches):
            stream.update(np.full((200, 100), index, np.float32))
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(2)
    assert peak(60) < 1.05 * peak(6)


def test_large_offset_in_float32():
    """Raw float32 sums of squares give a variance of 74,898 for 6 here."""
    features = np.random.default_rng(3).integers(-4, 5, size=(10_000, 1)).astype(np.float32) + np.float32(1e6)
    moments = streamed(features, 100)
    np.testing.assert_allclose(moments.covariance[0, 0], np.var(features.astype(np.float64), ddof=1), rtol=1e-9)


def test_hand_case_ddof_1():
    moments = Moments([[0.0, 0.0], [2.0, 4.0]])
    np.testing.assert_array_equal(moments.mean, [1, 2])
    np.testing.assert_array_equal(moments.covariance, [[2, 4], [4, 8]])


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (np.zeros(5), r"shape \[5\]"),
        (np.zeros((2, 3, 4)), r"\[2, 3, 4\]"),
        (np.zeros((0, 3)), "no example"),
        (np.zeros((3, 0)), r"\[3, 0\]"),
        ([[np.nan, 1.0]], "1 NaN or infinite"),
        ([[np.inf, 1.0]], "1 NaN or infinite"),
        ([["a", "b"]], "dtype"),
        (np.ones((2, 2), complex), "complex"),
        (np.full((2, 2), 1e308), "up to 1e\\+308, whose products overflow"),
    ],
)
def test_refuses_features(batch, message):
    with pytest.raises(UsageError, match=message):
        Moments(batch)


def test_refuses_other_sizes_extractors_and_emptiness():
    with pytest.raises(UsageError, match="3 features; earlier ones had 7"):
        Moments(FEATURES).update(np.zeros((2, 3)))
    with pytest.raises(UsageError, match="extractor='b', but 'a' is expected"):
        Moments(FEATURES, protocol={"extractor": "a"}).merge(Moments(FEATURES, protocol={"extractor": "b"}))
    with pytest.raises(UsageError, match="give Moments"):
        Moments(FEATURES).merge(FEATURES)
    with pytest.raises(UsageError, match="no example"):
        _ = Moments().mean
    with pytest.raises(UsageError, match="at least 2"):
        _ = Moments(FEATURES[:1]).covariance


def test_file_round_trip_and_continuation(tmp_path):
    Moments(FEATURES[:600], protocol={"extractor": "a"}).save(tmp_path / "m.npz")
    loaded = Moments.load(tmp_path / "m.npz", protocol={"extractor": "a"})
    assert loaded.protocol == {"extractor": "a"}
    assert_exact(loaded.update(FEATURES[600:]), FEATURES)
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]


def write(path, **changes):
    Moments(FEATURES, protocol={"extractor": "a"}).save(path)
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": None}, "lacks mean"),
        ({"covariance": None}, "lacks covariance"),
        ({"covariance": np.triu(np.ones((7, 7)))}, "not symmetric"),
        ({"covariance": -np.eye(7)}, "not positive semi-definite"),
        ({"covariance": np.full((7, 7), np.nan)}, "NaN"),
        ({"covariance": np.eye(6)}, r"\[6, 6\]"),
        ({"mean": np.zeros(7, np.float32)}, "float32"),
        ({"mean": np.zeros(7)}, "hash differs"),
        ({"count": np.int64(1)}, "at least 2"),
        ({"mean": np.array([None] * 7)}, "not a readable"),
    ],
)
def test_refuses_files(tmp_path, changes, message):
    write(tmp_path / "m.npz", **changes)
    with pytest.raises(UsageError, match=message):
        Moments.load(tmp_path / "m.npz")


def test_refuses_files_of_another_extractor_or_kind(tmp_path):
    write(tmp_path / "m.npz")
    with pytest.raises(UsageError, match="extractor='a', but 'b' is expected"):
        Moments.load(tmp_path / "m.npz", protocol={"extractor": "b"})
    whole = (tmp_path / "m.npz").read_bytes()
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "short.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "flipped.npz").write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    for name in ("absent.npz", "array.npy", "short.npz", "flipped.npz"):
        with pytest.raises(UsageError, match="not a readable"):
            Moments.load(tmp_path / name)


def test_features_of_unstated_origin_do_not_mix_with_stated_ones():
    features = np.random.default_rng(0).normal(size=(9, 2))
    stated = Moments(features, protocol={"extractor": "a", "resize": "clean"})
    with pytest.raises(UsageError, match="extractor='a'"):
        frechet_distance(real=stated, fake=Moments(features, protocol={"resize": "clean"}))
    with pytest.raises(UsageError, match="resize='clean'"):
        Moments(features, protocol={"extractor": "a"}).merge(stated)
    empty = Moments().merge(stated)
    assert empty.protocol == stated.protocol
    assert empty.count == 9


@pytest.mark.parametrize("scale", [1e60, 1e200])
def test_features_whose_products_overflow_are_refused(scale):
    features = np.array([[1.0, -1.0], [-1.0, 1.0], [0.5, 0.5]]) * scale
    for measure in (
        Moments,
        lambda x: kernel_distance(real=x, fake=x, subset_size=2),
        lambda x: precision_recall(real=x, fake=x, k=1),
    ):
        with pytest.raises(UsageError, match="overflow"):
            measure(features)
