"""Evaluation: array functions that return a `Result`, and a suite that applies them to a model and its data.

from tfade.evaluation import frechet_distance
frechet_distance(real=real_features, fake=fake_features).value

from tfade.evaluation import Subject, evaluate, select
report = evaluate(Subject(model, real=test, train=train), select("mode_coverage,reconstruction_error"))
print(report.table())
"""

from tfade.evaluation.external_images import ExternalImages, read_external_images
from tfade.evaluation.features.classifier import Classifier, StackedClassifier, train_classifier
from tfade.evaluation.features.extractors import CallableExtractor, Extractor, KerasExtractor
from tfade.evaluation.features.images import as_levels
from tfade.evaluation.features.inception import InceptionExtractor
from tfade.evaluation.features.squeezenet import SqueezeNetExtractor
from tfade.evaluation.labels.calibration import Calibration, calibration
from tfade.evaluation.latents.active_units import ActiveUnits, active_units
from tfade.evaluation.latents.aggregate_posterior import mixture_draws
from tfade.evaluation.latents.code_likelihood import CodeLikelihood
from tfade.evaluation.latents.density_ratio import density_ratio_kl
from tfade.evaluation.latents.elbo_surgery import ElboSurgery, elbo_surgery
from tfade.evaluation.latents.jacobian import Spectrum, jacobians, singular_values, spectrum
from tfade.evaluation.latents.latent_map import LatentMap
from tfade.evaluation.latents.low_posterior import LowPosteriorSamples
from tfade.evaluation.latents.marginal_kl import MarginalKL, density_model_kl, marginal_kl
from tfade.evaluation.latents.posterior_kinds import DiagonalPosteriors, DistributionPosteriors, PointPosteriors
from tfade.evaluation.latents.posteriors import Posteriors
from tfade.evaluation.latents.ratio_classifier import RatioClassifier
from tfade.evaluation.latents.redraws import Redraws, variance_shares
from tfade.evaluation.likelihood.annealed_importance import (
    AnnealedImportanceSampling,
    annealed_importance_sampling,
    bidirectional_bounds,
)
from tfade.evaluation.likelihood.annealing import Annealing
from tfade.evaluation.likelihood.annealing_weights import Annealed, sigmoid_schedule
from tfade.evaluation.likelihood.importance_weighted import ImportanceWeightedBound, importance_weighted_bound
from tfade.evaluation.likelihood.latent_model import LatentModel, latent_model
from tfade.evaluation.likelihood.likelihood_comparison import LikelihoodComparison
from tfade.evaluation.likelihood.nll import Likelihood, bits_per_dim, negative_log_likelihood
from tfade.evaluation.likelihood.outliers import OutlierDetection, outlier_detection
from tfade.evaluation.likelihood.parzen import ParzenLogLikelihood, parzen_log_likelihood
from tfade.evaluation.metric import Metric
from tfade.evaluation.records import Record, read_records
from tfade.evaluation.report import Report
from tfade.evaluation.result import Figure, NotApplicable, Result
from tfade.evaluation.samples.class_transfer import ClassTransfer
from tfade.evaluation.samples.classification import ClassificationScores, classification_scores
from tfade.evaluation.samples.distribution_curve import PrecisionRecallDistributions, precision_recall_distributions
from tfade.evaluation.samples.frechet import (
    ClassifierFrechetDistance,
    FrechetDistance,
    FrechetInfinity,
    frechet_distance,
    frechet_infinity,
)
from tfade.evaluation.samples.frechet_inception import FrechetInceptionDistance, frechet_inception_distance
from tfade.evaluation.samples.kernel import KernelDistance, kernel_distance
from tfade.evaluation.samples.manifolds import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from tfade.evaluation.samples.modes import (
    ModeCoverage,
    high_quality_share,
    mode_coverage,
    mode_divergence,
    stacked_mode_distribution,
)
from tfade.evaluation.samples.moments import Moments
from tfade.evaluation.samples.ms_ssim import MSSSIMDiversity, ms_ssim_diversity
from tfade.evaluation.samples.neighbours import NearestNeighbours, Neighbours, nearest_neighbours
from tfade.evaluation.samples.pictures import Pictures
from tfade.evaluation.samples.reconstruction import ErrorSums, ReconstructionError, same_label_share
from tfade.evaluation.samples.reconstruction_frechet import ReconstructionFrechetDistance
from tfade.evaluation.samples.scores import InceptionScore, ModeScore, inception_score, mode_score
from tfade.evaluation.samples.translation import CycleError, TranslatedLabels, TranslationFrechetDistance
from tfade.evaluation.samples.wasserstein_critic import IndependentWassersteinCritic, independent_wasserstein_critic
from tfade.evaluation.subject import Subject
from tfade.evaluation.suite import evaluate, select

__all__ = [
    "ActiveUnits",
    "Annealed",
    "AnnealedImportanceSampling",
    "Annealing",
    "Calibration",
    "CallableExtractor",
    "ClassTransfer",
    "ClassificationScores",
    "Classifier",
    "ClassifierFrechetDistance",
    "CodeLikelihood",
    "CycleError",
    "DensityCoverage",
    "DiagonalPosteriors",
    "DistributionPosteriors",
    "ElboSurgery",
    "ErrorSums",
    "ExternalImages",
    "Extractor",
    "Figure",
    "FrechetDistance",
    "FrechetInceptionDistance",
    "FrechetInfinity",
    "ImportanceWeightedBound",
    "InceptionExtractor",
    "InceptionScore",
    "IndependentWassersteinCritic",
    "KerasExtractor",
    "KernelDistance",
    "LatentMap",
    "LatentModel",
    "Likelihood",
    "LikelihoodComparison",
    "LowPosteriorSamples",
    "MSSSIMDiversity",
    "MarginalKL",
    "Metric",
    "ModeCoverage",
    "ModeScore",
    "Moments",
    "NearestNeighbours",
    "Neighbours",
    "NotApplicable",
    "OutlierDetection",
    "ParzenLogLikelihood",
    "Pictures",
    "PointPosteriors",
    "Posteriors",
    "PrecisionRecall",
    "PrecisionRecallDistributions",
    "RatioClassifier",
    "ReconstructionError",
    "ReconstructionFrechetDistance",
    "Record",
    "Redraws",
    "Report",
    "Result",
    "Spectrum",
    "SqueezeNetExtractor",
    "StackedClassifier",
    "Subject",
    "TranslatedLabels",
    "TranslationFrechetDistance",
    "active_units",
    "annealed_importance_sampling",
    "as_levels",
    "bidirectional_bounds",
    "bits_per_dim",
    "calibration",
    "classification_scores",
    "density_coverage",
    "density_model_kl",
    "density_ratio_kl",
    "elbo_surgery",
    "evaluate",
    "frechet_distance",
    "frechet_inception_distance",
    "frechet_infinity",
    "high_quality_share",
    "importance_weighted_bound",
    "inception_score",
    "independent_wasserstein_critic",
    "jacobians",
    "kernel_distance",
    "latent_model",
    "marginal_kl",
    "mixture_draws",
    "mode_coverage",
    "mode_divergence",
    "mode_score",
    "ms_ssim_diversity",
    "nearest_neighbours",
    "negative_log_likelihood",
    "outlier_detection",
    "parzen_log_likelihood",
    "precision_recall",
    "precision_recall_distributions",
    "read_external_images",
    "read_records",
    "same_label_share",
    "select",
    "sigmoid_schedule",
    "singular_values",
    "spectrum",
    "stacked_mode_distribution",
    "train_classifier",
    "variance_shares",
]
