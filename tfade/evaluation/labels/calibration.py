"""Accuracy and calibration of a model that classifies."""

import gin
import numpy as np

from tfade.errors import UsageError, check_whole
from tfade.evaluation.answers import answers
from tfade.evaluation.checks import checked_features, checked_integers, checked_probabilities
from tfade.evaluation.metric import Metric, Work
from tfade.evaluation.result import NotApplicable, Result, standard_error

BINS = 15


def calibration(*, log_probabilities, labels, bins: int = BINS) -> list[Result]:
    """Accuracy, expected calibration error and mean -log p(c | x) of a classifier.

        ECE = Σ_b n_b / N · |accuracy_b - confidence_b|

    over bins of equal width of the confidence, the probability of the most probable class.

    Args:
        log_probabilities: log p(c | x) in nats, [N, K].
        labels: the classes, integers [N] in [0, K).
        bins: of the confidence.

    Returns:
        `Result`s "accuracy" with its binomial standard error, "calibration_error", which has none (it is biased upwards
        where bins hold few examples), and "class_nll" in nats.

    Raises:
        UsageError: rows that are not log-probabilities, labels outside the classes, or not one for each row.

    Reference: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    check_whole("bins", bins)
    rows = checked_features("log_probabilities", log_probabilities)
    checked_probabilities("exp(log_probabilities)", np.exp(rows))
    labels = checked_integers("labels", labels, rows.shape[1])
    if len(labels) != len(rows):
        raise UsageError(f"labels are {len(labels)}, log_probabilities {len(rows)} rows; give one for each")
    confidence, right = np.exp(rows.max(1)), (rows.argmax(1) == labels).astype(np.float64)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, right - confidence, bins)
    protocol = {"num_real": len(rows), "classes": rows.shape[1]}
    nats = -rows[np.arange(len(rows)), labels]
    return [
        Result("accuracy", right.mean(), standard_error(right), protocol),
        Result("calibration_error", np.abs(gaps).sum() / len(rows), None, {**protocol, "bins": bins}),
        Result("class_nll", nats.mean(), standard_error(nats), {**protocol, "unit": "nats"}),
    ]


@gin.register
class Calibration(Metric):
    """Accuracy and calibration on the whole test split, of models that classify.

    Args:
        bins: of the confidence.

    Reference: Guo et al. 2017, equation 3.
    """

    name = "calibration"

    def __init__(self, bins: int = BINS):
        self.bins = check_whole("Calibration.bins", bins)

    def work(self, subject):
        return Work(subject.real.spec.num_examples, "classes of examples")

    def __call__(self, subject):
        if not subject.model.answers("classify"):
            raise NotApplicable(f"{type(subject.model).__name__} does not classify")
        rows, labels = [], []
        found = answers(subject, lambda x, condition, seed: subject.model.classify(x), subject.real, "classes")
        for indices, _, log_probabilities in found:
            rows.append(np.asarray(log_probabilities))
            labels.append(subject.real.labels(indices))
        found = calibration(log_probabilities=np.concatenate(rows), labels=np.concatenate(labels), bins=self.bins)
        return [result.with_protocol(**subject.protocol()) for result in found]
