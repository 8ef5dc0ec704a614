"""When checkpoints are written (`checkpoints` does it), and how a run is asked to stop."""

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Sequence

import gin
import tensorflow as tf

from tfade.errors import NonFiniteError, check_positive, check_whole
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
class CheckpointSettings:
    """How often and how many.

    Attributes:
        every_steps: steps between checkpoints within an interval, whose end has one in any case; None: only there.
        every_minutes: also after so many minutes; None: never.
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
        check_whole("CheckpointSettings.keep", self.keep)
        if self.every_steps is not None:
            check_whole("CheckpointSettings.every_steps", self.every_steps)
        if self.every_minutes is not None:
            check_positive("CheckpointSettings.every_minutes", self.every_minutes)


class CheckpointCallback(StepCallback):
    """Writes checkpoints, and answers SIGTERM and SIGINT with one.

    It comes last: what is reported at the end of an interval is on disk before the checkpoint that follows it. Several
    workers leave together, at the end of the interval in which any of them was asked to; elsewhere it is the next step.

    Args:
        settings: how often.
        checkpoints: where to; None in processes that do not write, which still take part.
        interval: steps of a reporting interval; at its end the checkpoint waits for the report.
        ends: the steps that the stages end with; each leaves a checkpoint.
    """

    def __init__(
        self, settings: CheckpointSettings, checkpoints: Checkpoints | None, interval: int, ends: Sequence[int]
    ):
        super().__init__()
        self._settings, self._checkpoints = settings, checkpoints
        self._interval, self._ends = interval, frozenset(ends)
        self._asked: str | None = None  # the signal that this process got
        self._stop_signal: str | None = None  # the one that all processes know of
        self._saved_at = time.monotonic()
        self._handlers: dict = {}

    def begin(self, step):
        super().begin(step)
        best = self._checkpoints and self._checkpoints.best(up_to=step)
        self._best = best["value"] if best and best["metric"] == self._settings.monitor else None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():  # only there may signals be handled
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _on_signal(self, number, _frame):
        self._asked = signal.Signals(number).name
        signal.signal(number, self._handlers[number])  # whoever asks twice does not want to wait

    def on_step(self, logs):
        if self.step % self._interval == 0 or self.step in self._ends:
            return  # on_epoch_end comes right after
        minutes = self._settings.every_minutes
        overdue = minutes is not None and time.monotonic() - self._saved_at >= 60 * minutes
        if not self._several_workers:
            self._stop_signal = self._asked
        if self._stop_signal or overdue or self.step % (self._settings.every_steps or self._interval) == 0:
            self.save()
        self.stop_if_requested()

    def on_epoch_end(self, epoch, logs=None):
        # The best goes first: a run that is killed in between takes this step again, and evaluates it again.
        if self._checkpoints and self._settings.monitor in logs:  # a stage may not report it
            self._save_if_best(float(logs[self._settings.monitor]))
        self.save()
        self.poll_signals()
        if self.step < max(self._ends):
            self.stop_if_requested()

    def poll_signals(self) -> None:
        """Takes note of a signal that came, to this worker or another."""
        self._stop_signal = self._agreed() if self._several_workers else self._asked

    def stop_if_requested(self) -> None:
        """Raises `Interrupted` if a signal came; a checkpoint of this step is there."""
        if self._stop_signal:
            raise Interrupted(self.step, self._stop_signal)

    def _save_if_best(self, value: float):
        if not math.isfinite(value):
            raise NonFiniteError(
                f"step {self.step}: CheckpointSettings.monitor={self._settings.monitor!r} is {value}, so checkpoints "
                "cannot be ranked"
            )
        better = self._best is None or (value > self._best if self._settings.higher_is_better else value < self._best)
        if better:
            self._best = value
            self._checkpoints.save_best(self.step, self._settings.monitor, value, snapshot(self.model.state()))

    def save(self) -> None:
        """Writes a checkpoint of the state as it is now."""
        if self._checkpoints:
            try:
                self._checkpoints.save(self.step, snapshot(self.model.state()))
            except NonFiniteError as error:
                newest = self._checkpoints.steps()[-1:]
                last = (
                    f"the last good state is {self._checkpoints.path(newest[0])}" if newest else "there is none before"
                )
                raise NonFiniteError(f"step {self.step}: {error}; {last}. Try a lower learning rate") from error
        self._saved_at = time.monotonic()

    @property
    def _several_workers(self) -> bool:
        return isinstance(self.model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy)

    def _agreed(self) -> str | None:
        """Whether any worker was asked to stop: if one left alone, the others would wait for it for ever."""
        strategy, asked = self.model.distribute_strategy, self._asked
        flags = strategy.run(lambda: tf.constant(float(asked is not None)))
        anybody = strategy.reduce(tf.distribute.ReduceOp.SUM, flags, axis=None) > 0
        return (asked or signal.SIGTERM.name) if anybody else None
