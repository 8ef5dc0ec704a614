"""Singular values of a generator's Jacobian: how far it stretches and squeezes around its codes."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
from scipy.linalg import lapack

from tfade.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """Singular values of the Jacobian at several codes.

    Attributes:
        values: [codes, min(D, Z)], each row falling; 0 where the Jacobian has lost a direction in float32.
    """

    values: np.ndarray

    @property
    def log10_condition(self) -> np.ndarray:
        """log₁₀ of the largest over the smallest singular value, at every code; infinite where the smallest is 0."""
        with np.errstate(divide="ignore"):
            return np.log10(self.values[:, 0]) - np.log10(self.values[:, -1])

    def summary(self) -> dict:
        """Medians and quartiles over the codes, as JSON can hold them; null where a value is not finite."""
        condition = self.log10_condition
        quartiles = np.percentile(condition, [25, 50, 75], method="nearest")
        return {
            "codes": len(self.values),
            "directions": self.values.shape[1],
            "log10_condition_median": _finite(quartiles[1]),
            "log10_condition_quartiles": [_finite(quartiles[0]), _finite(quartiles[2])],
            "largest_median": float(np.median(self.values[:, 0])),
            "smallest_median": float(np.median(self.values[:, -1])),
            "singular": int(np.isinf(condition).sum()),
        }


def spectrum(decode: Callable, codes, progress: Callable[[int], None] = lambda done: None) -> Spectrum:
    """The singular values of the Jacobian of `decode` at every code.

    Args:
        decode: codes [batch, Z] → data [batch, ...], every row for itself.
        codes: [n, Z].
        progress: receives the number of codes that are done.

    Raises:
        UsageError: codes that are not [n, Z], or a Jacobian that is not finite.
    """
    codes = tf.convert_to_tensor(codes)
    if codes.shape.rank != 2 or not len(codes):
        raise UsageError(f"codes have shape {list(codes.shape)}; give [n, Z], one code or more")
    rows = []
    for matrix in jacobians(decode, codes):
        rows.append(singular_values(matrix))
        progress(len(rows))
    return Spectrum(np.stack(rows))


def jacobians(decode: Callable, codes, chunk: int = 256) -> Iterator[np.ndarray]:
    """∂ decode / ∂ code at each code, exactly: float64 [D, Z], in the precision that `decode` computes in.

    A batch holds as many copies of a code as rows are wanted, and one backward pass gives each row its own gradient.

    Args:
        decode: codes [batch, Z] → data [batch, ...], every row for itself (inference mode).
        codes: [n, Z].
        chunk: rows at a time.
    """
    codes = tf.convert_to_tensor(codes)
    dimensions = int(np.prod(decode(codes[:1]).shape[1:]))
    size = min(chunk, dimensions)

    @tf.function(autograph=False)
    def rows(code, places):
        copies = tf.repeat(code[None], size, axis=0)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(copies)
            data = tf.reshape(decode(copies), (size, dimensions))
            chosen = tf.gather(data, places, batch_dims=1)
        return tape.gradient(chosen, copies, unconnected_gradients="zero")

    for code in codes:
        parts = []
        for start in range(0, dimensions, size):
            places = np.minimum(np.arange(start, start + size), dimensions - 1)  # the surplus of the last is cut
            parts.append(rows(code, tf.constant(places)).numpy()[: dimensions - start])
        yield np.concatenate(parts).astype(np.float64)


def singular_values(matrix) -> np.ndarray:
    """The singular values of a matrix [D, Z], descending, also where rows or columns have very different scales.

    The usual algorithms lose every value below 1e-16 of the largest. A saturated generator has rows that are scaled by
    the slope of a sigmoid, down to 1e-30, and its small singular values are well determined by them: the preconditioned
    Jacobi method finds them to high relative accuracy (Drmač and Veselić 2008, LAPACK's xGEJSV).

    Raises:
        UsageError: the matrix is not of rank 2, or not finite.
    """
    matrix = np.asarray(matrix, np.float64)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
        raise UsageError(f"matrix has shape {list(matrix.shape)} or values that are not finite; give a finite [D, Z]")
    matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    # joba 2 ("F"): accurate for D₁ C D₂ with any diagonal D₁, D₂; jobr 0: tiny values are not set to 0.
    values, _, _, scales, _, info = lapack.dgejsv(matrix, joba=2, jobu=3, jobv=3, jobr=0, jobt=0, jobp=0)
    if info:
        raise UsageError(f"matrix [{matrix.shape[0]}, {matrix.shape[1]}]: its singular values did not converge")
    return np.sort(values * (scales[0] / scales[1]))[::-1]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
