"""Mean and covariance of a stream of features, in float64 and constant memory."""

import hashlib
import json

import numpy as np
from scipy.linalg.blas import dsyrk

from tfade.errors import UsageError
from tfade.evaluation.checks import LARGEST, checked_features
from tfade.files import read_arrays, write_atomically

ROWS = 1024  # rows of a batch that are taken to float64 together: 16 MiB at 2,048 features


class Moments:
    """Mean and covariance, mergeable over batches, replicas and processes.

        δ = m_b − m_a,  n = n_a + n_b:    m = m_a + δ·n_b/n,    S = S_a + S_b + δδᵀ·n_a·n_b/n

    where S = Σ (x − m)(x − m)ᵀ. Sums of raw squares would lose everything to cancellation: at mean 1e6 and in float32
    they give a variance of 74,898 for 6.

    Args:
        features: a first batch [N, D], or None.
        protocol: where the features come from: JSON values, among them "extractor" and its fingerprint.

    Reference: Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
        variances", eq. 2.1.
    """

    def __init__(self, features=None, *, protocol: dict | None = None):
        self.count = 0
        self.protocol = dict(protocol or {})
        self._mean = self._scatter = None
        if features is not None:
            self.update(features)

    def update(self, batch) -> "Moments":
        """Adds features [n, D], n ≥ 1, copying about a thousand rows at a time; returns itself.

        Raises:
            UsageError: not [n, D], NaN or infinite, or of another D than before. Nothing is added then.
        """
        batch = np.asarray(batch)
        if batch.dtype.kind != "f" or batch.ndim != 2 or not batch.size:
            batch = checked_features("batch", batch)
        with np.errstate(over="ignore", invalid="ignore"):  # refused in the next line
            mean = batch.mean(axis=0, dtype=np.float64)
        if not (np.abs(mean) < LARGEST).all() or max(float(batch.max()), -float(batch.min())) >= LARGEST:
            checked_features("batch", batch)  # says what is not finite, or too large
        scatter = np.zeros((len(mean), len(mean)), order="F")
        for start in range(0, len(batch), ROWS):
            centred = batch[start : start + ROWS] - mean
            scatter = dsyrk(1.0, centred.T, beta=1.0, c=scatter, overwrite_c=1)  # the upper triangle, in place
        return self._add(len(batch), mean, scatter + np.triu(scatter, 1).T, "batch")

    def merge(self, other: "Moments") -> "Moments":
        """Adds what `other` has seen; returns itself.

        Raises:
            UsageError: not Moments, of another D, or of another extractor.
        """
        if not isinstance(other, Moments):
            raise UsageError(f"other={type(other).__name__} cannot be merged; give Moments")
        if other.count == 0:
            return self
        if self.count == 0 and not self.protocol:
            self.protocol = dict(other.protocol)
        check_same_protocol("other", self.protocol, other.protocol)
        return self._add(other.count, other._mean, other._scatter, "other")

    def _add(self, count: int, mean: np.ndarray, scatter: np.ndarray, argument: str) -> "Moments":
        if self.count == 0:
            self.count, self._mean, self._scatter = count, mean, scatter
            return self
        if mean.shape != self._mean.shape:
            raise UsageError(f"{argument} has {len(mean)} features; earlier ones had {len(self._mean)}")
        total = self.count + count
        delta = mean - self._mean
        self._mean = self._mean + delta * (count / total)
        between = np.outer(delta * (self.count * count / total), delta)
        between += self._scatter
        between += scatter
        self._scatter = between
        self.count = total
        return self

    @property
    def dimensions(self) -> int:
        """The number of features D."""
        return len(self.mean)

    @property
    def mean(self) -> np.ndarray:
        """float64 [D]."""
        if self.count < 1:
            raise UsageError("Moments have seen no example; update them with features first")
        return self._mean

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance (ddof = 1), float64 [D, D]."""
        if self.count < 2:
            raise UsageError(f"a covariance of {self.count} example(s) does not exist; give at least 2")
        return self._scatter / (self.count - 1)

    def save(self, path) -> None:
        """Writes `path` (.npz): count, mean, covariance, protocol and a hash of all of them; whole or not at all."""
        arrays = {"count": np.int64(self.count), "mean": self.mean, "covariance": self.covariance}
        protocol = json.dumps(self.protocol, sort_keys=True, allow_nan=False)
        digest = _digest(protocol, arrays)
        write_atomically(
            path, lambda file: np.savez(file, protocol=np.array(protocol), digest=np.array(digest), **arrays)
        )

    @classmethod
    def load(cls, path, *, protocol: dict | None = None) -> "Moments":
        """Reads what `save` wrote.

        Args:
            path: the file.
            protocol: what the caller's features are made with; keys that the file also has must agree.

        Raises:
            UsageError: unreadable or damaged file; mean or covariance missing, not finite, of different sizes, not
                symmetric or not positive semi-definite; features of another extractor.
        """
        try:
            arrays = read_arrays(path)
        except ValueError as error:
            raise UsageError(f"path={str(path)!r} is not a readable statistics file ({error}); recompute it") from error
        missing = sorted({"count", "mean", "covariance", "protocol", "digest"} - set(arrays))
        if missing:
            raise UsageError(f"path={str(path)!r} lacks {', '.join(missing)}; give a file written by Moments.save")
        count, mean, covariance = int(arrays["count"]), arrays["mean"], arrays["covariance"]
        _check_statistics(str(path), count, mean, covariance)
        stored = str(arrays["protocol"])
        if str(arrays["digest"]) != _digest(stored, {"count": arrays["count"], "mean": mean, "covariance": covariance}):
            raise UsageError(f"path={str(path)!r} was changed after it was written (its hash differs); recompute it")
        moments = cls(protocol=json.loads(stored))
        check_same_protocol(f"path={str(path)!r}", protocol or {}, moments.protocol)
        return moments._add(count, mean, covariance * (count - 1), "path")


def check_same_protocol(argument: str, expected: dict, received: dict) -> None:
    """Rejects features that were computed in another way.

    A key that both protocols have must have the same value; "extractor" and "resize" must be stated by both or neither.
    """
    for key in sorted(set(expected) & set(received)):
        if expected[key] != received[key]:
            raise UsageError(
                f"{argument} has features with {key}={received[key]!r}, but {expected[key]!r} is expected; "
                "compute both sides in the same way"
            )
    for key in ("extractor", "resize"):
        if expected and received and (key in expected) != (key in received):
            stating = "received" if key in received else "expected"
            raise UsageError(
                f"{argument}: only the features {stating} state {key}={(received | expected)[key]!r}; "
                "compute both sides in the same way and state it in `protocol`"
            )


def _check_statistics(path: str, count: int, mean: np.ndarray, covariance: np.ndarray) -> None:
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)) or count < 2:
        raise UsageError(
            f"path={path!r} holds a mean {list(mean.shape)} and a covariance {list(covariance.shape)} of {count} "
            "examples; they must be [D] and [D, D] of at least 2"
        )
    if mean.dtype != np.float64 or covariance.dtype != np.float64:
        raise UsageError(f"path={path!r} holds {mean.dtype} and {covariance.dtype}; statistics are float64")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UsageError(f"path={path!r} holds NaN or infinite statistics; recompute it from finite features")
    scale = np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > 1e-9 * scale:
        raise UsageError(f"path={path!r} holds a covariance that is not symmetric; recompute it")
    if np.linalg.eigvalsh(covariance)[0] < -1e-8 * scale:
        raise UsageError(f"path={path!r} holds a covariance that is not positive semi-definite; recompute it")


def _digest(protocol: str, arrays: dict) -> str:
    digest = hashlib.sha256(protocol.encode())
    for name in ("count", "mean", "covariance"):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
