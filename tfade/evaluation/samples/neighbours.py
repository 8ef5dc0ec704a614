"""Each sample's nearest training examples: whether a model repeats its training data."""

import dataclasses

import gin
import numpy as np

from tfade import pictures
from tfade.errors import UsageError, check_whole
from tfade.evaluation.checks import checked_images
from tfade.evaluation.metric import Metric
from tfade.evaluation.result import Figure, Result
from tfade.evaluation.samples.distances import checked_sets, generator_of, nearest

SPACES = ("pixels", "features")


@dataclasses.dataclass(frozen=True)
class Neighbours(Result):
    """The mean distance to the nearest example, and which examples are near.

    Attributes:
        indices: of the k nearest real examples of each sample, the nearest first: int64 [N, k].
        distances: to them, float64 [N, k].
    """

    indices: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)
    distances: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)


def nearest_neighbours(*, real, fake, k: int = 1) -> Neighbours:
    """The nearest training examples of each sample, in pixels or in features.

        d(x) = min_y ‖x − y‖₂,   value = mean d(x)

    Samples much nearer to the training set than unseen real data are to it have been copied from it. Euclidean
    neighbours in pixels ignore small shifts; features see them.

    Args:
        real: training images uint8 [M, H, W, C], whose pixels are compared on the scale [0, 1]; or features [M, D].
        fake: samples of the same kind.
        k: how many neighbours of each sample are returned, at least 1.

    Returns:
        `Neighbours` "nearest_neighbours": the mean distance to the nearest example ≥ 0, its standard error, and the
        arrays `indices` and `distances`. Equally near examples come in their order.

    Raises:
        UsageError: different kinds or shapes, images not uint8 [N, H, W, C], features not [N, D] or not finite, k below
            1, or fewer than k real examples.

    Reference: Theis, van den Oord and Bethge 2016, "A note on the evaluation of generative models", section 3.3.
    """
    k = check_whole("k", k, 1)
    space = "pixels in [0, 1]" if np.ndim(real) == 4 or np.ndim(fake) == 4 else "features"
    if space == "features":
        real, fake = checked_sets(real, fake, at_least=1)
        scale = 1.0
    else:
        real = checked_images("real", real)
        fake = checked_images("fake", fake, real.shape[1:])
        real, fake = (images.reshape(len(images), np.prod(images.shape[1:])) for images in (real, fake))
        scale = 255.0  # levels are whole numbers, whose distances are exact
    if len(real) < k or len(fake) < 1:
        raise UsageError(
            f"real has {len(real)} and fake has {len(fake)} examples; give at least k={k} real examples and one sample"
        )
    squared, indices = nearest(fake, real, k)
    distances = np.sqrt(squared) / scale
    error = distances[:, 0].std(ddof=1) / np.sqrt(len(fake)) if len(fake) > 1 else None
    protocol = {
        "num_real": len(real),
        "num_fake": len(fake),
        "dimensions": real.shape[1],
        "space": space,
        "distance": "Euclidean",
        "k": k,
        "dtype": "float64",
    }
    value = distances[:, 0].mean()
    return Neighbours("nearest_neighbours", value, error, protocol, indices=indices, distances=distances)


@gin.register
class NearestNeighbours(Metric):
    """Distance of samples, and of as many real test images, to the nearest of all training images, with pictures.

    Samples that are much nearer than test images are copies.

    Args:
        num_samples: how many samples, and how many test images, are looked at, chosen at random: those of a folder are
            sorted by class.
        space: "pixels" or "features".
        shown: how many rows the figure has.
    """

    name = "nearest_neighbours"
    default = False

    def __init__(self, num_samples: int = 1000, space: str = "pixels", shown: int = 8):
        if space not in SPACES:
            raise UsageError(f"NearestNeighbours.space={space!r} is unknown; give {' or '.join(map(repr, SPACES))}")
        self.num_samples = check_whole("NearestNeighbours.num_samples", num_samples, 1)
        self.space, self.shown = space, check_whole("NearestNeighbours.shown", shown, 1)

    def __call__(self, subject):
        generator = generator_of(subject.seed)
        samples, real = (
            images[generator.permutation(len(images))[: self.num_samples]]
            for images in (subject.samples, subject.real_images)
        )
        train = subject.train.fetch(np.arange(subject.train.spec.num_examples))
        protocol, space_of = subject.protocol(), lambda images: images
        if self.space == "features":
            protocol |= subject.feature_extractor.protocol
            space_of = lambda images: subject.extract(images).features  # noqa: E731
        protocol["reference"] = f"the whole {subject.train.spec.split} split"
        k, reference = min(4, len(train)), space_of(train)
        found = nearest_neighbours(real=reference, fake=space_of(samples), k=k)
        counterpart = nearest_neighbours(real=reference, fake=space_of(real), k=1)
        counterpart = counterpart.with_protocol(fake=f"{subject.real.spec.split} split")
        result = found.with_protocol(fake="samples").with_real(counterpart).with_protocol(**protocol)
        return [result, self._figure(samples, train, found)]

    def _figure(self, samples: np.ndarray, train: np.ndarray, found: Neighbours) -> Figure:
        count, k = min(self.shown, len(samples)), found.indices.shape[1]
        closest = np.argsort(found.distances[:, 0], kind="stable")[:count]
        gap = np.full((1, *train.shape[1:]), 255, np.uint8)
        rows = []
        for first, near in zip(range(count), closest):
            rows += [samples[first : first + 1], train[found.indices[first]], gap]
            rows += [samples[near : near + 1], train[found.indices[near]]]
        picture = pictures.grid(np.concatenate(rows), columns=2 * k + 3)
        caption = (
            f"Left: {count} samples at random, each followed by its {k} nearest training images, the nearest first. "
            f"Right: the same for the {count} of {len(samples):,} samples that are nearest to a training image. "
            f"Distances are Euclidean, in {self.space}; {len(train):,} training images."
        )
        return Figure(self.name, caption, pictures.png(pictures.magnified(picture)))
