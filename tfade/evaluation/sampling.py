"""The samples of an evaluation: drawn batch by batch, each by a seed of its own."""

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfade.contract import Contract
from tfade.data.source import Source
from tfade.errors import UsageError
from tfade.evaluation import batched
from tfade.evaluation.batched import Batched
from tfade.evaluation.progress import ticks
from tfade.evaluation.result import NotApplicable

BATCH = 500  # samples at a time, by default: what `launch.sample` draws and what is evaluated begin alike


class Sampler:
    """Draws samples of a model.

    Every batch is a whole one, whose surplus is cut: one traced shape, and 500 samples begin 10,000.

    Args:
        model: answers `sample`.
        train: its training data; the samples of a conditional model have their class frequencies.
        num_samples: how many.
        batch_size: samples at a time; smaller for fewer samples.
        seed, temperature: of the samples.
        progress: receives lines of text.
    """

    def __init__(
        self,
        model: Contract,
        train: Source,
        *,
        num_samples: int,
        batch_size: int,
        seed: int,
        temperature: float,
        progress: Callable[[str], None],
    ):
        self.num_samples, self.batch_size = num_samples, min(batch_size, num_samples)
        self._model, self._train, self._progress = model, train, progress
        self._seed, self._temperature = seed, temperature

    @property
    def labels(self) -> np.ndarray | None:
        """The classes of the samples of a conditional model, integers [num_samples]; None of an unconditional one.

        Raises:
            NotApplicable: the model is conditional and the data have no labels.
        """
        return self._labels_of_batches[: self.num_samples] if self._model.conditional else None

    @functools.cached_property
    def _labels_of_batches(self) -> np.ndarray:
        """`labels`, and those of the surplus of the last batch."""
        if not self._train.spec.num_classes:
            raise NotApplicable(
                f"data={self._train.spec.name!r} has no labels to condition samples on; give labelled data"
            )
        generator = np.random.Generator(np.random.Philox(key=self._seed))
        whole = -(-self.num_samples // self.batch_size) * self.batch_size
        return self._train.labels(generator.integers(self._train.spec.num_examples, size=whole))

    def batch(self, index: int) -> np.ndarray:
        """A batch of samples as the model gives them.

        Raises:
            UsageError: the model gives another number of samples than it was asked for.
            NotImplementedError: it does not sample.
        """
        first = index * self.batch_size
        # A finite set of images gives each once, so nothing beyond the last may be asked of it.
        wanted = min(self.batch_size, self.num_samples - first) if self._model.finite else self.batch_size
        return self._checked(self._draw(wanted, *self._arguments(index, wanted)), wanted)

    def _arguments(self, index: int, count: int) -> tuple[int, dict]:
        """The seed of a batch, and the conditions of its first `count` samples."""
        first = index * self.batch_size
        labels = self._labels_of_batches[first : first + count] if self._model.conditional else None
        return batch_seed(self._seed, index), self._model.conditions(labels)

    def _draw(self, count: int, seed, condition: dict):
        return self._model.sample(count, temperature=self._temperature, seed=seed, **condition)

    def _checked(self, drawn, wanted: int):
        if len(drawn) != wanted:
            raise UsageError(f"samples: the model gave {len(drawn)} when asked for {wanted}")
        return drawn

    def _batches(self) -> Iterator:
        """All batches, as `batch` gives them."""
        count = -(-self.num_samples // self.batch_size)
        if self._model.finite:
            yield from map(self.batch, range(count))
        else:
            arguments = [self._arguments(index, self.batch_size) for index in range(count)]
            for drawn in draw_batches(functools.partial(self._draw, self.batch_size), arguments):
                yield self._checked(drawn, self.batch_size)

    def fill(self, samples: np.ndarray, checked: Callable) -> np.ndarray:
        """All samples, in an array [num_samples, ...] that is filled with them.

        Args:
            samples: the array.
            checked: checks a batch of the model and converts it to the array's type.

        Raises:
            UsageError: samples of another shape than the array's, and as `batch`.
            NotImplementedError: the model does not sample.
        """
        starts = ticks(self._progress, "samples", range(0, self.num_samples, self.batch_size), self.num_samples)
        for start, drawn in zip(starts, self._batches()):
            drawn = checked(drawn)[: self.num_samples - start]
            if drawn.shape[1:] != samples.shape[1:]:
                raise UsageError(
                    f"samples have shape {list(drawn.shape)}; the data have {list(samples.shape[1:])} each"
                )
            samples[start : start + self.batch_size] = drawn
        return samples


def draw_batches(draw: Callable, arguments: Sequence[tuple]) -> Iterator:
    """`draw(*arguments)` of one batch after another, in a graph where there are many; see `Batched`.

    Args:
        draw: a seed and further tensors → samples, or a nest of tensors of which they are the first.
        arguments: of every batch; no two have the same seed.
    """
    first, frozen, traces = None, False, len(batched.devices())
    for index, drawn in enumerate(Batched(draw)(arguments, len(arguments))):
        samples = tf.nest.flatten(drawn)[0]
        if index == 0:
            first = samples
        elif index == traces:  # the next batch of the first one's trace, which holds any noise that is not TensorFlow's
            frozen = np.array_equal(first, samples)
        yield draw(*arguments[index]) if frozen else drawn


def batch_seed(seed: int, batch: int) -> int:
    """The seed of one batch of samples, in [0, 2³¹): neighbouring seeds and batches share nothing."""
    return int(np.random.SeedSequence([seed, batch]).generate_state(1)[0]) & 0x7FFFFFFF
