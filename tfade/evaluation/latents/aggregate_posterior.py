"""Codes of the aggregate posterior q(z) = (1/N) Σ_n q(z | x_n), with the log-densities of its divergences."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfade.distributions.topdown_latents import TopDownLatents
from tfade.errors import UsageError
from tfade.evaluation.checks import checked_features
from tfade.evaluation.latents.posterior_kinds import DECODED
from tfade.evaluation.latents.posteriors import Posteriors
from tfade.evaluation.result import Result, standard_error

PRIOR_BLOCK = 5000  # codes that a prior gets at a time, fewer where it is a decoder with latents of its own


@dataclasses.dataclass(frozen=True)
class MixtureDraws:
    """Codes of q(z) = (1/N) Σ_n q(z | x_n), with the three log-densities that every term here is made of.

    Attributes:
        indices: of the examples that the codes belong to, [S].
        codes: [S, D].
        log_posterior: log q(z_s | x_n(s)), [S].
        log_mixture: log q(z_s), over all N examples, [S].
        log_prior: log p(z_s), [S].
        protocol: N, S and the seed.
        diagnostics: the size of a code and the kind of the posteriors.
    """

    indices: np.ndarray
    codes: np.ndarray
    log_posterior: np.ndarray
    log_mixture: np.ndarray
    log_prior: np.ndarray
    protocol: dict
    diagnostics: dict


def mixture_draws(
    *,
    posteriors: Posteriors,
    prior=None,
    num_samples: int = 5000,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> MixtureDraws:
    """Draws from the aggregate posterior; see `MixtureDraws`.

    Args:
        posteriors: q(z | x_n) of the whole data set.
        prior: p(z), whose `log_prob` takes codes [s, D]; None for N(0, I).
        num_samples: S ≥ 2.
        seed: of the draws.
        progress: receives the number of examples done, periodically.

    Raises:
        UsageError: fewer than 2 samples, or posteriors without a density.
    """
    if not posteriors.has_density:
        raise UsageError(f"posteriors are {posteriors.kind} and have no density; estimate KL from their codes")
    drawn = posteriors.draw(num_samples, seed)
    protocol = {
        "num_posteriors": posteriors.count,
        "num_samples": num_samples,
        "seed": seed,
        "unit": "nats",
        "dtype": "float64",
    }
    return MixtureDraws(
        drawn.indices,
        drawn.codes,
        drawn.log_posterior,
        posteriors.log_mixture(drawn.codes, progress),
        log_prior(prior, drawn.codes),
        protocol,
        {"latent_size": posteriors.dimensions, "posterior": posteriors.kind},
    )


def codes_together(prior) -> int:
    """How many codes a prior gets at a time."""
    return max(1, min(PRIOR_BLOCK, DECODED // prior.activations)) if isinstance(prior, TopDownLatents) else PRIOR_BLOCK


def log_prior(prior, codes) -> np.ndarray:
    """log p(z) of codes [S, D], float64 [S]; None stands for N(0, I).

    Raises:
        UsageError: codes that are not finite [S, D], or a prior that does not give one value for each.
    """
    codes = checked_features("codes", codes)
    if prior is None:
        return -0.5 * (codes**2).sum(1) - codes.shape[1] / 2 * np.log(2 * np.pi)
    dtype = tf.as_dtype(getattr(prior, "dtype", tf.float32))
    together = codes_together(prior)
    blocks = (tf.constant(codes[start : start + together], dtype) for start in range(0, len(codes), together))
    values = np.concatenate([np.asarray(prior.log_prob(block), np.float64).reshape(-1) for block in blocks])
    if values.shape != (len(codes),):
        raise UsageError(f"prior gave {values.size} log-densities of {len(codes)} codes; its event shape must be [D]")
    return values


def draws_from(posteriors, prior, num_samples: int, seed: int, draws: MixtureDraws | None) -> MixtureDraws:
    """`draws` where they are given, else those of the posteriors.

    Raises:
        UsageError: neither posteriors nor draws, or both.
    """
    if (posteriors is None) == (draws is None):
        raise UsageError("give either posteriors= or draws=, and not both")
    if draws is not None:
        return draws
    return mixture_draws(posteriors=posteriors, prior=prior, num_samples=num_samples, seed=seed)


def mean_of_draws(name: str, values: np.ndarray, protocol: dict, diagnostics: dict) -> Result:
    """The mean of a value for each draw. Draws are stratified over the examples, so the error is rather too large."""
    return Result(name, values.mean(), standard_error(values), protocol, diagnostics)
