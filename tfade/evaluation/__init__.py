"""Evaluation: array functions that return a `Result`, and a suite that applies them to a model and its data.

from tfade.evaluation import frechet_distance
frechet_distance(real=real_features, fake=fake_features).value

from tfade.evaluation import Subject, evaluate, select
report = evaluate(Subject(model, real=test, train=train), select("mode_coverage,reconstruction_error"))
print(report.table())
"""

from tfade.evaluation.classifier import Classifier, StackedClassifier, train_classifier
from tfade.evaluation.foreign import ForeignImages, read_foreign
from tfade.evaluation.frechet import frechet_distance
from tfade.evaluation.jacobian import Spectrum, jacobians, singular_values, spectrum
from tfade.evaluation.likelihood import bits_per_dim, negative_log_likelihood
from tfade.evaluation.metrics import (
    ClassifierFrechetDistance,
    Likelihood,
    Metric,
    ModeCoverage,
    NotApplicable,
    ReconstructionError,
)
from tfade.evaluation.modes import mode_coverage, mode_divergence, stacked_mode_distribution
from tfade.evaluation.moments import Moments
from tfade.evaluation.pictures import Pictures
from tfade.evaluation.reconstruction import ErrorSums, same_label_share
from tfade.evaluation.records import Record, read_records
from tfade.evaluation.result import Figure, Result
from tfade.evaluation.subject import Subject
from tfade.evaluation.suite import Report, evaluate, select

__all__ = [
    "Classifier",
    "ClassifierFrechetDistance",
    "ErrorSums",
    "Figure",
    "ForeignImages",
    "Likelihood",
    "Metric",
    "ModeCoverage",
    "Moments",
    "NotApplicable",
    "Pictures",
    "ReconstructionError",
    "Record",
    "Report",
    "Result",
    "Spectrum",
    "StackedClassifier",
    "Subject",
    "bits_per_dim",
    "evaluate",
    "frechet_distance",
    "jacobians",
    "mode_coverage",
    "mode_divergence",
    "negative_log_likelihood",
    "read_foreign",
    "read_records",
    "same_label_share",
    "select",
    "singular_values",
    "spectrum",
    "stacked_mode_distribution",
    "train_classifier",
]
