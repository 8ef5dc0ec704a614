"""The variational bound taken apart: reconstruction, mutual information, and KL of the aggregate posterior."""

import gin
import numpy as np

from tfade.errors import UsageError, check_whole
from tfade.evaluation.latents.aggregate_posterior import MixtureDraws, draws_from, mean_of_draws
from tfade.evaluation.latents.codes import MAX_PAIRS, bounds, code_protocol, draws_of
from tfade.evaluation.latents.posteriors import Posteriors
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Result


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
        bound: the bound in nats of each draw's example, [S]; None to leave out the first equation.

    Returns:
        `Result`s "average_kl", "mutual_information" and "elbo_marginal_kl" in nats, with standard errors; with a bound
        before them "elbo" and "elbo_reconstruction", which is the bound and the average KL together.

    Raises:
        UsageError: as `marginal_kl`; or a bound that is not a finite number for each draw.

    Reference: Hoffman and Johnson 2016, "ELBO surgery", section 2.
    """
    draws = draws_from(posteriors, prior, num_samples, seed, draws)
    kl = draws.log_posterior - draws.log_prior
    terms = {
        "average_kl": kl,
        "mutual_information": draws.log_posterior - draws.log_mixture,
        "elbo_marginal_kl": draws.log_mixture - draws.log_prior,
    }
    if bound is not None:
        bound = np.asarray(bound, np.float64)
        if bound.shape != kl.shape or not np.isfinite(bound).all():
            raise UsageError(f"bound has shape {list(bound.shape)}; give finite nats, one for each of {len(kl)} draws")
        terms = {"elbo": bound, "elbo_reconstruction": bound + kl, **terms}
    return [mean_of_draws(name, values, draws.protocol, draws.diagnostics) for name, values in terms.items()]


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
        self.num_samples = check_whole("ElboSurgery.num_samples", num_samples)
        self.max_pairs = check_whole("ElboSurgery.max_pairs", max_pairs)

    def __call__(self, subject):
        draws = draws_of(subject, self.num_samples, self.max_pairs)
        bound = None
        if subject.model.has_class_prior:
            subject.progress(f"  {self.name}: elbo not applicable: the bound is over p(z | y), these terms p(z)")
        elif subject.model.likelihood == "lower_bound":
            images, places = np.unique(draws.indices, return_inverse=True)
            bound = bounds(subject, images)[places]
        else:
            subject.progress(f"  {self.name}: elbo not applicable: {type(subject.model).__name__} has no bound")
        return [result.with_protocol(**code_protocol(subject)) for result in elbo_surgery(draws=draws, bound=bound)]
