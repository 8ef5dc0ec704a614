"""The importance-weighted bound on log p(x) of a model with an encoder and a decoder."""

from collections.abc import Callable

import gin
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError, check_positive, check_sizes, check_whole
from tfade.evaluation.choice import choose
from tfade.evaluation.latents.posterior_kinds import is_deterministic
from tfade.evaluation.likelihood.estimators import estimated_model, observation_protocol, with_bits
from tfade.evaluation.likelihood.latent_model import (
    LatentModel,
    encodes_implicitly,
    latent_model,
    pixel_protocol,
)
from tfade.evaluation.likelihood.nll import checked_examples, checked_nats
from tfade.evaluation.likelihood.repeats import log_probs
from tfade.evaluation.metric import Metric, Work
from tfade.evaluation.progress import ticker
from tfade.evaluation.result import NotApplicable, Result, standard_error
from tfade.objectives import bounds
from tfade.seeds import ExampleNoise, noise_key

SAMPLES = 1000  # of an example that are decoded together
TOGETHER = 16  # images whose own bounds are computed at a time


def importance_weighted_bound(
    *,
    x,
    k: int,
    log_likelihood: Callable,
    prior,
    posterior: Callable,
    log_det=None,
    groups=None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Result:
    """Mean over examples of log 1/k Σ_i p(x | z_i) p(z_i) / q(z_i | x) with k samples z_i of the posterior each.

    It is below log p(x) in expectation, rises with k, and equals it for every k where q is the exact posterior. The
    samples of an example depend on the seed and its number alone.

    Args:
        x: examples [N, ...], as `log_likelihood` takes them.
        k: samples of an example, at least 1.
        log_likelihood: latents [rows, latent_size] and examples [rows, ...] → log p(x | z) in nats [rows].
        prior: p(z), a TFP distribution over [latent_size].
        posterior: examples [batch, ...] → q(z | x), a TFP distribution over [latent_size] of batch shape [batch]
            that has a density. The prior itself would be `lambda x: tfd.BatchBroadcast(prior, x.shape[:1])`.
        log_det: nats [N] to be added, of the map from data to `x`; None for none.
        groups: which distinct example each is, for the standard error; see `negative_log_likelihood`.
        seed: of the samples.
        progress: receives a line every few seconds.

    Returns:
        `Result` "importance_weighted_bound" in nats; its std is the standard error over examples. The effective sample
        size of the weights, from 1 to k, is among the diagnostics: near 1 the bound rests on one sample.

    Raises:
        UsageError: k below 1, examples or bounds that are not finite, or a posterior without a density.

    Reference: Burda et al. 2016, equation 8.
    """
    check_whole("k", k)  # 5,000 is usual for a test set
    x = checked_examples("x", x)
    _require_density(posterior(x[:1]))

    @tf.function(autograph=False)
    def log_weights(x, seed, count):
        q = posterior(x)
        z = q.sample(count, seed=seed)
        latents = z[:, 0]
        log_joint = log_likelihood(latents, tf.repeat(x, count, 0)) + prior.log_prob(latents)
        return tf.cast(log_joint - q.log_prob(z)[:, 0], tf.float64)

    values, sizes = [], []
    noise = ExampleNoise(noise_key(seed, "importance-weighted bound"), np.arange(len(x)))
    starts = range(0, k, SAMPLES)
    seeds = [noise.seed(part).numpy() for part in range(len(starts))]
    tick = ticker(progress, "importance-weighted bound", len(x))
    for row in range(len(x)):
        parts = (
            log_weights(x[row : row + 1], tf.constant(of_part[row]), min(SAMPLES, k - start))
            for start, of_part in zip(starts, seeds)
        )
        weights = tf.concat(list(parts), 0)
        values.append(float(bounds.importance_weighted_bound(weights)))
        sizes.append(float(tf.exp(2 * tf.reduce_logsumexp(weights) - tf.reduce_logsumexp(2 * weights))))
        tick(row + 1)
    values = checked_nats("log_likelihood, prior or posterior: the bound", np.array(values))
    if log_det is not None:
        values = values + checked_nats("log_det", log_det, len(x))
    sizes = {"effective_sample_size_mean": float(np.mean(sizes)), "effective_sample_size_min": float(np.min(sizes))}
    return bound_result(values, k, sizes, groups).with_protocol(seed=seed, dtype=prior.dtype.name)


def bound_result(log_prob, k: int, diagnostics: dict | None = None, groups=None) -> Result:
    """The `Result` of the bounds of examples, in nats [N], from k samples of the posterior each."""
    values = checked_nats("log_prob", log_prob)
    protocol = {"num_real": len(values), "unit": "nats", "k": k}
    return Result(
        "importance_weighted_bound", values.mean(), standard_error(values, groups), protocol, diagnostics or {}
    )


@gin.register
class ImportanceWeightedBound(Metric):
    """The importance-weighted bound on log p of some test data, in nats and for images in bits per dimension.

    Of a model with a bound it is the one of its `log_prob`, of another one with a stochastic encoder that of images
    with normal noise, see `latent_model`. An implicit posterior has no density to weight with: the proposal is the
    normal with its moments, so that the bound does not depend on a discriminator's estimate of the posterior. The noise
    that dequantises an image is a function of the image and not of the seed, see `latent_model.dequantised`.

    Args:
        k: samples of an example.
        num_real: examples of the real split.
        sigma: σ of the observation model where the model has none of its own.

    Reference: Burda et al. 2016.
    """

    name = "importance_weighted_bound"
    default = False

    def __init__(self, k: int = 1000, num_real: int = 256, sigma: float = 0.1):
        check_sizes("ImportanceWeightedBound", k=k, num_real=num_real)
        check_positive("ImportanceWeightedBound.sigma", sigma)
        self.k, self.num_real, self.sigma = k, num_real, sigma

    def __call__(self, subject):
        model, indices = estimated_model(subject), choose(subject.real, self.num_real, subject.seed)
        if model.likelihood in ("exact", "unbiased"):
            raise NotApplicable(f"the likelihood of {type(model).__name__} is {model.likelihood} and needs no bound")
        if not model.bound_rises_with_draws:
            raise NotApplicable(f"the bound of {type(model).__name__} has its own number of draws: see likelihood")
        implicit = encodes_implicitly(model, subject.real.fetch(indices[:1]))
        if model.likelihood == "lower_bound" and not implicit:
            nats, repeats = log_probs(model, subject, indices, self.name, self.k, TOGETHER)
            result = bound_result(nats, self.k, groups=repeats.groups)
            protocol = {**repeats.protocol, **pixel_protocol(model), **observation_protocol(model, subject)}
        else:
            sigma = None if model.answers("observation") else self.sigma
            view = latent_model(model, subject.real.fetch(indices), sigma)
            if view.posterior is None:
                raise NotApplicable(f"{type(model).__name__} has no encoder with a density over latents")
            result, protocol = self._of_view(view, subject), dict(view.protocol)
            if implicit:
                protocol["proposal"] = "the normal with the moments of the implicit posterior"
        return with_bits(result.with_protocol(**subject.likelihood_protocol(), **protocol), model, subject)

    def work(self, subject):
        return Work(self.k * min(self.num_real, subject.real.spec.num_examples), "latents decoded")

    def _of_view(self, view: LatentModel, subject) -> Result:
        return importance_weighted_bound(
            x=view.x,
            k=self.k,
            log_likelihood=view.log_likelihood,
            prior=view.prior,
            posterior=view.posterior,
            log_det=view.log_det,
            groups=view.repeats.groups,
            seed=subject.seed,
            progress=subject.progress,
        )


def _require_density(distribution) -> None:
    if is_deterministic(distribution):
        raise UsageError(
            f"posterior gives a {type(distribution).__name__} of point masses, which have no density; give a "
            "stochastic encoder, or annealed importance sampling, which needs none"
        )
