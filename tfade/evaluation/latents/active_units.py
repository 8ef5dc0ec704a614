"""Active units: how many dimensions of the code the data move."""

import gin

from tfade.errors import UsageError, check_finite
from tfade.evaluation.checks import checked_features
from tfade.evaluation.latents.codes import centres, code_protocol
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Result

THRESHOLD = 0.01


def active_units(*, means, threshold: float = THRESHOLD) -> Result:
    """The number of dimensions d with Var_x(E_q(z|x)[z_d]) > threshold; the variance is over the data, ddof = 1.

    The threshold is meant for a prior of variance 1. A dimension that the posterior leaves to the prior has variance 0.

    Args:
        means: the mean of each example's posterior, [N, D], N ≥ 2.
        threshold: > 0.

    Returns:
        `Result` "active_units", an integer between 0 and D, without an uncertainty.

    Raises:
        UsageError: means that are not finite [N, D] with N ≥ 2, or a threshold that is not positive.

    Reference: Burda et al. 2016, "Importance weighted autoencoders", section 5.2.
    """
    means = checked_features("means", means)
    if len(means) < 2:
        raise UsageError(f"means has {len(means)} example; a variance needs at least 2")
    if not threshold > 0:
        raise UsageError(f"threshold={threshold!r} is not positive; the paper has {THRESHOLD}")
    active = int((means.var(axis=0, ddof=1) > threshold).sum())
    protocol = {"num_means": len(means), "threshold": threshold, "ddof": 1}
    return Result("active_units", active, None, protocol, {"latent_size": means.shape[1]})


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
        check_finite("ActiveUnits.threshold", threshold)
        self.threshold = threshold

    def __call__(self, subject):
        means, kind = centres(subject)
        return [active_units(means=means, threshold=self.threshold).with_protocol(**code_protocol(subject), means=kind)]
