"""Examples that come more than once: noise of their own for each, and standard errors that count them together."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Self

import numpy as np

from tfade.contract import Contract
from tfade.data.source import Source
from tfade.evaluation.batched import Batched
from tfade.evaluation.progress import ticker
from tfade.evaluation.subject import Subject
from tfade.seeds import repetition

MOST_INDEPENDENT = 1000  # repeats of one example with noise of their own; further ones share it, which bounds the calls


class Repeats:
    """Which examples of a set are the same.

    A likelihood's noise is a function of the example, so that without further ado 20,000 draws of 256 distinct images
    would share 256 draws of it: the mean would be as uncertain as one over 256, and its standard error, taken over
    20,000, too small.

    Attributes:
        groups: which distinct example each is, int64 [N], numbered by their first appearance.
        numbers: how many equal ones come before each, int64 [N].
    """

    def __init__(self, batches: Iterable[np.ndarray]):
        known: dict[bytes, int] = {}
        counts: list[int] = []
        groups, numbers = [], []
        for batch in batches:
            for example in np.ascontiguousarray(batch):
                group = known.setdefault(hashlib.blake2b(example.tobytes(), digest_size=16).digest(), len(known))
                if group == len(counts):
                    counts.append(0)
                groups.append(group)
                numbers.append(counts[group])
                counts[group] += 1
        self.groups, self.numbers = np.array(groups, np.int64), np.array(numbers, np.int64)
        self._distinct = len(counts)

    @classmethod
    def among(cls, source: Source, indices: np.ndarray, size: int = 500) -> Self:
        """Those of some examples of a source, which are read `size` at a time."""
        return cls(source.fetch(indices[start : start + size]) for start in range(0, len(indices), size))

    @property
    def protocol(self) -> dict:
        """What results that rest on the set state."""
        own = {} if self._distinct == len(self.groups) else {"repeats": "with noise of their own, one in the error"}
        return {"num_distinct": self._distinct, **own}

    def parts(self, size: int) -> Iterator[tuple[int, np.ndarray]]:
        """All positions in groups of at most `size` whose examples differ, with the number of the repetition."""
        numbers = self.numbers % MOST_INDEPENDENT
        for number in np.unique(numbers):
            (rows,) = np.nonzero(numbers == number)
            for start in range(0, len(rows), size):
                yield int(number), rows[start : start + size]

    def apply(
        self,
        function: Callable[..., tuple],
        size: int,
        tick: Callable[[int], None] = lambda done: None,
        fetch: Callable[[np.ndarray], tuple] = lambda rows: (rows,),
    ) -> tuple[np.ndarray, ...]:
        """The arrays that `function` makes of examples, each [n, ...]; together [N, ...] in the set's order.

        Inside of it `per_example_noise` gives repeats noise of their own.

        Args:
            function: what `fetch` returns → tensors, a row for each example; see `Batched`.
            size: how many at a time.
            tick: receives the number that is done.
            fetch: positions [n] of examples that differ → arguments of `function`; the positions by default.
        """
        order, found, done = [], [], 0
        for number, parts in itertools.groupby(self.parts(size), key=lambda part: part[0]):
            chosen = [rows for _, rows in parts]
            with repetition(number):
                for rows, answer in zip(chosen, Batched(function)(map(fetch, chosen), len(chosen))):
                    found.append([np.asarray(part) for part in answer])
                    done += len(rows)
                    tick(done)
            order += chosen
        places = np.argsort(np.concatenate(order), kind="stable")
        return tuple(np.concatenate(parts)[places] for parts in zip(*found))


def log_probs(
    model: Contract, subject: Subject, indices: np.ndarray, name: str, num_samples: int = 1, size: int | None = None
) -> tuple[np.ndarray, Repeats]:
    """`log_prob` of examples of the real split, nats float64 [n], repeats with noise of their own; and these.

    Args:
        model: what is asked.
        subject: of the data, the progress and the batch size.
        indices: of the examples.
        name: in lines of progress.
        num_samples: see `Contract.log_prob`.
        size: examples at a time, where not the subject's.
    """
    source, size = subject.real, size or subject.batch_size
    repeats = Repeats.among(source, indices, size)

    def fetch(rows):
        return source.fetch(indices[rows]), subject.conditions(source, indices[rows])

    def ask(examples, condition):
        return (model.log_prob(examples, num_samples=num_samples, **condition),)

    (values,) = repeats.apply(ask, size, ticker(subject.progress, name, len(indices)), fetch)
    return values.astype(np.float64), repeats
