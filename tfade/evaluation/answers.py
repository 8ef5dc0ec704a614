"""A model's outputs for the examples of a source, batch by batch."""

import collections
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tfade.data.source import Source
from tfade.evaluation.batched import Batched
from tfade.evaluation.progress import ticks
from tfade.evaluation.sampling import batch_seed
from tfade.evaluation.subject import Subject


def answers(
    subject: Subject, function: Callable, source: Source, name: str, indices: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, Any]]:
    """What a function makes of the examples of a source, batch by batch: indices, examples, the result.

    Args:
        subject: of the model, the batch size, the seed and the progress.
        function: (examples, conditions, seed of the batch) → tensors, see `Subject.conditions` and `Batched`.
        source: the examples.
        name: what is computed from them, for lines of progress.
        indices: of the examples; None for each of them once, in order.
    """
    indices = np.arange(source.spec.num_examples) if indices is None else indices
    starts, handed_over = range(0, len(indices), subject.batch_size), collections.deque()

    def arguments():
        for start in starts:
            rows = indices[start : start + subject.batch_size]
            handed_over.append((rows, source.fetch(rows)))
            yield handed_over[-1][1], subject.conditions(source, rows), batch_seed(subject.seed, start)

    results = Batched(function)(arguments(), len(starts))
    for _, result in zip(ticks(subject.progress, name, starts, len(indices)), results):
        yield *handed_over.popleft(), result
