"""The kinds of posteriors: diagonal normals, any distribution with a density, implicit ones, and points."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.implicit import ImplicitCodes
from tfade.distributions.topdown_latents import TopDownLatents
from tfade.errors import UsageError
from tfade.evaluation.checks import checked_features
from tfade.evaluation.latents.posteriors import Draws, Posteriors

tfd = tfp.distributions

VALUES = 2**22  # dimensions of all codes that a TFP distribution gets at a time
CANCELLATION = 1e-6  # nats that the expanded square may lose before the slow form is taken
DECODED = 2**25  # of a decoder's layers, where log-densities go through one: 128 MiB
CHUNK = 100  # codes drawn together; fixed, so that no block size changes a draw


class DiagonalPosteriors(Posteriors):
    """N(μ_n, diag σ_n²), in NumPy and float64.

    The squares are expanded, so that all pairs of codes and examples take one matrix product:

        Σ_d (z_d - μ_d)² / σ_d² = z²·σ⁻² - 2 z·(μ σ⁻²) + Σ_d μ_d² / σ_d²

    Where the deviations are so small that this could lose more than a millionth of a nat, they are not.

    Args:
        means: μ, [N, D].
        scales: σ, [N, D], positive.

    Raises:
        UsageError: not finite, of different shapes, or deviations that are not positive.
    """

    kind = "diagonal normal"

    def __init__(self, *, means, scales):
        self.means, self.scales = checked_features("means", means), checked_features("scales", scales)
        if self.means.shape != self.scales.shape:
            raise UsageError(
                f"scales have shape {list(self.scales.shape)} and means {list(self.means.shape)}; give a deviation for "
                "each mean"
            )
        if self.scales.min() <= 0:
            raise UsageError(f"scales reach down to {self.scales.min():.4g}; deviations must be positive")
        self.count, self.dimensions = self.means.shape
        self._centre = self.means.mean(0)

    def _draw(self, indices, generator, seed):
        noise = generator.standard_normal((len(indices), self.dimensions))
        scales = self.scales[indices]
        log_posterior = -0.5 * (noise**2).sum(1) - np.log(scales).sum(1) - self.dimensions / 2 * np.log(2 * np.pi)
        return Draws(indices, self.means[indices] + scales * noise, log_posterior)

    def _log_density(self, examples, codes):
        means, scales = self.means[examples], self.scales[examples]
        constant = -np.log(scales).sum(1) - self.dimensions / 2 * np.log(2 * np.pi)
        if self._would_cancel(codes):
            return lambda z: (
                constant
                - 0.5 * sum(((z[:, d, None] - means[:, d]) / scales[:, d]) ** 2 for d in range(self.dimensions))
            )
        precisions, centre = scales**-2, self._centre
        means = means - centre
        weights = np.concatenate([means * precisions, -0.5 * precisions], axis=1).T
        constant = constant - 0.5 * (means**2 * precisions).sum(1)

        def density(z):
            z = z - centre
            return np.concatenate([z, z**2], axis=1) @ weights + constant

        return density

    def _would_cancel(self, codes: np.ndarray) -> bool:
        reach = np.maximum(np.abs(codes - self._centre).max(0), np.abs(self.means - self._centre).max(0))
        largest = (reach**2 * self.scales.min(0) ** -2.0).sum()
        return bool(np.finfo(np.float64).eps * largest > CANCELLATION)


class DistributionPosteriors(Posteriors):
    """Posteriors of any kind that has a density, by TensorFlow Probability and in its precision.

    Those of a hierarchical VAE's codes, `TopDownLatents`, pass every pair of a code and an example through the decoder,
    at no more pairs together than its layers' outputs allow.

    Args:
        distributions: indices [n] → the distribution of their codes, of batch shape [n] and event shape [D].
        count: N.
        examples: how many indices it may get at a time.
    """

    def __init__(self, distributions: Callable[[np.ndarray], tfd.Distribution], *, count: int, examples: int = 500):
        self._distributions, self.count = distributions, count
        first = distributions(np.arange(1))
        self.dimensions = int(first.event_shape[0])
        self.kind = type(first).__name__
        self.decodes = isinstance(first, TopDownLatents)
        self._pairs = max(1, DECODED // first.activations if self.decodes else VALUES // self.dimensions)
        self._examples_at_a_time = min(examples, self._pairs)

    def _draw(self, indices, generator, seed):
        codes, log_posterior = [], []
        for chunk, start in enumerate(range(0, len(indices), CHUNK)):
            posterior = self._distributions(indices[start : start + CHUNK])
            z, log_prob = posterior.experimental_sample_and_log_prob(seed=_chunk_seed(seed, chunk))
            codes.append(np.asarray(z, np.float64))
            log_posterior.append(np.asarray(log_prob, np.float64))
        return Draws(indices, np.concatenate(codes), np.concatenate(log_posterior))

    def _log_density(self, examples, codes):
        posterior = self._distributions(np.arange(examples.start, examples.stop))
        count = examples.stop - examples.start
        together = max(1, self._pairs // count)

        def density(z):
            parts = []
            for start in range(0, len(z), together):
                some = tf.constant(z[start : start + together], posterior.dtype)
                # Flows want every pair spelt out: their contexts are given per example.
                pairs = tf.repeat(some[:, None], count, axis=1)
                parts.append(np.asarray(posterior.log_prob(pairs), np.float64))
            return np.concatenate(parts)

        return density


class ImplicitPosteriors(Posteriors):
    """Codes that a network makes of noise: draws, and no density, neither theirs nor their mixture's.

    Args:
        distributions: indices [n] → `ImplicitCodes` of batch shape [n].
        count: N.
    """

    kind = "implicit"
    has_density = False

    def __init__(self, distributions: Callable[[np.ndarray], ImplicitCodes], *, count: int):
        self._distributions, self.count = distributions, count
        self.dimensions = int(distributions(np.arange(1)).event_shape[0])

    def _draw(self, indices, generator, seed):
        codes = []
        for chunk, start in enumerate(range(0, len(indices), CHUNK)):
            codes.append(self._distributions(indices[start : start + CHUNK]).sample(seed=_chunk_seed(seed, chunk)))
        return Draws(indices, np.concatenate(codes).astype(np.float64), None)


class PointPosteriors(Posteriors):
    """Deterministic codes: no density, neither theirs nor their mixture's.

    Args:
        codes: [N, D].
    """

    kind = "deterministic"
    has_density = False

    def __init__(self, *, codes):
        self.means = checked_features("codes", codes)
        self.count, self.dimensions = self.means.shape

    def distinct(self, num_samples):
        return min(num_samples, self.count)

    def _draw(self, indices, generator, seed):
        return Draws(indices, self.means[indices], None)


def posteriors_of(encode: Callable[[np.ndarray], tfd.Distribution], *, count: int, batches) -> Posteriors:
    """The posteriors of a model, in the fastest of the forms that holds them.

    Args:
        encode: indices [n] → q(z | x) of these examples, as `GenerativeModel.encode` gives it.
        count: N.
        batches: iterable of the indices 0 … N - 1, some at a time and in order.
    """
    batches = iter(batches)
    indices = next(batches)
    first = encode(indices)
    if is_deterministic(first):
        codes = [np.asarray(first.mean()), *(np.asarray(encode(more).mean()) for more in batches)]
        return PointPosteriors(codes=np.concatenate(codes))
    if isinstance(first, ImplicitCodes):
        return ImplicitPosteriors(encode, count=count)
    if not is_diagonal_normal(first):
        return DistributionPosteriors(encode, count=count, examples=len(indices))
    moments = [_moments(first), *(_moments(encode(more)) for more in batches)]
    means, scales = (np.concatenate(parts) for parts in zip(*moments))
    return DiagonalPosteriors(means=means, scales=scales)


def is_deterministic(distribution: tfd.Distribution) -> bool:
    """Whether a TFP distribution is a point mass, however wrapped: its `log_prob` is not a density."""
    while hasattr(distribution, "distribution"):
        distribution = distribution.distribution
    return isinstance(distribution, (tfd.Deterministic, tfd.VectorDeterministic))


def is_diagonal_normal(distribution: tfd.Distribution) -> bool:
    """Whether codes are normal with a diagonal covariance, as far as its class shows."""
    if isinstance(distribution, tfd.Independent):
        return isinstance(distribution.distribution, tfd.Normal) and len(distribution.event_shape) == 1
    return type(distribution) is tfd.MultivariateNormalDiag


def _chunk_seed(seed: int, chunk: int) -> tf.Tensor:
    return tf.constant(np.random.SeedSequence([seed, chunk]).generate_state(2).astype(np.uint32).view(np.int32))


def _moments(distribution: tfd.Distribution) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(distribution.mean()), np.asarray(distribution.stddev())
