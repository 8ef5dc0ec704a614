"""Evaluation: array functions that return a `Result`, and a suite that applies them to a model and its data.

from tfade.evaluation import frechet_distance
frechet_distance(real=real_features, fake=fake_features).value

from tfade.evaluation import Subject, evaluate, select
report = evaluate(Subject(model, real=test, train=train), select("mode_coverage,reconstruction_error"))
print(report.table())
"""

from tfade.evaluation.active_units import active_units
from tfade.evaluation.classifier import Classifier, StackedClassifier, train_classifier
from tfade.evaluation.density_ratio import RatioClassifier, density_ratio_kl
from tfade.evaluation.elbo_surgery import density_model_kl, elbo_surgery, marginal_kl, mixture_draws
from tfade.evaluation.frechet import frechet_distance
from tfade.evaluation.jacobian import Spectrum, jacobians, singular_values, spectrum
from tfade.evaluation.latent_metrics import ActiveUnits, ElboSurgery, MarginalKL
from tfade.evaluation.latent_views import LatentMap, LowPosteriorSamples
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
from tfade.evaluation.posteriors import DiagonalPosteriors, DistributionPosteriors, PointPosteriors, Posteriors
from tfade.evaluation.reconstruction import ErrorSums, same_label_share
from tfade.evaluation.result import Figure, Result
from tfade.evaluation.subject import Subject
from tfade.evaluation.suite import Report, evaluate, select

__all__ = [
    "ActiveUnits",
    "Classifier",
    "ClassifierFrechetDistance",
    "DiagonalPosteriors",
    "DistributionPosteriors",
    "ElboSurgery",
    "ErrorSums",
    "Figure",
    "LatentMap",
    "Likelihood",
    "LowPosteriorSamples",
    "MarginalKL",
    "Metric",
    "ModeCoverage",
    "Moments",
    "NotApplicable",
    "PointPosteriors",
    "Posteriors",
    "RatioClassifier",
    "ReconstructionError",
    "Report",
    "Result",
    "Spectrum",
    "StackedClassifier",
    "Subject",
    "active_units",
    "bits_per_dim",
    "density_model_kl",
    "density_ratio_kl",
    "elbo_surgery",
    "evaluate",
    "frechet_distance",
    "jacobians",
    "marginal_kl",
    "mixture_draws",
    "mode_coverage",
    "mode_divergence",
    "negative_log_likelihood",
    "same_label_share",
    "select",
    "singular_values",
    "spectrum",
    "stacked_mode_distribution",
    "train_classifier",
]
