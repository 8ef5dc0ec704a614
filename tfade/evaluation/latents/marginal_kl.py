"""KL of the aggregate posterior from the prior: how far the decoder's inputs in training are from those in sampling."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import gin
import numpy as np

from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError, check_sizes, check_whole
from tfade.evaluation.checks import checked_features
from tfade.evaluation.latents.aggregate_posterior import draws_from, log_prior, mean_of_draws
from tfade.evaluation.latents.codes import MAX_PAIRS, code_protocol, draws_of, prior_latents, prior_of
from tfade.evaluation.latents.density_ratio import density_ratio_kl
from tfade.evaluation.latents.posteriors import Posteriors
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import NotApplicable, Result
from tfade.evaluation.settings import settings_of

METHODS = ("monte_carlo", "density_ratio", "density_model")


def marginal_kl(
    *, posteriors: Posteriors | None = None, prior=None, num_samples: int = 5000, seed: int = 0, draws=None
) -> Result:
    """KL of the aggregate posterior from the prior: the mismatch of the decoder's inputs in training and in sampling.

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
    draws = draws_from(posteriors, prior, num_samples, seed, draws)
    protocol = {**draws.protocol, "method": "Monte Carlo"}
    return mean_of_draws("marginal_kl", draws.log_mixture - draws.log_prior, protocol, draws.diagnostics)


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
        raise UsageError(f"codes has {len(codes)} code; a standard error needs at least 2")
    if not np.isfinite(ratio).all():
        raise UsageError(f"log-density of density or prior is not finite at {int((~np.isfinite(ratio)).sum())} codes")
    protocol = {"num_held_out": len(codes), "unit": "nats", "method": "density model"}
    return mean_of_draws("marginal_kl_density_model", ratio, protocol, {"latent_size": codes.shape[1]})


@dataclasses.dataclass(frozen=True)
class FittedMixture:
    """A fitted layer, as `fit_density` returns one too, and its density."""

    density: GaussianMixture
    distribution: Any

    def log_prob(self, codes):
        """Nats [n] of codes [n, D]."""
        return self.distribution.log_prob(codes)


def fit_mixture(codes: np.ndarray, seed: int = 0, restarts: int = 5, iterations: int = 200):
    """A mixture of diagonal Gaussians, ten unless gin binds another number; the default of `MarginalKL.fit`.

    Args:
        codes: [n, D].
        seed, restarts, iterations: of expectation-maximisation, see `GaussianMixture.fit_em`.
    """
    mixture = gin.get_configurable(GaussianMixture)(covariance="diagonal")
    mixture.build(codes.shape[1:])
    mixture.fit_em(codes, seed, restarts, iterations)
    return FittedMixture(mixture, mixture.distribution())


@gin.register
class MarginalKL(Metric):
    """KL of the aggregate posterior from the prior, by one method or several; 0 is a model whose codes match its prior.

    Deterministic codes have no density, so that Monte Carlo does not apply to them; the other methods do.

    Args:
        methods: "monte_carlo" (exact but for its standard error), "density_ratio" (a classifier, see
            `RatioClassifier`), "density_model" (a fitted density, a lower bound).
        num_samples: codes that Monte Carlo draws.
        num_codes: codes of either kind that the other methods take, of which a quarter is held out; deterministic ones
            at most as many as there are training examples.
        max_pairs: codes of a hierarchical VAE times training images, above which Monte Carlo is not applicable, for it
            would decode them all.
        fit: codes [n, D] → a density with `log_prob`, such as @fit_density in gin; None for `fit_mixture`.

    Raises:
        UsageError: an unknown method.

    Reference: Rosca et al. 2018, section 4.
    """

    name = "marginal_kl"
    default = False

    def __init__(
        self,
        methods: Sequence[str] = ("monte_carlo", "density_ratio"),
        num_samples: int = 5000,
        num_codes: int = 20_000,
        fit: Callable | None = None,
        max_pairs: int = MAX_PAIRS,
    ):
        if not methods or set(methods) - set(METHODS):
            raise UsageError(f"MarginalKL.methods={methods!r}; give some of {', '.join(METHODS)}")
        check_sizes("MarginalKL", num_samples=num_samples, num_codes=num_codes)
        self.methods, self.num_samples, self.num_codes = tuple(methods), num_samples, num_codes
        self.fit, self.max_pairs = fit, check_whole("MarginalKL.max_pairs", max_pairs)

    def __call__(self, subject):
        estimates = dict(zip(METHODS, (self._monte_carlo, self._density_ratio, self._density_model)))
        results, missing = [], {}
        for method in self.methods:
            try:
                results.append(estimates[method](subject))
            except NotApplicable as error:
                missing[method] = str(error)
        if not results:
            raise NotApplicable("; ".join(dict.fromkeys(missing.values())))
        # Not in the protocol, so that the other methods' results stay comparable.
        for method, reason in missing.items():
            subject.progress(f"  {self.name}: {method} not applicable: {reason}")
        return [result.with_protocol(**code_protocol(subject)) for result in results]

    def _monte_carlo(self, subject) -> Result:
        return marginal_kl(draws=draws_of(subject, self.num_samples, self.max_pairs))

    def _codes(self, subject) -> np.ndarray:
        return subject.posteriors.draw(subject.posteriors.distinct(self.num_codes), subject.seed).codes

    def _density_ratio(self, subject) -> Result:
        codes = self._codes(subject)
        return density_ratio_kl(
            codes=codes,
            prior_latents=prior_latents(subject, len(codes), 0),
            seed=subject.seed,
            progress=subject.progress,
        )

    def _density_model(self, subject) -> Result:
        codes = self._codes(subject)
        held_out = len(codes) // 4
        fit = self.fit or fit_mixture
        fitted = fit(codes[held_out:])
        result = density_model_kl(codes=codes[:held_out], density=fitted, prior=prior_of(subject))
        density = getattr(fitted, "density", fitted)
        size = {}
        if isinstance(density, GaussianMixture):
            size = {"components": density.components, "covariance": density.covariance}
        fitting = {"density": type(density).__name__, "fit": {**settings_of(fit), **size}}
        return result.with_protocol(num_codes=len(codes), **fitting)
