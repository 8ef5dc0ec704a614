"""The posteriors of a whole data set, and their mixture q(z) = (1/N) Σ_n q(z | x_n): draws, and its exact density."""

import abc
import dataclasses
import time
from collections.abc import Callable

import numpy as np

from tfade.errors import UsageError
from tfade.evaluation.checks import checked_features

BLOCK = 2**21  # log-densities that are held at a time, 16 MiB
TIMED = 200  # log-densities that are timed to predict how long all of them will take


@dataclasses.dataclass(frozen=True)
class Draws:
    """Codes z_s ~ q(z | x_n(s)).

    Attributes:
        indices: n(s), int64 [S]: every example as often as any other, give or take one.
        codes: float64 [S, D].
        log_posterior: log q(z_s | x_n(s)), float64 [S]; None where the posteriors have no density.
    """

    indices: np.ndarray
    codes: np.ndarray
    log_posterior: np.ndarray | None


class Posteriors(abc.ABC):
    """q(z | x_n) for n = 1 … N.

    Attributes:
        count: N.
        dimensions: D, of a code.
        kind: of distribution, for the diagnostics of results.
        has_density: whether they, and so their mixture, have one.
        means: E[z | x_n], float64 [N, D]; None where they are not known in closed form.
        decodes: whether every log-density of a code and an example takes a pass through the decoder.
    """

    count: int
    dimensions: int
    kind: str
    has_density = True
    means: np.ndarray | None = None
    decodes = False

    def draw(self, num_samples: int, seed: int = 0) -> Draws:
        """Codes of the mixture: stratified, so that no two examples' counts differ by more than one.

        Args:
            num_samples: S ≥ 2.
            seed: of the choice of examples and of the noise.

        Raises:
            UsageError: fewer than 2 samples.
        """
        if num_samples < 2:
            raise UsageError(f"num_samples={num_samples!r} is below 2; thousands are usual")
        generator = np.random.Generator(np.random.Philox(key=seed))
        rounds = -(-num_samples // self.count)
        indices = np.concatenate([generator.permutation(self.count) for _ in range(rounds)])[:num_samples]
        return self._draw(indices, generator, seed)

    def distinct(self, num_samples: int) -> int:
        """How many of `num_samples` codes differ: one for each example, where codes are deterministic.

        What is fitted to some codes and tested on others takes no more, or it would be tested on what it was fitted to.
        """
        return num_samples

    @abc.abstractmethod
    def _draw(self, indices: np.ndarray, generator: np.random.Generator, seed: int) -> Draws:
        """A code of each of these examples."""

    def log_mixture(self, codes, progress: Callable[[int], None] = lambda done: None, block: int = BLOCK) -> np.ndarray:
        """log q(z) = log (1/N) Σ_n q(z | x_n), over all N, exact: float64 [S].

        Args:
            codes: [S, D].
            progress: receives the number of examples done, periodically.
            block: log-densities that are held at a time; it affects the result by rounding only.

        Raises:
            UsageError: codes that are not finite [S, D], or posteriors without a density.
        """
        codes = checked_features("codes", codes)
        if codes.shape[1] != self.dimensions:
            raise UsageError(
                f"codes have {codes.shape[1]} dimensions and these posteriors {self.dimensions}; they must be the same"
            )
        if not self.has_density:
            raise UsageError(f"posteriors are {self.kind}: their mixture has no density; estimate it from codes")
        total = _LogSum(len(codes))
        examples = min(self.count, max(1, int(block**0.5)), self._examples_at_a_time)
        together = max(1, block // examples)
        for first in range(0, self.count, examples):
            density = self._log_density(slice(first, min(first + examples, self.count)), codes)
            for start in range(0, len(codes), together):
                rows = slice(start, start + together)
                total.add(rows, density(codes[rows]))
            progress(min(first + examples, self.count))
        return total.value() - np.log(self.count)

    def seconds(self, pairs: int) -> float:
        """About how long so many log-densities take here, by those of a few codes and examples."""
        examples = min(self.count, self._examples_at_a_time, TIMED)
        rows = np.arange(-(-TIMED // examples)) % self.count
        codes = self._draw(rows, np.random.Generator(np.random.Philox(key=0)), 0).codes
        density = self._log_density(slice(0, examples), codes)
        started = time.perf_counter()
        density(codes)
        return (time.perf_counter() - started) / (examples * len(codes)) * pairs

    _examples_at_a_time = BLOCK

    def _log_density(self, examples: slice, codes: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """A function from some of the codes [s, D] to log q(z | x_n) of these examples, float64 [s, n]."""
        raise NotImplementedError


class _LogSum:
    """log Σ exp, exact, of values that come in blocks."""

    def __init__(self, count: int):
        self._largest, self._sum = np.full(count, -np.inf), np.zeros(count)

    def add(self, rows: slice, values: np.ndarray) -> None:
        """Adds exp(values [s, n]) to the sums of `rows`."""
        before = self._largest[rows]
        largest = np.maximum(before, values.max(axis=1))
        base = np.where(np.isfinite(largest), largest, 0.0)
        # In place: the exponentials of all pairs take most of the time.
        values -= base[:, None]
        np.exp(values, out=values)
        self._sum[rows] = self._sum[rows] * np.exp(before - base) + values.sum(axis=1)
        self._largest[rows] = largest

    def value(self) -> np.ndarray:
        with np.errstate(divide="ignore"):  # the sum of zeros alone is 0
            return np.where(np.isfinite(self._largest), self._largest, 0.0) + np.log(self._sum)
