"""The suite's measures of samples as images: how unlike each other they are, and how unlike training images."""

import gin
import numpy as np

from tfade import pictures
from tfade.errors import UsageError
from tfade.evaluation.metrics import REAL, Metric
from tfade.evaluation.result import Figure
from tfade.evaluation.samples.distances import checked_integer
from tfade.evaluation.samples.ms_ssim import SMALLEST_SIDE, ms_ssim_diversity
from tfade.evaluation.samples.neighbours import Neighbours, nearest_neighbours
from tfade.evaluation.subject import NotApplicable, Subject

SPACES = ("pixels", "features")


@gin.register
class MSSSIMDiversity(Metric):
    """One minus the mean multi-scale structural similarity of pairs of samples, and of pairs of real test images.

    Args:
        scales: from 1 to 5, or None for what the images' sides allow.
        filter_size: odd, or None for what the images' sides allow.
        batches: how many batches of 64 images are compared within.
    """

    name = "ms_ssim_diversity"
    default = False

    def __init__(self, scales: int | None = None, filter_size: int | None = None, batches: int = 5):
        self.scales, self.filter_size = scales, filter_size
        self.batches = checked_integer("MSSSIMDiversity.batches", batches, 1)

    def __call__(self, subject):
        # Samples first: they refuse data that are not images.
        sets = ("", subject.samples, "samples"), (REAL, subject.real_images, f"{subject.real.spec.split} split")
        side = min(subject.real.spec.shape[:2])
        if side < SMALLEST_SIDE and self.scales is None:
            raise NotApplicable(f"images have a side of {side} pixels, and two scales need {SMALLEST_SIDE}")
        settings = {"scales": self.scales, "filter_size": self.filter_size, "batches": self.batches}
        results = []
        for suffix, images, split in sets:
            if len(images) < 2:
                raise NotApplicable(f"the {split} hold fewer than 2 images")
            result = ms_ssim_diversity(images=images, seed=subject.seed, **settings)
            results.append(result.with_protocol(**subject.protocol(), fake=split).renamed(result.name + suffix))
        return results


@gin.register
class NearestNeighbours(Metric):
    """Distance of samples, and of as many real test images, to the nearest of all training images, with pictures.

    Samples that are much nearer than test images are have been copied.

    Args:
        num_samples: how many samples are looked at: the first ones.
        space: "pixels" or "features".
        shown: how many rows the figure has.
    """

    name = "nearest_neighbours"
    default = False

    def __init__(self, num_samples: int = 1000, space: str = "pixels", shown: int = 8):
        if space not in SPACES:
            raise UsageError(f"NearestNeighbours.space={space!r} is unknown; give {' or '.join(map(repr, SPACES))}")
        self.num_samples = checked_integer("NearestNeighbours.num_samples", num_samples, 1)
        self.space, self.shown = space, checked_integer("NearestNeighbours.shown", shown, 1)

    def __call__(self, subject):
        samples, real = subject.samples[: self.num_samples], subject.real_images[: self.num_samples]
        train = subject.train.fetch(np.arange(subject.train.spec.num_examples))
        protocol, seen = subject.protocol(), lambda images: images
        if self.space == "features":
            protocol |= subject.features_by.protocol
            seen = lambda images: subject.extract(images).features  # noqa: E731
        protocol["reference"] = f"the whole {subject.train.spec.split} split"
        k, reference = min(4, len(train)), seen(train)
        found = nearest_neighbours(real=reference, fake=seen(samples), k=k)
        beside = nearest_neighbours(real=reference, fake=seen(real), k=1)
        return [
            found.with_protocol(**protocol, fake="samples"),
            beside.with_protocol(**protocol, fake=f"{subject.real.spec.split} split").renamed(self.name + REAL),
            self._figure(subject, samples, train, found),
        ]

    def _figure(self, subject: Subject, samples: np.ndarray, train: np.ndarray, found: Neighbours) -> Figure:
        count, k = min(self.shown, len(samples)), found.indices.shape[1]
        closest = np.argsort(found.distances[:, 0], kind="stable")[:count]
        gap = np.full((1, *train.shape[1:]), 255, np.uint8)
        rows = []
        for first, near in zip(range(count), closest):
            rows += [samples[first : first + 1], train[found.indices[first]], gap]
            rows += [samples[near : near + 1], train[found.indices[near]]]
        picture = pictures.grid(np.concatenate(rows), columns=2 * k + 3)
        caption = (
            f"Left: the first {count} samples, each followed by its {k} nearest training images, the nearest first. "
            f"Right: the same for the {count} of {len(samples):,} samples that are nearest to a training image. "
            f"Distances are Euclidean, in {self.space}; {len(train):,} training images."
        )
        return Figure(self.name, caption, pictures.png(pictures.magnified(picture)))
