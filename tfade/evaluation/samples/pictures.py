"""Pictures of samples, reconstructions and interpolations."""

import gin
import numpy as np

from tfade import pictures
from tfade.errors import check_whole
from tfade.evaluation.checks import to_uint8
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Figure, NotApplicable

POINTS = 2000  # vectors in a scatter plot
TRANSLATIONS = 12  # images in the row of a cycle
BETWEEN = 8  # images on a line between two codes


@gin.register
class Pictures(Metric):
    """Grids of the first of the samples, and of reconstructions, interpolations or translations of held-out images.

    No numbers. Interpolations are straight lines between codes and, where the prior is a flow, in its noise.

    Vectors are shown as a scatter plot beside held-out ones.

    Args:
        samples: in the grid.
        reconstructions: held-out images, evenly spaced over the split, each with its reconstruction below it.
        interpolations: pairs of held-out images; 0 for none.
    """

    name = "pictures"

    def __init__(self, samples: int = 64, reconstructions: int = 24, interpolations: int = 6):
        check_whole("Pictures.samples", samples)
        check_whole("Pictures.reconstructions", reconstructions)
        check_whole("Pictures.interpolations", interpolations, 0)
        self.samples, self.reconstructions, self.interpolations = samples, reconstructions, interpolations

    def __call__(self, subject):
        if not subject.real.spec.is_image:
            return [_scatter(subject)]
        shown = {"sample": self._samples, "reconstruct": self._reconstructions}
        if min(self.interpolations, subject.real.spec.num_examples // 2):
            shown["interpolate"] = self._interpolations
        figures = [show(subject) for question, show in shown.items() if subject.model.answers(question)]
        if subject.model.answers("translate") and subject.model.answers("translate_back"):
            figures += _cycles(subject)
        if not figures:
            name = type(subject.model).__name__
            raise NotApplicable(f"{name} answers neither `sample` nor `reconstruct`, and does not translate both ways")
        return figures

    def _samples(self, subject) -> Figure:
        images = first_samples(subject, self.samples)
        stacked = subject.real.stacked is not None
        picture = pictures.grid(images, columns(len(images), stacked), stacked=stacked)
        caption = f"The first {len(images)} of the samples, {_size(images)}{_channels(stacked)}."
        return Figure("samples", caption, pictures.png(pictures.magnified(picture)))

    def _reconstructions(self, subject) -> Figure:
        chosen = _spread(subject.real, self.reconstructions)
        images = subject.real.fetch(chosen)
        again = subject.model.reconstruct(images, **subject.conditions(subject.real, chosen))
        again = to_uint8("reconstructions", again, subject.real.spec.shape)
        stacked = subject.real.stacked is not None
        picture = pictures.before_and_after(images, again, 4 if stacked else 12, stacked=stacked)
        caption = (
            f"{len(images)} images of the {subject.real.spec.split} split, {_size(images)}{_channels(stacked)}; "
            "under each row its reconstructions."
        )
        return Figure("reconstructions", caption, pictures.png(pictures.magnified(picture)))

    def _interpolations(self, subject) -> Figure:
        model, chosen = subject.model, _spread(subject.real, 2 * self.interpolations)
        begins, ends = chosen[: len(chosen) // 2 * 2 : 2], chosen[1::2]
        first, last = subject.real.fetch(begins), subject.real.fetch(ends)
        picture = pictures.interpolations(model, first, last, BETWEEN, subject.conditions(subject.real, begins))
        caption = (
            f"Straight lines between the codes of {len(first)} pairs of images of the {subject.real.spec.split} split"
            + ("." if model.prior_flow() is None else "; to their right the same in the noise of the prior's flow.")
        )
        return Figure("interpolation", caption, pictures.png(pictures.magnified(picture)))


def first_samples(subject, count: int) -> np.ndarray:
    """The first of the samples that the suite evaluates, without drawing them all: uint8 [≤ count, H, W, C]."""
    drawn_already = "samples" in vars(subject)
    if drawn_already or subject.model.finite or count > subject.sampler.batch_size:
        return subject.samples[:count]
    return to_uint8("samples", subject.sampler.batch(0), subject.real.spec.shape)[:count]


def columns(count: int, stacked: bool) -> int:
    """Images in a row of a grid: a page is wider than high, and a stacked image is four tiles wide."""
    return min(count, 4 if stacked else max(8, round((2 * count) ** 0.5)))


def _cycles(subject) -> list[Figure]:
    """Images of each domain, their translations, and these translated back."""
    model, figures = subject.model, []
    ways = [("cycle", model.translate, model.translate_back, subject.real)]
    if subject.other is not None:
        ways.append(("cycle_back", model.translate_back, model.translate, subject.other.real))
    for name, translate, translate_back, source in ways:
        images = source.fetch(_spread(source, TRANSLATIONS))
        translated = translate(images)
        there = to_uint8("translations", translated)
        back = to_uint8("translations back", translate_back(translated), source.spec.shape)
        caption = (
            f"{len(images)} images of the {source.spec.split} split of {source.spec.name}, {_size(images)}; below them "
            "their translations, and these translated back."
        )
        picture = pictures.in_rows(images, there, back)
        figures.append(Figure(name, caption, pictures.png(pictures.magnified(picture))))
    return figures


def _spread(source, count: int) -> np.ndarray:
    """At most `count` indices of a source, evenly spaced."""
    total = source.spec.num_examples
    return np.unique(np.linspace(0, total - 1, min(count, total)).astype(np.int64))


def _scatter(subject) -> Figure:
    samples = subject.sampled_vectors[:POINTS]
    count = min(len(samples), subject.real.spec.num_examples)
    real = subject.real.fetch(np.linspace(0, subject.real.spec.num_examples - 1, count).astype(np.int64))
    caption = f"{count:,} samples beside as many examples of the {subject.real.spec.split} split, first two dimensions."
    return Figure("samples", caption, pictures.png(pictures.scatter(samples=samples[:count], data=real)))


def _size(images: np.ndarray) -> str:
    return "×".join(map(str, images.shape[1:]))


def _channels(stacked: bool) -> str:
    return ", each with its channels in grey to its right" if stacked else ""
