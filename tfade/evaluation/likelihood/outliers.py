"""Whether a model's likelihood tells its own data from others."""

import gin
import numpy as np

from tfade.data.loading import load
from tfade.errors import UsageError, check_between, check_whole
from tfade.evaluation.answers import answers
from tfade.evaluation.choice import choose
from tfade.evaluation.likelihood.nll import checked_nats
from tfade.evaluation.metric import Metric, Work
from tfade.evaluation.result import NotApplicable, Result, threshold_error

ACCEPTED = 0.95


def outlier_detection(*, inside, outside, accepted: float = ACCEPTED) -> list[Result]:
    """How well log p(x), high for data like those of the training, tells them from others.

    Args:
        inside: log p of test data, [N].
        outside: log p of other data, [M].
        accepted: share of the test data that a threshold on log p is to accept.

    Returns:
        `Result`s in [0, 1]: "outlier_auroc", P(log p(inside) > log p(outside)) + ½ P(equal), with DeLong's standard
        error: 1 is perfect, ½ is no better than chance, and below ½ the other data are the likelier ones; and
        "accepted_outliers", the share of the other data above the threshold, with `threshold_error`.

    Raises:
        UsageError: values that are not finite floats [N], fewer than 2 of either, or a share out of range.

    Reference: DeLong et al. 1988; Nalisnick et al. 2019, "Do Deep Generative Models Know What They Don't Know?".
    """
    check_between("accepted", accepted, 0, 1)
    inside, outside = checked_nats("inside", inside), checked_nats("outside", outside)
    if min(len(inside), len(outside)) < 2:
        raise UsageError(f"{len(inside)} test data and {len(outside)} others; give 2 of each, or more")
    above, below = _shares_below(inside, outside), 1.0 - _shares_below(outside, inside)
    error = np.sqrt(above.var(ddof=1) / len(inside) + below.var(ddof=1) / len(outside))
    share = float((outside >= np.quantile(inside, 1.0 - accepted)).mean())
    protocol = {"num_real": len(inside), "num_outside": len(outside)}
    return [
        Result("outlier_auroc", above.mean(), error, protocol),
        Result(
            "accepted_outliers",
            share,
            threshold_error(inside, outside, 1.0 - accepted),
            {**protocol, "accepted": accepted},
        ),
    ]


def _shares_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each value the share of the others below it, those that are equal by half."""
    others = np.sort(others)
    places = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    return places / (2.0 * len(others))


@gin.register
class OutlierDetection(Metric):
    """The density of test data against that of another data set, as a score of what is out of distribution.

    The other set is loaded as the data are: `load`'s bindings, such as padding and averaging, hold for both.

    Args:
        data: the other data set, as `tfade.data.load` names it, such as "tfds:mnist" for a model of Fashion-MNIST.
        num_real: test data of either set, at most.
        accepted: see `outlier_detection`.
    """

    name = "outlier_detection"
    default = False

    def __init__(self, data: str | None = None, num_real: int = 2000, accepted: float = ACCEPTED):
        check_whole("OutlierDetection.num_real", num_real)
        check_between("OutlierDetection.accepted", accepted, 0, 1)
        self.data, self.num_real, self.accepted = data, num_real, accepted

    def work(self, subject):
        return Work(2 * min(self.num_real, subject.real.spec.num_examples), "likelihoods of examples")

    def __call__(self, subject):
        if subject.model.likelihood is None or subject.model.conditional:
            raise NotApplicable(f"{type(subject.model).__name__} has no log p(x) to tell data apart by")
        if self.data is None:
            raise NotApplicable("OutlierDetection.data names no other data set, such as 'tfds:mnist'")
        other = load(self.data, "test")
        if other.spec.shape != subject.real.spec.shape:
            raise UsageError(
                f"OutlierDetection.data={self.data!r} has examples of shape {list(other.spec.shape)}, the model's are "
                f"{list(subject.real.spec.shape)}; give data of one shape"
            )
        inside, outside = (self._nats(subject, source) for source in (subject.real, other))
        found = outlier_detection(inside=inside, outside=outside, accepted=self.accepted)
        more = {"outside": other.spec.name, "likelihood": subject.model.likelihood}
        return [result.with_protocol(**subject.protocol(), **more) for result in found]

    def _nats(self, subject, source) -> np.ndarray:
        indices = choose(source, self.num_real, subject.seed)
        found = answers(subject, lambda x, condition, seed: subject.model.log_prob(x), source, "likelihoods", indices)
        return np.concatenate([nats for *_, nats in found])
