"""The aggregate posterior against the prior, and the variational bound taken apart: Monte Carlo over all the data."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfade.distributions.topdown_codes import TopDownCodes
from tfade.errors import UsageError
from tfade.evaluation.checks import checked_features
from tfade.evaluation.latents.posteriors import DECODED, Posteriors
from tfade.evaluation.likelihood.nll import standard_error
from tfade.evaluation.result import Result

PRIOR_BLOCK = 5000  # codes that a prior sees at a time, fewer where it is a decoder with latents of its own


@dataclasses.dataclass(frozen=True)
class MixtureDraws:
    """Codes of q(z) = (1/N) Σ_n q(z | x_n), with the three log-densities that every term here is made of.

    Attributes:
        indices: of the examples that the codes belong to, [S].
        codes: [S, D].
        log_posterior: log q(z_s | x_n(s)), [S].
        log_mixture: log q(z_s), over all N examples, [S].
        log_prior: log p(z_s), [S].
        protocol: N, S, seed and the kind of the posteriors.
    """

    indices: np.ndarray
    codes: np.ndarray
    log_posterior: np.ndarray
    log_mixture: np.ndarray
    log_prior: np.ndarray
    protocol: dict


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
        progress: receives the number of examples that are done, now and then.

    Raises:
        UsageError: fewer than 2 samples, or posteriors without a density.
    """
    if not posteriors.has_density:
        raise UsageError(f"posteriors are {posteriors.kind} and have no density; estimate KL from their codes")
    drawn = posteriors.draw(num_samples, seed)
    protocol = {
        "num_posteriors": posteriors.count,
        "num_samples": num_samples,
        "latent_size": posteriors.dimensions,
        "posterior": posteriors.kind,
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
    )


def codes_together(prior) -> int:
    """How many codes a prior may see at a time."""
    return max(1, min(PRIOR_BLOCK, DECODED // prior.numbers)) if isinstance(prior, TopDownCodes) else PRIOR_BLOCK


def log_prior(prior, codes) -> np.ndarray:
    """log p(z) of codes [S, D], float64 [S]; None stands for N(0, I).

    Raises:
        UsageError: codes that are not finite [S, D], or a prior that does not give them a number each.
    """
    codes = checked_features("codes", codes)
    if prior is None:
        return -0.5 * (codes**2).sum(1) - codes.shape[1] / 2 * np.log(2 * np.pi)
    dtype = tf.as_dtype(getattr(prior, "dtype", tf.float32))
    together = codes_together(prior)
    blocks = (tf.constant(codes[start : start + together], dtype) for start in range(0, len(codes), together))
    values = np.concatenate([np.asarray(prior.log_prob(block), np.float64).reshape(-1) for block in blocks])
    if values.shape != (len(codes),):
        raise UsageError(f"prior gave {values.size} log-densities of {len(codes)} codes; give one over [D]")
    return values


def marginal_kl(
    *, posteriors: Posteriors | None = None, prior=None, num_samples: int = 5000, seed: int = 0, draws=None
) -> Result:
    """KL of the aggregate posterior from the prior: how far the codes that the decoder learnt are from those it gets.

        KL(q(z) ‖ p(z)) = E_q(z)[log q(z) - log p(z)],   q(z) = (1/N) Σ_n q(z | x_n)

    The sum runs over all N examples, so the estimate is unbiased for them. As a statement about the distribution of the
    data it is biased upwards for few: it cannot be below the average KL by more than log N.

    Args:
        posteriors, prior, num_samples, seed: see `mixture_draws`.
        draws: its result, where it is at hand; instead of the others.

    Returns:
        `Result` "marginal_kl" in nats, with its standard error; a little below 0 only within that.

    Raises:
        UsageError: as `mixture_draws`; or neither posteriors nor draws.

    Reference: Hoffman and Johnson 2016; Rosca et al. 2018, section 4.
    """
    draws = _draws(posteriors, prior, num_samples, seed, draws)
    protocol = {**draws.protocol, "method": "Monte Carlo"}
    return _mean("marginal_kl", draws.log_mixture - draws.log_prior, protocol)


def elbo_surgery(
    *,
    posteriors: Posteriors | None = None,
    prior=None,
    bound=None,
    num_samples: int = 5000,
    seed: int = 0,
    draws: MixtureDraws | None = None,
) -> list[Result]:
    """The terms of the bound, from the same draws, so that the second equation holds for the estimates themselves.

        ELBO = E[log p(x | z)] - E KL(q(z | x) ‖ p(z)),   E KL(q(z | x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z))

    I(x; z) is the mutual information of the example's index and its code under q: between 0 and log N.

    Args:
        posteriors, prior, num_samples, seed, draws: as for `marginal_kl`.
        bound: the bound in nats of each draw's example, [S]; None where there is none, and then no first equation.

    Returns:
        `Result`s "average_kl", "mutual_information" and "elbo_marginal_kl" in nats, with standard errors; with a bound
        before them "elbo" and "elbo_reconstruction", which is the bound and the average KL together.

    Raises:
        UsageError: as `marginal_kl`; or a bound that is not a finite number for each draw.

    Reference: Hoffman and Johnson 2016, "ELBO surgery", section 2.
    """
    draws = _draws(posteriors, prior, num_samples, seed, draws)
    kl = draws.log_posterior - draws.log_prior
    results = [
        _mean("average_kl", kl, draws.protocol),
        _mean("mutual_information", draws.log_posterior - draws.log_mixture, draws.protocol),
        _mean("elbo_marginal_kl", draws.log_mixture - draws.log_prior, draws.protocol),
    ]
    if bound is None:
        return results
    bound = np.asarray(bound, np.float64)
    if bound.shape != kl.shape or not np.isfinite(bound).all():
        raise UsageError(f"bound has shape {list(bound.shape)}; give finite nats, one for each of {len(kl)} draws")
    return [
        _mean("elbo", bound, draws.protocol),
        _mean("elbo_reconstruction", bound + kl, draws.protocol),
        *results,
    ]


def density_model_kl(*, codes, density, prior=None) -> Result:
    """KL(q(z) ‖ p(z)) with a fitted density q̂ in the place of q, on codes that it was not fitted to.

        E_q(z)[log q̂(z) - log p(z)] = KL(q ‖ p) - KL(q ‖ q̂),

    in expectation a lower bound, the closer the better q̂ fits.

    Args:
        codes: held-out codes, [S, D], S ≥ 2.
        density: q̂; its `log_prob` takes codes [s, D].
        prior: as in `mixture_draws`.

    Returns:
        `Result` "marginal_kl_density_model" in nats, with the standard error of these codes.

    Raises:
        UsageError: fewer than 2 codes, or densities that do not give each a finite number.

    Reference: Rosca et al. 2018, appendix E.3.
    """
    codes = checked_features("codes", codes)
    ratio = log_prior(density, codes) - log_prior(prior, codes)
    if len(codes) < 2:
        raise UsageError(f"codes has {len(codes)} code; a mean with an error needs 2")
    if not np.isfinite(ratio).all():
        raise UsageError(f"density or prior gives {int((~np.isfinite(ratio)).sum())} codes no finite log-density")
    protocol = {"num_held_out": len(codes), "latent_size": codes.shape[1], "unit": "nats", "method": "density model"}
    return _mean("marginal_kl_density_model", ratio, protocol)


def _draws(posteriors, prior, num_samples: int, seed: int, draws: MixtureDraws | None) -> MixtureDraws:
    if (posteriors is None) == (draws is None):
        raise UsageError("give either posteriors= or draws=, and not both")
    if draws is not None:
        return draws
    return mixture_draws(posteriors=posteriors, prior=prior, num_samples=num_samples, seed=seed)


def _mean(name: str, values: np.ndarray, protocol: dict) -> Result:
    """The mean of a value for each draw. Draws are stratified over the examples, so the error is rather too large."""
    return Result(name, values.mean(), standard_error(values), protocol)
