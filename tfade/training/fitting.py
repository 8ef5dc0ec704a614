"""Training a small model in one call, outside a run: no directory, no checkpoints, a line of progress now and then."""

import math
from collections.abc import Callable, Mapping

from tfade.data.pipeline import batches
from tfade.data.source import Source
from tfade.errors import NonFiniteError
from tfade.models.base import GenerativeModel


def fit_model(
    model: GenerativeModel,
    source: Source,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    reports: int,
    report: Callable[[int, Mapping[str, float]], None],
) -> None:
    """Trains a compiled model for `steps` steps.

    Args:
        model: the model.
        source: its training data.
        steps, batch_size, seed: of the training.
        reports: how often `report` is called.
        report: receives the step and the means of the interval before it, by "player/term".

    Raises:
        NonFiniteError: a mean was not finite; it is named.
    """
    interval = math.ceil(steps / reports)
    for start in range(0, steps, interval):
        stop = min(start + interval, steps)
        dataset = batches(source, batch_size, seed, fields=model.fields, start_step=start)
        history = model.fit(dataset, steps_per_epoch=stop - start, verbose=0, shuffle=False).history
        means = {name: values[-1] for name, values in history.items()}
        if bad := {name: value for name, value in means.items() if not math.isfinite(value)}:
            raise NonFiniteError(
                f"{type(model).__name__}, between steps {start} and {stop}: {bad}; try a lower learning_rate"
            )
        report(stop, means)
