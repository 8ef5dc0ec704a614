"""A reproducible choice of some examples of a data set."""

import numpy as np

from tfade.data.source import Source
from tfade.errors import UsageError


def chosen(source: Source, count: int, seed: int) -> np.ndarray:
    """The examples that `choose` chooses."""
    return source.fetch(choose(source, count, seed))


def choose(source: Source, count: int, seed: int) -> np.ndarray:
    """`count` indices of a source, rising, or all where there are fewer: the same for equal counts and seeds.

    Folders are often sorted by class, so that the first ones would be of the first classes.

    Raises:
        UsageError: a count below 1.
    """
    if count < 1:
        raise UsageError(f"{count!r} examples were asked for; give num_real or num_validation of at least 1")
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(source.spec.num_examples)
    return np.sort(order[:count])
