"""Samples of low density under the aggregate posterior: how many there are, and their images."""

import dataclasses

import gin
import numpy as np

from tfade import pictures
from tfade.errors import UsageError, check_sizes, check_whole
from tfade.evaluation.checks import to_uint8
from tfade.evaluation.latents.aggregate_posterior import log_prior
from tfade.evaluation.latents.codes import (
    MAX_PAIRS,
    code_protocol,
    mixture_progress,
    prior_latents,
    prior_of,
    require_few_pairs,
)
from tfade.evaluation.latents.density_ratio import density_ratio
from tfade.evaluation.metric import Metric
from tfade.evaluation.plots import figure_png, panels_of
from tfade.evaluation.result import Figure, NotApplicable, Result, threshold_error
from tfade.evaluation.samples.distances import nearest

BINS = 50


@gin.register
class LowPosteriorSamples(Metric):
    """Samples whose latents have a low density under the aggregate posterior: how many there are, and their images.

    q(z) is that of the training split. Its usual values are those of codes of the test split, for codes of training
    images lie on top of the posteriors that it consists of. Where posteriors have no density, log q(z) is log p(z) plus
    a classifier's log-ratio.

    Args:
        num_samples: codes of the prior, and as many of the test split.
        shown: samples in a grid.
        neighbours: training images at most, evenly spaced, among which the nearest is sought.
        max_pairs: see `MarginalKL`.

    Reference: Rosca et al. 2018, section 5.3, figures 2, 3 and 10–14.
    """

    name = "low_posterior_samples"
    default = False

    def __init__(self, num_samples: int = 5000, shown: int = 36, neighbours: int = 20_000, max_pairs: int = MAX_PAIRS):
        check_sizes("LowPosteriorSamples", num_samples=num_samples, neighbours=neighbours)
        self.num_samples, self.neighbours = num_samples, neighbours
        self.shown = check_whole("LowPosteriorSamples.shown", shown, 1, num_samples)
        self.max_pairs = check_whole("LowPosteriorSamples.max_pairs", max_pairs)

    def __call__(self, subject):
        if not subject.train.spec.is_image:
            raise NotApplicable(f"data={subject.train.spec.name!r} holds vectors; use `marginal_kl` and `latent_map`")
        require_few_pairs(subject, 2 * self.num_samples, self.max_pairs, self.num_samples)
        sampled = prior_latents(subject, self.num_samples, 1)
        encoded = subject.real_posteriors.draw(self.num_samples, subject.seed).codes
        density, method = self._log_mixture(subject, sampled, encoded)
        if not np.isfinite(density).all():
            raise NotApplicable(
                f"log q(z) is not finite at {int((~np.isfinite(density)).sum())} of {len(density)} codes of the prior "
                "and of data; its quantile needs posteriors (or, for deterministic codes, a prior) with "
                "full support"
            )
        on_prior, on_posterior = density[: self.num_samples], density[self.num_samples :]
        floor = np.quantile(on_posterior, 0.01)
        below = on_prior < floor
        protocol = {
            **code_protocol(subject),
            "num_posteriors": subject.posteriors.count,
            "num_samples": self.num_samples,
            **method,
            "below": f"the 1 % quantile of log q(z) of codes of the {subject.real.spec.split} split",
        }
        share = Result("low_posterior_share", below.mean(), threshold_error(on_posterior, on_prior, 0.01), protocol)
        return [share, *self._figures(subject, sampled, on_prior, on_posterior)]

    def _log_mixture(self, subject, sampled, encoded) -> tuple[np.ndarray, dict]:
        """log q(z) of these codes, and how it was found."""
        codes, posteriors = np.concatenate([sampled, encoded]), subject.posteriors
        if posteriors.has_density:
            return posteriors.log_mixture(codes, mixture_progress(subject)), {"log_mixture": "exact"}
        count = posteriors.distinct(4 * self.num_samples)
        trained = density_ratio(
            codes=posteriors.draw(count, subject.seed + 1).codes,
            prior_latents=prior_latents(subject, count, 2),
            seed=subject.seed,
            progress=subject.progress,
        )
        method = {
            "log_mixture": "log p(z) + density ratio",
            "num_ratio_codes": count,
            "classifier": dataclasses.asdict(trained.settings),
        }
        return log_prior(prior_of(subject), codes) + trained.finite_logits(codes), method

    def _figures(self, subject, sampled, on_prior, on_posterior):
        train, count = subject.train, subject.train.spec.num_examples
        known = np.linspace(0, count - 1, min(count, self.neighbours)).astype(np.int64)
        images = train.fetch(known)
        of_samples = {
            "samples of least q(z)": self._decoded(subject, sampled, np.argsort(on_prior, kind="stable")[: self.shown]),
            "ordinary samples": self._decoded(subject, sampled, np.arange(self.shown)),
        }
        lowest, ordinary = (to_uint8("decoded codes", decoded, train.spec.shape) for decoded, _ in of_samples.values())
        nearest = images[nearest_images(queries=lowest, images=images)]
        yield low_posterior_figure(lowest, nearest, ordinary, stacked=train.stacked is not None)
        shown = np.linspace(0, len(images) - 1, min(len(images), 10 * self.shown)).astype(np.int64)
        data = images[shown].astype(np.float32) / 255
        sets = {**of_samples, "data": (data, subject.conditions(train, known[shown]))}
        panels = {
            "log q(z), nats": {"samples": on_prior, "held-out data": on_posterior},
            "pixel": {label: pixels for label, (pixels, _) in sets.items()},
        }
        if subject.model.likelihood is not None:
            sets["data"] = images[shown], sets["data"][1]
            panels["log p(x) of the model, nats"] = {
                label: np.asarray(subject.model.log_prob(x, **condition), np.float64)
                for label, (x, condition) in sets.items()
            }
        caption = (
            f"log q(z) of {len(on_prior)} codes of the prior and as many of held-out data; pixels, and where the model "
            f"has one the likelihood, of the {self.shown} samples of least q(z), of {self.shown} as they come, and of "
            f"{len(shown)} training images."
        )
        yield histograms(panels, "low_posterior_histograms", caption)

    @staticmethod
    def _decoded(subject, sampled, rows) -> tuple[np.ndarray, dict]:
        """The images of some latents, and the arguments that they are conditioned by."""
        labels = np.resize(subject.sampler.labels, len(sampled))[rows] if subject.model.conditional else None
        condition = subject.model.conditions(labels)
        return np.asarray(subject.model.decode(sampled[rows].astype(np.float32), **condition)), condition


def nearest_images(*, queries, images) -> np.ndarray:
    """The index of the nearest of `images` to each query by Euclidean distance, the first of equals: int64 [Q].

    Args:
        queries: uint8 [Q, H, W, C].
        images: uint8 [N, H, W, C].

    Raises:
        UsageError: images of different shapes.
    """
    queries, images = np.asarray(queries), np.asarray(images)
    if queries.shape[1:] != images.shape[1:]:
        raise UsageError(f"queries have shape {list(queries.shape[1:])} and images {list(images.shape[1:])}")
    flat = (part.reshape(len(part), np.prod(part.shape[1:])) for part in (queries, images))
    return nearest(*flat)[1][:, 0]


def low_posterior_figure(lowest, neighbours, ordinary, stacked: bool = False) -> Figure:
    """Three grids side by side: the samples of least q(z), their nearest training images, and ordinary samples."""
    parts = [pictures.grid(images, stacked=stacked) for images in (lowest, neighbours, ordinary)]
    gap = np.full((parts[0].shape[0], 3 * pictures.GAP, 3), 255, np.uint8)
    picture = np.concatenate([parts[0], gap, parts[1], gap, parts[2]], axis=1)
    caption = (
        f"Left, of all samples the {len(lowest)} whose codes are least likely under the aggregate posterior; middle, "
        f"the nearest training image of each; right, {len(ordinary)} samples as they come."
    )
    return Figure("low_posterior_samples", caption, pictures.png(pictures.magnified(picture)))


def histograms(panels: dict[str, dict[str, np.ndarray]], name: str, caption: str) -> Figure:
    """Panels of densities: title → {legend: numbers}; those that are not finite have no place in them."""
    figure, axes = panels_of(len(panels))
    for axis, (title, series) in zip(axes, panels.items()):
        series = {label: values[np.isfinite(values)] for label, values in series.items()}
        edges = np.histogram_bin_edges(np.concatenate([*series.values()]), BINS)
        for label, values in series.items():
            axis.hist(values, edges, density=True, histtype="step", linewidth=1.5, label=label)
        axis.set(xlabel=title, ylabel="density")
        axis.legend(fontsize=7)
    return Figure(name, caption, figure_png(figure))
