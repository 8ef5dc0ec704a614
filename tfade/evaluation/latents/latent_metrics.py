"""The suite's numbers of codes: is what the decoder learnt from what it gets when it samples?"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import gin
import numpy as np

from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError
from tfade.evaluation.latents.active_units import THRESHOLD, active_units
from tfade.evaluation.latents.codes import MAX_PAIRS, bounds, centres, code_protocol, draws_of, prior_codes, prior_of
from tfade.evaluation.latents.density_ratio import density_ratio_kl
from tfade.evaluation.latents.elbo_surgery import density_model_kl, elbo_surgery, marginal_kl
from tfade.evaluation.metrics import Metric
from tfade.evaluation.result import Result
from tfade.evaluation.settings import settings_of
from tfade.evaluation.subject import NotApplicable

METHODS = ("monte_carlo", "density_ratio", "density_model")


@dataclasses.dataclass(frozen=True)
class FittedMixture:
    """A fitted layer, as `fit_density` returns one too, and its density."""

    density: GaussianMixture
    distribution: Any

    def log_prob(self, codes):
        """Nats [n] of codes [n, D]."""
        return self.distribution.log_prob(codes)


def fit_mixture(codes: np.ndarray, seed: int = 0, restarts: int = 5, iterations: int = 200):
    """A mixture of diagonal Gaussians, ten unless gin binds another number; what `MarginalKL.fit` is by default.

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
        num_codes: codes of either kind that the other methods take, of which a quarter is held out.
        max_pairs: codes of a hierarchical VAE times training images, above which Monte Carlo is not applicable, for it
            would decode them all.
        fit: codes [n, D] → what has `log_prob`, such as @fit_density in gin; None for `fit_mixture`.

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
        self.methods, self.num_samples, self.num_codes = tuple(methods), num_samples, num_codes
        self.fit, self.max_pairs = fit, max_pairs

    def __call__(self, subject):
        results, missing = [], {}
        for method in self.methods:
            try:
                results.append(getattr(self, f"_{method}")(subject))
            except NotApplicable as error:
                missing[method] = str(error)
        if not results:
            raise NotApplicable("; ".join(dict.fromkeys(missing.values())))
        for method, reason in missing.items():  # no part of a protocol: numbers of the other methods stay comparable
            subject.progress(f"  {self.name}: {method} not applicable: {reason}")
        return [result.with_protocol(**code_protocol(subject)) for result in results]

    def _monte_carlo(self, subject) -> Result:
        return marginal_kl(draws=draws_of(subject, self.num_samples, self.max_pairs))

    def _density_ratio(self, subject) -> Result:
        codes = subject.posteriors.draw(self.num_codes, subject.seed).codes
        return density_ratio_kl(
            codes=codes,
            prior_codes=prior_codes(subject, self.num_codes, 0),
            seed=subject.seed,
            progress=subject.progress,
        )

    def _density_model(self, subject) -> Result:
        codes = subject.posteriors.draw(self.num_codes, subject.seed).codes
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


@gin.register
class ElboSurgery(Metric):
    """The bound's terms on training images: reconstruction, mutual information, and the aggregate posterior's KL.

    Args:
        num_samples: codes that are drawn, and images whose bound is taken.
        max_pairs: see `MarginalKL`.

    Reference: Hoffman and Johnson 2016.
    """

    name = "elbo_surgery"
    default = False

    def __init__(self, num_samples: int = 5000, max_pairs: int = MAX_PAIRS):
        self.num_samples, self.max_pairs = num_samples, max_pairs

    def __call__(self, subject):
        draws = draws_of(subject, self.num_samples, self.max_pairs)
        bound = None
        if getattr(subject.model, "likelihood", None) == "lower_bound":
            images, places = np.unique(draws.indices, return_inverse=True)
            bound = bounds(subject, images)[places]
        else:
            subject.progress(f"  {self.name}: elbo not applicable: {type(subject.model).__name__} has no bound")
        return [result.with_protocol(**code_protocol(subject)) for result in elbo_surgery(draws=draws, bound=bound)]


@gin.register
class ActiveUnits(Metric):
    """The number of dimensions of the code that move with the data, of the posteriors' centres.

    Args:
        threshold: variance over the data above which a dimension is active.

    Reference: Burda et al. 2016, section 5.2.
    """

    name = "active_units"
    default = False

    def __init__(self, threshold: float = THRESHOLD):
        self.threshold = threshold

    def __call__(self, subject):
        means, kind = centres(subject)
        return [active_units(means=means, threshold=self.threshold).with_protocol(**code_protocol(subject), means=kind)]
