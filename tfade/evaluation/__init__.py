"""Evaluation: array functions that return a `Result`, and a suite that applies them to a model and its data.

from tfade.evaluation import frechet_distance
frechet_distance(real=real_features, fake=fake_features).value

from tfade.evaluation import Subject, evaluate, select
report = evaluate(Subject(model, real=test, train=train), select("mode_coverage,reconstruction_error"))
print(report.table())
"""

from tfade.evaluation.annealed_importance import annealed_importance_sampling, bidirectional_bounds
from tfade.evaluation.annealing import Annealing
from tfade.evaluation.annealing_weights import Annealed, sigmoid_schedule
from tfade.evaluation.classifier import Classifier, StackedClassifier, train_classifier
from tfade.evaluation.frechet import frechet_distance
from tfade.evaluation.importance_weighted import importance_weighted_bound
from tfade.evaluation.jacobian import Spectrum, jacobians, singular_values, spectrum
from tfade.evaluation.latent_model import LatentModel, latent_model
from tfade.evaluation.likelihood import bits_per_dim, negative_log_likelihood
from tfade.evaluation.likelihood_comparison import likelihood_comparison
from tfade.evaluation.likelihood_metrics import (
    AnnealedImportanceSampling,
    ImportanceWeightedBound,
    LikelihoodComparison,
    ParzenLogLikelihood,
)
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
from tfade.evaluation.parzen import parzen_log_likelihood
from tfade.evaluation.reconstruction import ErrorSums, same_label_share
from tfade.evaluation.result import Figure, Result
from tfade.evaluation.subject import Subject
from tfade.evaluation.suite import Report, evaluate, select

__all__ = [
    "Annealed",
    "AnnealedImportanceSampling",
    "Annealing",
    "Classifier",
    "ClassifierFrechetDistance",
    "ErrorSums",
    "Figure",
    "ImportanceWeightedBound",
    "LatentModel",
    "Likelihood",
    "LikelihoodComparison",
    "Metric",
    "ModeCoverage",
    "Moments",
    "NotApplicable",
    "ParzenLogLikelihood",
    "ReconstructionError",
    "Report",
    "Result",
    "Spectrum",
    "StackedClassifier",
    "Subject",
    "annealed_importance_sampling",
    "bidirectional_bounds",
    "bits_per_dim",
    "evaluate",
    "frechet_distance",
    "importance_weighted_bound",
    "jacobians",
    "latent_model",
    "likelihood_comparison",
    "mode_coverage",
    "mode_divergence",
    "negative_log_likelihood",
    "parzen_log_likelihood",
    "same_label_share",
    "select",
    "sigmoid_schedule",
    "singular_values",
    "spectrum",
    "stacked_mode_distribution",
    "train_classifier",
]
