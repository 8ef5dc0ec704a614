"""The importance-weighted bound on log p(x) of a model with an encoder and a decoder."""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfade.errors import UsageError, check_whole
from tfade.evaluation.latents.posteriors import is_deterministic
from tfade.evaluation.likelihood.nll import checked_examples, checked_nats, standard_error
from tfade.evaluation.result import Result
from tfade.objectives import bounds
from tfade.seeds import ExampleNoise, noise_key

CODES = 1000  # of an example that are decoded together


def importance_weighted_bound(
    *,
    x,
    k: int,
    log_likelihood: Callable,
    prior,
    posterior: Callable,
    log_det=None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Result:
    """Mean over examples of log 1/k Σ_i p(x | z_i) p(z_i) / q(z_i | x) with k codes of the posterior each.

    It is below log p(x) in expectation, rises with k, and equals it for every k where q is the exact posterior. The
    codes of an example depend on the seed and its number alone.

    Args:
        x: examples [N, ...], as `log_likelihood` takes them.
        k: codes of an example, at least 1.
        log_likelihood: codes [rows, latent_size] and examples [rows, ...] → log p(x | z) in nats [rows].
        prior: p(z), a TFP distribution over [latent_size].
        posterior: examples [batch, ...] → q(z | x), a TFP distribution over [latent_size] of batch shape [batch]
            that has a density. The prior itself would be `lambda x: tfd.BatchBroadcast(prior, x.shape[:1])`.
        log_det: nats [N] to be added, of the map from data to `x`; None for none.
        seed: of the codes.
        progress: receives a line every hundred examples.

    Returns:
        `Result` "importance_weighted_bound" in nats; its std is the standard error over examples. The effective sample
        size of the weights, from 1 to k, is in the protocol: near 1 the bound rests on one code.

    Raises:
        UsageError: k below 1, examples or bounds that are not finite, or a posterior without a density.

    Reference: Burda et al. 2016, equation 8.
    """
    check_whole("k", k)  # 5,000 is usual for a test set
    x = checked_examples("x", x)
    _require_density(posterior(x[:1]))

    @functools.partial(tf.function, autograph=False)
    def log_weights(x, seed, count):
        q = posterior(x)
        z = q.sample(count, seed=seed)
        codes = z[:, 0]
        log_joint = log_likelihood(codes, tf.repeat(x, count, 0)) + prior.log_prob(codes)
        return tf.cast(log_joint - q.log_prob(z)[:, 0], tf.float64)

    values, sizes = [], []
    noise = ExampleNoise(noise_key(seed, "importance-weighted bound"), np.arange(len(x)))
    starts = range(0, k, CODES)
    seeds = [noise.seed(part).numpy() for part in range(len(starts))]
    for row in range(len(x)):
        parts = (
            log_weights(x[row : row + 1], tf.constant(of_part[row]), min(CODES, k - start))
            for start, of_part in zip(starts, seeds)
        )
        weights = tf.concat(list(parts), 0)
        values.append(float(bounds.importance_weighted_bound(weights)))
        sizes.append(float(tf.exp(2 * tf.reduce_logsumexp(weights) - tf.reduce_logsumexp(2 * weights))))
        if (row + 1) % 100 == 0:
            progress(f"  importance-weighted bound: {row + 1:,} of {len(x):,}")
    values = checked_nats("log_likelihood, prior or posterior: the bound", np.array(values))
    if log_det is not None:
        values = values + checked_nats("log_det", log_det, len(x))
    result = bound_result(values, k)
    sizes = {"effective_sample_size_mean": float(np.mean(sizes)), "effective_sample_size_min": float(np.min(sizes))}
    return result.with_protocol(seed=seed, dtype=prior.dtype.name, **sizes)


def bound_result(log_prob, k: int) -> Result:
    """The `Result` of the bounds of examples, in nats [N], that k codes each gave."""
    values = checked_nats("log_prob", log_prob)
    protocol = {"num_real": len(values), "unit": "nats", "k": k}
    return Result("importance_weighted_bound", values.mean(), standard_error(values), protocol)


def _require_density(distribution) -> None:
    if is_deterministic(distribution):
        raise UsageError(
            f"posterior gives a {type(distribution).__name__} of point masses, which have no density; give a "
            "stochastic encoder, or annealed importance sampling, which needs none"
        )
