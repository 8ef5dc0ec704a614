"""Training a small model outside a run: no directory, no checkpoints; see `tfade.fitting.fit`."""

from collections.abc import Mapping

from tfade.data.pipeline import batches
from tfade.data.source import Source
from tfade.fitting import Advance
from tfade.models.base import GenerativeModel


def steps_of(model: GenerativeModel, source: Source, batch_size: int, seed: int) -> Advance:
    """For `fit`: the training steps of a compiled model, which report the means of every "player/term"."""

    def advance(start: int, stop: int) -> Mapping[str, float]:
        dataset = batches(source, batch_size, seed, fields=model.fields, start_step=start)
        history = model.fit(dataset, steps_per_epoch=stop - start, verbose=0, shuffle=False).history
        return {name: values[-1] for name, values in history.items()}

    return advance
