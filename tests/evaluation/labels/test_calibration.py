"""Accuracy and calibration of classifiers, and the density as an out-of-distribution score."""

import numpy as np
import pytest
from scipy import stats

from tfade.contract import Contract
from tfade.data.source import ArraySource
from tfade.errors import UsageError
from tfade.evaluation import Calibration, NotApplicable, OutlierDetection, Subject, calibration, outlier_detection


def test_a_case_by_hand():
    """Two examples at 0.9, one of them wrong, and one at 0.6, right: |0.5 - 0.9| · 2/3 + |1 - 0.6| · 1/3."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]])
    accuracy, error, nats = calibration(log_probabilities=np.log(probabilities), labels=[0, 1, 1])
    assert accuracy.value == pytest.approx(2 / 3)
    assert error.value == pytest.approx(0.4)
    assert nats.value == pytest.approx(-np.mean(np.log([0.9, 0.1, 0.6])))
    coarse = calibration(log_probabilities=np.log(probabilities), labels=[0, 1, 1], bins=1)[1]
    assert coarse.value == pytest.approx(abs(2 / 3 - 0.8))


def test_probabilities_that_are_true_are_calibrated_and_sharper_ones_are_not():
    generator = np.random.default_rng(0)
    logits = 2 * generator.normal(size=(20_000, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([generator.choice(4, p=row) for row in probabilities])
    true = calibration(log_probabilities=np.log(probabilities), labels=labels)
    assert true[1].value < 0.015
    sharp = probabilities**3 / (probabilities**3).sum(1, keepdims=True)
    found = calibration(log_probabilities=np.log(sharp), labels=labels)
    assert found[0].value == true[0].value
    assert found[1].value > 0.1
    assert found[2].value > true[2].value


def test_outliers_by_hand_and_by_mann_and_whitney():
    found = outlier_detection(inside=[3.0, 2.0, 1.0], outside=[2.0, 0.0], accepted=0.6)
    assert found[0].value == pytest.approx((1 + 0.75 + 0.5) / 3)
    assert found[1].value == 0.5  # the threshold lies at 1.8
    generator = np.random.default_rng(1)
    inside, outside = generator.normal(1, 1, 300), generator.normal(0, 2, 200)
    auroc = outlier_detection(inside=inside, outside=outside)[0]
    assert auroc.value == pytest.approx(stats.mannwhitneyu(inside, outside).statistic / (300 * 200))
    draws = [
        stats.mannwhitneyu(generator.normal(1, 1, 300), generator.normal(0, 2, 200)).statistic / (300 * 200)
        for _ in range(300)
    ]
    assert auroc.std == pytest.approx(np.std(draws), rel=0.2)


class Judge(Contract):
    """Knows the class of a vector by its first number, and its density by the second."""

    likelihood = "exact"

    def classify(self, x):
        sure = np.log([[0.9, 0.1]])
        return np.where(np.asarray(x)[:, :1] > 0, sure[:, ::-1], sure)

    def log_prob(self, x, num_samples=1):
        return -(np.asarray(x)[:, 1].astype(np.float64) ** 2)


def subject_of(model, **labels):
    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    source = ArraySource("vectors", "test", x, **labels)
    return Subject(model, real=source, train=source, batch_size=20, progress=lambda line: None), x


def test_the_metrics_ask_the_model(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    subject, x = subject_of(Judge(), labels=(x[:, 0] > 0).astype(np.int32), num_classes=2)
    accuracy, error, _ = Calibration()(subject)
    assert accuracy.value == 1
    assert error.value == pytest.approx(0.1)
    other = tmp_path / "other.npz"
    np.savez(other, images=(3 + x).astype(np.float32), labels=np.zeros(50, np.int64))
    found = OutlierDetection(f"npz:{other}", num_real=5)(subject)
    assert found[0].value > 0.7
    assert found[0].protocol["num_outside"] == 5
    with pytest.raises(NotApplicable, match="names no other data set"):
        OutlierDetection()(subject)
    with pytest.raises(NotApplicable, match="Contract does not classify"):
        Calibration()(subject_of(Contract())[0])
    with pytest.raises(UsageError, match=r"data='digits' has examples of shape \[16, 16, 1\], the model's are \[2\]"):
        OutlierDetection("digits")(subject)


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda: calibration(log_probabilities=np.zeros((2, 2)), labels=[0, 1]), "log_probabilities"),
        (lambda: calibration(log_probabilities=np.log([[0.5, 0.5]]), labels=[2]), "integers from 0 to 1"),
        (lambda: calibration(log_probabilities=np.log([[0.5, 0.5]]), labels=[0, 1]), "labels are 2"),
        (lambda: calibration(log_probabilities=np.log([[0.5, 0.5]]), labels=[0], bins=0), "bins=0"),
        (lambda: outlier_detection(inside=[1.0], outside=[1.0, 2.0]), "1 test data and 2 others"),
        (lambda: outlier_detection(inside=[1.0, np.nan], outside=[1.0, 2.0]), "inside holds 1 NaN"),
        (lambda: outlier_detection(inside=[1.0, 2.0], outside=[1.0, 2.0], accepted=1.0), "accepted=1.0"),
    ],
)
def test_invalid_input_is_rejected(measure, message):
    with pytest.raises(UsageError, match=message):
        measure()
