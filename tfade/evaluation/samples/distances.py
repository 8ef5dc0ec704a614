"""Squared Euclidean distances in blocks, in float64, with comparisons that rounding does not flip.

‖x − y‖² = ‖x‖² + ‖y‖² − 2·x·y is one matrix product, but its rounding depends on where a pair stands in it, so equal
points need not be at distance 0, nor equal distances equal. Measures that count neighbours hang on such ties where
samples are repeated. So the product only finds the pairs in question; those within its error bound of a decision are
computed again as Σ (x − y)².
"""

from collections.abc import Iterator

import numpy as np

from tfade.errors import UsageError, check_whole
from tfade.evaluation.checks import checked_features

ROWS, COLUMNS = 1024, 4096  # a block of distances: 32 MiB
PAIR_VALUES = 2**21  # numbers of a piece of differences: 16 MiB


def checked_sets(
    real, fake, at_least: int = 2, names: tuple[str, str] = ("real", "fake")
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets' features as float64 [N, D] and [M, D].

    Raises:
        UsageError: not [N, D], NaN or infinite, of different D, or fewer than `at_least` examples.
    """
    real, fake = (checked_features(name, features) for name, features in zip(names, (real, fake)))
    if real.shape[1] != fake.shape[1]:
        raise UsageError(
            f"{names[1]} has {fake.shape[1]} features and {names[0]} has {real.shape[1]}; use one extractor for both"
        )
    for name, features in zip(names, (real, fake)):
        if len(features) < at_least:
            raise UsageError(f"{name} has {len(features)} example(s); give at least {at_least}")
    return real, fake


def generator_of(seed: int) -> np.random.Generator:
    """A generator that depends on the seed alone.

    Raises:
        UsageError: no integer of at least 0.
    """
    return np.random.Generator(np.random.Philox(key=check_whole("seed", seed, 0)))


class DistanceBlock:
    """Squared distances of some rows of `first` to some rows of `second`.

    Attributes:
        rows, columns: which, as slices.
        approximate: float64 [rows, columns], not negative.
        tolerance: float64 [rows, 1]; the exact values are within it.
    """

    def __init__(self, first, second, rows: slice, columns: slice, approximate, tolerance):
        self.rows, self.columns = rows, columns
        self.approximate, self.tolerance = approximate, tolerance
        self._first, self._second = first[rows], second[columns]

    def exact(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Σ (x − y)² of pairs of the block's rows i and columns j, float64: 0 for equal points."""
        values, step = np.empty(len(i)), max(1, PAIR_VALUES // self._first.shape[1])
        for start in range(0, len(i), step):
            piece = slice(start, start + step)
            difference = self._first[i[piece]].astype(np.float64) - self._second[j[piece]]
            values[piece] = np.square(difference, out=difference).sum(axis=1)
        return values

    def within(self, bound: np.ndarray, *, strict: bool) -> np.ndarray:
        """Whether d² ≤ bound (strict: d² < bound), bool [rows, columns]; ties are resolved by exact values.

        Args:
            bound: exact squared distances [rows, 1] or [1, columns].
            strict: whether equality is outside.
        """
        excess = self.approximate - bound
        inside = excess < 0
        i, j = np.nonzero(np.abs(excess, out=excess) <= self.tolerance)
        limits, values = np.broadcast_to(bound, inside.shape)[i, j], self.exact(i, j)
        inside[i, j] = values < limits if strict else values <= limits
        return inside


def distance_blocks(first, second, rows: int = ROWS, columns: int = COLUMNS) -> Iterator[DistanceBlock]:
    """All pairs of two sets [N, D] and [M, D], of any real dtype, block by block: never more than rows × columns."""
    # Around the mean there is less to cancel; the subtraction is rounded relative to its result.
    origin = second.mean(axis=0, dtype=np.float64)
    unit = (second.shape[1] + 16) * np.finfo(np.float64).eps
    for right in range(0, len(second), columns):
        right = slice(right, min(right + columns, len(second)))
        y = second[right] - origin
        y_squared = np.square(y).sum(axis=1)
        for left in range(0, len(first), rows):
            left = slice(left, min(left + rows, len(first)))
            x = first[left] - origin
            x_squared = np.square(x).sum(axis=1)[:, None]
            squared = x @ y.T
            squared *= -2
            squared += x_squared
            squared += y_squared
            np.maximum(squared, 0, out=squared)
            tolerance = unit * (np.sqrt(x_squared) + np.sqrt(y_squared.max())) ** 2
            yield DistanceBlock(first, second, left, right, squared, tolerance)


def nearest(first, second=None, k: int = 1, *, rows: int = ROWS, columns: int = COLUMNS):
    """The k nearest points of `second` to each point of `first`; equally near ones in the order of `second`.

    Args:
        first: [N, D].
        second: [M, D], M ≥ k; or None for the other points of `first`, N > k.
        k: how many, at least 1.
        rows, columns: of a block.

    Returns:
        Exact squared distances, float64 [N, k], from the nearest on, and indices, int64 [N, k].
    """
    others = first if second is None else second
    found = np.full((len(first), k), np.inf), np.full((len(first), k), -1)
    for block in distance_blocks(first, others, rows, columns):
        if second is None:
            _leave_out_itself(block)
        best, index = (kept[block.rows] for kept in found)
        i, j = _candidates(block, best[:, -1], k)
        owner = np.concatenate([np.repeat(np.arange(len(best)), k), i])
        values = np.concatenate([best.ravel(), block.exact(i, j)])
        places = np.concatenate([index.ravel(), j + block.columns.start])
        order = np.lexsort((places, values, owner))
        chosen = order[np.searchsorted(owner[order], np.arange(len(best)))[:, None] + np.arange(k)]
        best[:], index[:] = values[chosen], places[chosen]
    return found


def _candidates(block: DistanceBlock, reach: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs among which each row's k nearest of this block are, unless `reach`, what it found before, is nearer."""
    limit = reach
    if block.approximate.shape[1] >= k:
        kth = np.partition(block.approximate, k - 1, axis=1)[:, k - 1]
        limit = np.minimum(limit, kth + block.tolerance[:, 0])
    limit = np.where(reach > 0, limit + block.tolerance[:, 0], -1)  # nothing is nearer than 0
    i, j = np.nonzero((block.approximate <= limit[:, None]) & (block.approximate < np.inf))
    # A collapsed model repeats one point: where the first k candidates are at distance 0, the others need no look.
    rank = np.arange(len(i)) - np.searchsorted(i, i)
    first = rank < k
    far = np.zeros(len(limit))
    np.maximum.at(far, i[first], block.exact(i[first], j[first]))
    needed = first | (far[i] > 0)
    return i[needed], j[needed]


def _leave_out_itself(block: DistanceBlock) -> None:
    own = np.arange(max(block.rows.start, block.columns.start), min(block.rows.stop, block.columns.stop))
    block.approximate[own - block.rows.start, own - block.columns.start] = np.inf
