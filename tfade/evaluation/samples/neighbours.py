"""Each sample's nearest training examples: whether a model repeats what it has seen."""

import dataclasses

import numpy as np

from tfade.errors import UsageError
from tfade.evaluation.checks import checked_images
from tfade.evaluation.result import Result
from tfade.evaluation.samples.distances import checked_integer, checked_sets, nearest


@dataclasses.dataclass(frozen=True)
class Neighbours(Result):
    """The mean distance to the nearest example, and which examples are near.

    Attributes:
        indices: of the k nearest real examples of each sample, the nearest first: int64 [N, k].
        distances: to them, float64 [N, k].
    """

    indices: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)
    distances: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)

    def to_json(self) -> dict:
        """The number and its protocol, without the arrays."""
        return Result(self.name, self.value, self.std, self.protocol).to_json()


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
        UsageError: unlike kinds or shapes, images not uint8 [N, H, W, C], features not [N, D] or not finite, k below
            1, or fewer than k real examples.

    Reference: Theis, van den Oord and Bethge 2016, "A note on the evaluation of generative models", section 3.3.
    """
    k = checked_integer("k", k, 1)
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
    return Neighbours("nearest_neighbours", distances[:, 0].mean(), error, protocol, indices, distances)
