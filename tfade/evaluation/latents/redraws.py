"""What each stage of a hierarchical generative model decides: images of which only the last stages are drawn anew."""

from collections.abc import Iterator

import gin
import numpy as np
import tensorflow as tf

from tfade import pictures
from tfade.distributions.topdown_latents import TopDownLatents
from tfade.errors import UsageError, check_whole
from tfade.evaluation.checks import to_uint8
from tfade.evaluation.latents.codes import prior_latents, prior_of
from tfade.evaluation.metric import Metric, Work
from tfade.evaluation.result import Figure, NotApplicable, Result, standard_error
from tfade.evaluation.sampling import batch_seed
from tfade.seeds import as_seed

SHOWN = 3  # images whose redraws are shown, of every stage


def variance_shares(*, redraws, fresh) -> tuple[np.ndarray, np.ndarray]:
    """The variance of images whose last stages are drawn anew, over that of images all of which is.

    Both variances are of the values of a pixel, summed over the pixels, with ddof = 1. A share of 0 means that the
    redrawn stages change nothing, 1 that they decide everything.

    Args:
        redraws: [stages, sources, redraws, H, W, C]: of every source, images that share what is not redrawn.
        fresh: [n, H, W, C], independent images.

    Returns:
        The shares [stages], and the standard error of each: that of a ratio to first order, from the spread of the
        variances over the sources and of squared distances to the mean over the fresh images.

    Raises:
        UsageError: fewer than two sources or images where a variance is taken, or images that are all alike.
    """
    redraws, fresh = np.asarray(redraws, np.float64), np.asarray(fresh, np.float64)
    sources, each = redraws.shape[1:3]
    if min(sources, each, len(fresh)) < 2:
        raise UsageError(f"sources={sources}, redraws={each} and {len(fresh)} fresh images; a variance needs 2 of each")
    pixels = (-3, -2, -1)
    within = redraws.var(2, ddof=1).sum(pixels)
    squares = np.square(fresh - fresh.mean(0)).sum(pixels) * len(fresh) / (len(fresh) - 1)
    total = squares.mean()
    if total == 0:
        raise UsageError("fresh images are all alike; shares of their variance are not defined")
    shares = within.mean(-1) / total
    return shares, np.hypot([*map(standard_error, within)], shares * standard_error(squares)) / total


@gin.register
class Redraws(Metric):
    """Images of which only the last stages are drawn anew: the pixels, a level of latents and what follows, …

    Of each of some samples, everything up to a stage is kept. A figure for each stage shows the sample and its redraws,
    a number with its standard error says what share of the variance of the model's images remains, see
    `variance_shares`. For a PixelVAE with latents at 8×8: the PixelCNN only, the latents and the PixelCNN, or
    everything.

    Args:
        sources: samples that parts are kept of.
        redraws: of each.

    Reference: Gulrajani et al. 2017, figure 5.
    """

    name = "redraws"
    default = False

    def __init__(self, sources: int = 16, redraws: int = 8):
        self.sources = check_whole("Redraws.sources", sources, 2)
        self.redraws = check_whole("Redraws.redraws", redraws, 2)

    def work(self, subject):
        return Work(3 * self.sources * self.redraws, "images")

    def __call__(self, subject):
        model = subject.model
        if not (model.answers("observation") and subject.real.spec.is_image) or model.conditional:
            raise NotApplicable(f"{type(model).__name__} has no p(x | z) of images, without a class, to draw from")
        latents = np.float32(prior_latents(subject, self.sources, 11))
        original = self._images(subject, latents, 0)
        titles, redrawn = zip(*self._stages(subject, latents))
        fresh = redrawn[-1].reshape(-1, *original.shape[1:])
        shares, errors = variance_shares(redraws=redrawn[:-1], fresh=fresh)
        protocol = {**subject.protocol(), "sources": self.sources, "redraws": self.redraws}
        return [
            *(
                Result(f"redrawn_{_word(title)}_variance", share, error, protocol)
                for title, share, error in zip(titles, shares, errors)
            ),
            *(self._figure(title, original, images) for title, images in zip(titles, redrawn)),
        ]

    def _stages(self, subject, latents) -> Iterator[tuple[str, np.ndarray]]:
        """(what is redrawn, images [sources, redraws, H, W, C]) from the pixels alone up to everything."""
        prior, repeated = prior_of(subject), np.repeat(latents, self.redraws, 0)
        shape = (self.sources, self.redraws, *subject.real.spec.shape)
        yield "the pixels", self._images(subject, repeated, 1).reshape(shape)
        levels = prior.levels if isinstance(prior, TopDownLatents) else ()
        for kept in reversed(range(len(levels))):
            seed = as_seed(batch_seed(subject.seed, 2**20 + 100 + kept))
            height, width, _ = levels[kept]
            drawn = np.asarray(prior.redrawn(repeated, kept, seed))
            yield (
                f"latents from {height}×{width} on and the pixels",
                self._images(subject, drawn, 2 + kept).reshape(shape),
            )
        drawn = np.float32(prior_latents(subject, len(repeated), 12))
        yield "everything", self._images(subject, drawn, 1000).reshape(shape)

    def _images(self, subject, latents, purpose: int) -> np.ndarray:
        """uint8 draws of p(x | z) [n, H, W, C]."""
        model, size = subject.model, subject.batch_size
        parts = []
        for start in range(0, len(latents), size):
            seed = as_seed(batch_seed(subject.seed, 2**21 + 10**4 * purpose + start))
            drawn = model.observation(tf.constant(latents[start : start + size])).sample(seed=seed)
            parts.append(to_uint8("draws", model.to_image(drawn), subject.real.spec.shape))
        return np.concatenate(parts)

    def _figure(self, title: str, original: np.ndarray, redrawn: np.ndarray) -> Figure:
        rows = np.concatenate([original[:, None], redrawn], 1)[:SHOWN]
        picture = pictures.grid(rows.reshape(-1, *original.shape[1:]), 1 + self.redraws)
        caption = f"Samples, and to the right of each the same with {title} drawn anew."
        return Figure(f"redrawn_{_word(title)}", caption, pictures.png(pictures.magnified(picture)))


def _word(title: str) -> str:
    """A title as a part of a name: "the pixels" → "pixels"; "latents from 8×8 on …" → "8x8"."""
    found = [part for part in title.split() if "×" in part]
    return found[0].replace("×", "x") if found else title.split()[-1]
