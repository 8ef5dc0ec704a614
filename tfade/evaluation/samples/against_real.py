"""Shared by the suite's measures of features: test images against samples, and against training images."""

from collections.abc import Callable, Iterable

import numpy as np

from tfade.evaluation.result import NotApplicable, Result
from tfade.evaluation.samples.distances import generator_of
from tfade.evaluation.subject import Subject


def against_real(subject: Subject, measure: Callable[[np.ndarray, np.ndarray], Iterable[Result]]) -> list[Result]:
    """`measure(real, fake)` of the features of test images and samples, with training images as the real counterpart.

    As many training images in place of the samples give the value of a model that repeats its training data.
    """
    sides = (subject.extracted_samples, "samples"), (subject.extracted_train, f"{subject.train.spec.split} split")
    found, counterparts = (
        [with_origin(subject, result, fake=split) for result in measure(subject.extracted_real.features, fake.features)]
        for fake, split in sides
    )
    return [result.with_real(other) for result, other in zip(found, counterparts)]


def with_origin(subject: Subject, result: Result, **more) -> Result:
    """The result with the protocols of the subject and of its extractor, and more keys."""
    return result.with_protocol(**subject.protocol(), **subject.feature_extractor.protocol, **more)


def require_at_least(name: str, count: int, least: int) -> None:
    """Raises NotApplicable if there are fewer than `least` of them; `name` is what they are, in the plural."""
    if count < least:
        raise NotApplicable(f"{count} {name}; at least {least} are needed")


def equally_many(subject: Subject, *sets: np.ndarray) -> list[np.ndarray]:
    """As many rows of each set, in their order, chosen by the subject's seed where a set has more."""
    count = min(map(len, sets))
    return [
        rows if len(rows) == count else rows[np.sort(generator_of(subject.seed).permutation(len(rows))[:count])]
        for rows in sets
    ]
