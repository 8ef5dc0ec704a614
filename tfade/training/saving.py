"""When checkpoints are written, and how a run is asked to stop."""

import dataclasses
import signal
import time

import gin

from tfade.errors import UsageError
from tfade.training.callbacks import StepCallback
from tfade.training.checkpoints import Checkpoints, snapshot


class Interrupted(Exception):
    """Training was asked to stop, and has saved a checkpoint."""

    def __init__(self, step: int, signal_name: str):
        super().__init__(
            f"stopped by {signal_name} after step {step}; a checkpoint is saved, the same command continues"
        )
        self.signal = signal.Signals[signal_name]


@gin.register
@dataclasses.dataclass(frozen=True)
class Saving:
    """How often and how many.

    Attributes:
        every_steps: steps between checkpoints; None for the recipe's interval.
        every_minutes: also after so many minutes; None: never (several workers cannot agree on a time).
        keep: how many of the newest are kept.
        monitor: reported name whose best value is kept besides, such as "validation/reconstruction"; None: none.
        higher_is_better: direction of `monitor`.
    """

    every_steps: int | None = None
    every_minutes: float | None = None
    keep: int = 3
    monitor: str | None = None
    higher_is_better: bool = False

    def __post_init__(self):
        if self.keep < 1:
            raise UsageError(f"Saving.keep={self.keep!r} is below 1; a run needs its newest checkpoint to continue")
        if self.every_steps is not None and self.every_steps < 1:
            raise UsageError(f"Saving.every_steps={self.every_steps!r} is below 1; use None for once an interval")
        if self.every_minutes is not None and not self.every_minutes > 0:
            raise UsageError(f"Saving.every_minutes={self.every_minutes!r} is not positive; use None for never")


class Saver(StepCallback):
    """Writes checkpoints, and answers SIGTERM and SIGINT with one.

    It comes last: what is reported at the end of an interval is on disk before the checkpoint that follows it.

    Args:
        step: steps already taken.
        saving: how often.
        checkpoints: where to; None on workers that do not write, which still take part.
        interval: steps of a reporting interval; at its end the checkpoint waits for the report.
        last_step: the step that training ends with; it always leaves a checkpoint.
    """

    def __init__(self, step: int, saving: Saving, checkpoints: Checkpoints | None, interval: int, last_step: int):
        super().__init__(step)
        self._saving, self._checkpoints = saving, checkpoints
        self._interval, self._last_step = interval, last_step
        self._asked: str | None = None
        self._saved_at = time.monotonic()
        best = checkpoints and checkpoints.best(up_to=step)
        self._best = best["value"] if best and best["metric"] == saving.monitor else None
        self._handlers: dict = {}

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self._handlers[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _ask(self, number, _frame):
        self._asked = signal.Signals(number).name

    def on_step(self, logs):
        if self.step % self._interval == 0 or self.step == self._last_step:
            return  # on_epoch_end comes right after
        minutes = self._saving.every_minutes
        overdue = minutes is not None and time.monotonic() - self._saved_at >= 60 * minutes
        if self._asked or overdue or self.step % (self._saving.every_steps or self._interval) == 0:
            self._save()
        self._leave_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        state = self._save()
        monitor = self._saving.monitor
        if monitor is not None:
            if monitor not in logs:
                raise UsageError(f"Saving.monitor={monitor!r} is not reported; reported are {', '.join(sorted(logs))}")
            value = float(logs[monitor])
            if self._best is None or (value > self._best if self._saving.higher_is_better else value < self._best):
                self._best = value
                if self._checkpoints:
                    self._checkpoints.save_best(self.step, monitor, value, state)
        if self.step < self._last_step:
            self._leave_if_asked()

    def _save(self) -> dict:
        state = snapshot(self.model.state())
        if self._checkpoints:
            self._checkpoints.save(self.step, state)
        self._saved_at = time.monotonic()
        return state

    def _leave_if_asked(self):
        if self._asked:
            raise Interrupted(self.step, self._asked)
