"""Data of one class: no metric fails, those that need a classifier give a reason, the others their numbers."""

import json

import numpy as np
import pytest

from tests.evaluation.replay import Replay
from tfade.data.source import ArraySource
from tfade.evaluation import NotApplicable, Subject, evaluate, select

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
REASON = "has one class in its train split; a classifier needs two"


def subject_of(label: int, num_classes: int) -> Subject:
    splits = [ArraySource("alike", split, IMAGES, np.full(40, label), num_classes) for split in ("test", "train")]
    return Subject(Replay(splits[0]), *splits, num_samples=20, progress=lambda line: None)


@pytest.mark.parametrize(("label", "num_classes"), [(0, 1), (3, 4)], ids=["one", "one of four"])
def test_every_quick_metric_of_one_class(tmp_path, label, num_classes):
    report = evaluate(subject_of(label, num_classes), finished=lambda record: record.save(tmp_path))
    assert not report.failures
    outcomes = {outcome.metric: outcome for outcome in report.outcomes}
    assert REASON in outcomes["classifier_frechet_distance"].not_applicable
    errors = outcomes["reconstruction_error"]
    assert [result.name for result in errors.results] == ["mean_absolute_error", "root_mean_square_error"]
    assert errors.results[0].value < 1e-6
    assert errors.results[0].protocol["same_label_share"] == f"not applicable: data='alike' {REASON}"
    assert json.loads((tmp_path / "reconstruction_error.json").read_text(encoding="utf-8"))["results"]


def test_no_metric_fails_for_want_of_classes():
    """Of all metrics; those that cannot with such a model or so few images say so."""
    names = (
        "inception_score",
        "mode_score",
        "precision_recall",
        "kernel_distance",
        "classification_scores",
        "mode_coverage",
    )
    report = evaluate(subject_of(0, 1), select(",".join(names)))
    assert not report.failures
    assert [outcome.metric for outcome in report.outcomes if outcome.not_applicable] == list(names)


def test_two_classes_are_enough():
    labels = np.arange(40) % 2
    splits = [ArraySource("two", split, IMAGES, labels, 2) for split in ("test", "train")]
    subject = Subject(Replay(splits[0]), *splits, num_samples=20, progress=lambda line: None)
    assert subject.labelled
    assert subject.unlabelled is None
    with pytest.raises(NotApplicable, match="one class"):
        _ = subject_of(0, 1).classifier
