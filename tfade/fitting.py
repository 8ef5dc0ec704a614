"""Short trainings by one loss, outside of the players' step, checked and reported at intervals."""

import math
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from tfade.countdown import Countdown
from tfade.errors import NonFiniteError

REPORTS = 5  # lines of progress in a fit

Advance = Callable[[int, int], Mapping[str, float]]


def fit(
    advance: Advance,
    steps: int,
    *,
    name: str,
    progress: Callable[[str], None],
    reports: int = REPORTS,
    learning_rate: float | None = None,
) -> None:
    """Takes all steps of a training, and periodically reports progress and the time left.

    Args:
        advance: takes the steps from the first of its arguments up to the second; what it returns, name → number, is
            reported.
        steps: how many.
        name: of the training, in lines of progress and errors.
        progress: receives a line after each stretch of steps.
        reports: how many such lines, at most.
        learning_rate: which an error advises to lower; None for no number.

    Raises:
        NonFiniteError: a reported number is not finite.
    """
    interval, countdown = math.ceil(steps / reports), Countdown(steps)
    for start in range(0, steps, interval):
        stop = min(start + interval, steps)
        values = {key: float(value) for key, value in advance(start, stop).items()}
        summary = ", ".join(f"{key} {value:,.5g}" for key, value in values.items())
        if not all(map(math.isfinite, values.values())):
            remedy = "learning_rate" if learning_rate is None else f"learning_rate={learning_rate}"
            raise NonFiniteError(f"{name}: {summary} between steps {start} and {stop}; lower {remedy}")
        countdown.advance(stop - start)
        progress(f"  {name}: step {stop:,} of {steps:,}, {summary}{countdown.left()}")


def by_batches(step: Callable[..., Mapping[str, tf.Tensor]], batch: Callable[[int], Sequence]) -> Advance:
    """For `fit`: a compiled step on one batch after another, and what the last one reported.

    Args:
        step: the parts of a batch → name → scalar.
        batch: position → the parts of a batch.
    """

    def advance(start, stop):
        for position in range(start, stop):
            values = step(*batch(position))
        return values

    return advance


def minimise(
    terms: Callable[[], Mapping[str, tf.Tensor]], optimizer, variables: Sequence[tf.Variable]
) -> Mapping[str, tf.Tensor]:
    """One step of an optimizer down the gradient of the term "loss"; the terms as they were before it.

    Args:
        terms: the forward pass: name → scalar.
        optimizer: a Keras optimizer.
        variables: that it moves.
    """
    with tf.GradientTape() as tape:
        values = terms()
    optimizer.apply(tape.gradient(values["loss"], variables), variables)
    return values
