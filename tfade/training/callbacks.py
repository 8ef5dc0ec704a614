"""What happens beside the training step: progress, the guard against not-a-number, validation, the record."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from tfade import files
from tfade.data.source import Source
from tfade.errors import NonFiniteError
from tfade.training.run_directory import RunDirectory

SHOWN_LAST = "gradient_norm"


class StepCallback(keras.callbacks.Callback):
    """A callback that knows the training step without asking the device.

    Args:
        step: steps already taken when training starts.
    """

    def __init__(self, step: int):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        self.on_step(logs)

    def on_step(self, logs: dict) -> None:
        """Called after every step, with the running means of this interval."""


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
        return {name: value for name, value in (logs or {}).items() if not name.endswith(SHOWN_LAST)}


class FiniteGuard(StepCallback):
    """Stops training at the first step whose loss or gradient is not finite.

    The model's sums hold whatever was once not finite, so looking at the reported means is enough; no operation is
    added to the step.

    Args:
        step: steps already taken.
        report: file for the offending terms.
        hint: appended to the error: where the last good state is.

    Raises:
        NonFiniteError: names every player/term concerned, and the step.
    """

    def __init__(self, step: int, report: Path, hint: Callable[[], str] = lambda: ""):
        super().__init__(step)
        self._report, self._hint = report, hint

    def on_step(self, logs):
        # Dynamic loss scaling meets overflow by design: it skips that update and halves the scale.
        scaled = any(isinstance(o, keras.optimizers.LossScaleOptimizer) for o in self.model.optimizers.values())
        values = {name: float(value) for name, value in logs.items()}
        bad = [n for n, v in values.items() if not math.isfinite(v) and not (scaled and n.endswith(SHOWN_LAST))]
        if bad:
            terms = [name for name in bad if not name.endswith(SHOWN_LAST)] or bad
            files.write_json(
                self._report,
                {
                    "step": self.step,
                    "offending": {n: str(values[n]) for n in bad},
                    "means": {n: str(v) for n, v in values.items()},
                },
            )
            raise NonFiniteError(
                f"step {self.step}: {', '.join(f'{name} is {values[name]}' for name in terms)}; "
                f"see {self._report}. {self._hint()}Try a lower learning rate or compile_model.clip_norm."
            )


class Validation(keras.callbacks.Callback):
    """Adds the model's validation terms, over a whole split, to what is reported at the end of an interval.

    Args:
        source: the held-out examples.
        batch_size: examples at a time.
    """

    def __init__(self, source: Source, batch_size: int = 500):
        super().__init__()
        self._source, self._batch_size = source, batch_size

    def on_epoch_end(self, epoch, logs=None):
        sums: dict[str, float] = {}
        for batch in self._source.sequential(self._batch_size):
            for name, values in self.model.validate(batch).items():
                sums[name] = sums.get(name, 0.0) + float(tf.reduce_sum(values))
        logs.update({f"validation/{name}": value / self._source.spec.num_examples for name, value in sums.items()})


class History(StepCallback):
    """history.csv: one row for each interval, the same in every repetition of a run.

    Args:
        step: steps already taken; rows after it are of a lost future and are dropped.
        run: the run directory.
    """

    def __init__(self, step: int, run: RunDirectory):
        super().__init__(step)
        self._run = run
        self._rows = [row for row in run.read_history() if int(row["step"]) <= step]

    def on_epoch_end(self, epoch, logs=None):
        self._rows.append({"step": self.step, **{name: repr(float(value)) for name, value in logs.items()}})
        self._run.write_history(self._rows)
