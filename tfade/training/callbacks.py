"""What happens beside the training step: progress, the guard against NaN, validation, the record."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from tfade import files
from tfade.data.pipeline import sequential_batches
from tfade.data.source import Source
from tfade.errors import NonFiniteError
from tfade.models.base import GenerativeModel
from tfade.models.stages import GRADIENT_NORM
from tfade.stopwatch import Stopwatch
from tfade.training.run_directory import RunDirectory


class StepCallback(keras.callbacks.Callback):
    """A callback that knows the training step without asking the device."""

    step = 0

    def begin(self, step: int) -> None:
        """Called before training starts, with the number of steps that were taken."""
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self.on_step(logs)

    def on_step(self, logs) -> None:
        """Called after every step, with the means of the interval so far."""


class Progress(keras.callbacks.ProgbarLogger):
    """Keras' progress bar on a terminal, and a line for each interval elsewhere; without the gradient norms."""

    def __init__(self, steps: int, interval: int):
        super().__init__()
        self._total, self._interval, self._bar = steps, interval, sys.stdout.isatty()

    def set_params(self, params):
        super().set_params(
            {**params, "verbose": 1 if self._bar else 2, "epochs": math.ceil(self._total / self._interval)}
        )

    def on_train_batch_end(self, batch, logs=None):
        if self._bar:
            super().on_train_batch_end(batch, self._readable(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, self._readable(logs))

    @staticmethod
    def _readable(logs):
        return {name: value for name, value in (logs or {}).items() if not name.endswith(GRADIENT_NORM)}


class FiniteGuard(StepCallback):
    """Stops training at the first step whose loss or gradient is not finite.

    A mean holds whatever was once not finite, so looking at what the step reports is enough: no operation is added to
    the step, and none is run for it.
    Dynamic loss scaling (mixed_float16) meets overflow by design, skips that update and halves the scale: there a
    gradient counts as not finite once the scale has fallen below 1.

    Args:
        report: file for the offending terms.
        hint: appended to the error: where the last good state is.

    Raises:
        NonFiniteError: names every player/term concerned, and the step.
    """

    def __init__(self, report: Path, hint: Callable[[], str] = lambda: ""):
        super().__init__()
        self._report, self._hint = report, hint

    def on_step(self, logs):
        means = {name: float(value) for name, value in logs.items()}
        bad = {name: str(value) for name, value in means.items() if not math.isfinite(value)}
        scales = {
            f"{player}/loss_scale": float(optimizer.dynamic_scale) for player, optimizer in self._scaled().items()
        }
        bad |= {name: str(scale) for name, scale in scales.items() if scale < 1}
        if bad:
            text = {name: str(value) for name, value in means.items()}  # JSON has no nan
            files.write_json(self._report, {"step": self.step, "offending": bad, "means_of_the_interval": text})
            terms = [name for name in bad if not name.endswith(GRADIENT_NORM)] or bad
            raise NonFiniteError(
                f"step {self.step}: {', '.join(f'{name} is {bad[name]}' for name in terms)}; see {self._report}. "
                f"{self._hint()}Try a lower learning rate or Optimization.clip_norm, in a new run_dir."
            )

    def _scaled(self) -> dict[str, keras.optimizers.LossScaleOptimizer]:
        """The players whose optimizers scale their loss."""
        optimizers = self.model.optimizers.items()
        return {name: o for name, o in optimizers if isinstance(o, keras.optimizers.LossScaleOptimizer)}


class Validation(keras.callbacks.Callback):
    """Adds the model's validation terms, over a whole split, to what is reported at the end of an interval.

    Args:
        source: the held-out examples.
        other: those of the second domain, or None.
        batch_size: examples at a time.
    """

    def __init__(self, source: Source, other: Source | None = None, batch_size: int = 500):
        super().__init__()
        self._source, self._other, self._batch_size = source, other, batch_size

    def names(self, model: GenerativeModel) -> list[str]:
        """What is added to the report."""
        batch = next(sequential_batches(self._source, 1, model.fields, self._other))
        return [f"validation/{name}" for name in model.validate(batch)]

    def on_epoch_end(self, epoch, logs=None):
        sums: dict[str, float] = {}
        for batch in sequential_batches(self._source, self._batch_size, self.model.fields, self._other):
            for name, values in self.model.validate(batch).items():
                sums[name] = sums.get(name, 0.0) + float(tf.reduce_sum(values))
        means = {f"validation/{name}": value / self._source.spec.num_examples for name, value in sums.items()}
        if bad := [f"{name} is {value}" for name, value in means.items() if not math.isfinite(value)]:
            spec = self._source.spec
            raise NonFiniteError(
                f"{', '.join(bad)} on the {spec.split} split of data={spec.name!r}: the weights after the "
                "last update are not finite, or its examples are not"
            )
        logs.update(means)


class History(StepCallback):
    """history.csv: one row for each interval, the same in every repetition of a run.

    Args:
        run: the run directory.
    """

    def __init__(self, run: RunDirectory):
        super().__init__()
        self._run = run

    def begin(self, step):
        super().begin(step)
        # Rows after this step are of a future that was lost with its checkpoint.
        self._rows = [row for row in self._run.read_history() if int(row["step"]) <= step]

    def on_epoch_end(self, epoch, logs=None):
        self._rows.append({"step": self.step, **{name: repr(float(value)) for name, value in logs.items()}})
        self._run.write_history(self._rows)


class FirstStep(StepCallback):
    """Records how long the first step takes, with tracing and the first batch of data.

    Args:
        stopwatch: of the phases of training.
    """

    def __init__(self, stopwatch: Stopwatch):
        super().__init__()
        self._stopwatch = stopwatch

    def on_step(self, logs):
        if "first step" not in self._stopwatch.seconds:
            self._stopwatch.end("first step")


class Record(keras.callbacks.Callback):
    """environment.json: what the last part of the training ran on.

    Args:
        path: the file.
        content: what it says.
    """

    def __init__(self, path: Path, content: dict):
        super().__init__()
        self._path, self._content = path, content

    def on_train_begin(self, logs=None):
        files.write_json(self._path, self._content)
