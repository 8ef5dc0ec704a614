"""The way from a run's newest checkpoint to its last step, stage by stage."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from tfade.data.source import Source
from tfade.models.base import GenerativeModel
from tfade.training import checkpoints
from tfade.training.callbacks import FiniteGuard, StepCallback
from tfade.training.checkpoint_callback import CheckpointCallback, CheckpointSettings
from tfade.training.cluster import require_same_state
from tfade.training.recipe import Recipe
from tfade.training.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class TrainingLoop:
    """Restores the newest checkpoint of a run and trains what is left of its stages.

    Attributes:
        model: the compiled model.
        recipe: the run.
        begin: (start step, batches per step) → training batches, distributed over the strategy's replicas.
        train: the training split, for stages that are fitted without steps.
        run: the run directory.
        settings: of checkpoints.
        store: where checkpoints are written; None in processes that do not write, which still take part.
        observers: callbacks of the process that writes.
        notify: receives messages for the user.
    """

    model: GenerativeModel
    recipe: Recipe
    begin: Callable[[int, int], object]
    train: Source
    run: RunDirectory
    settings: CheckpointSettings
    store: checkpoints.Checkpoints | None
    observers: Sequence[keras.callbacks.Callback]
    notify: Callable[[str], None]

    def __call__(self) -> None:
        """Trains; see `train` for what is raised."""
        model, ends = self.model, self.recipe.stage_ends
        step = self._restore()
        index = int(model.stage_index.numpy())
        if not any(state.fit or step < end for state, end in list(zip(model.stages, ends))[index:]):
            self.notify(f"{self.run.path} is already trained, {step} steps of {ends[-1]}")
            return
        if step:
            self.notify(f"continuing {self.run.path} at step {step} of {ends[-1]}")
        writer = CheckpointCallback(self.settings, self.store, self.recipe.interval, ends)
        writer.set_model(model)
        callbacks = [FiniteGuard(self.run.failure, functools.partial(last_good, self.run)), *self.observers, writer]
        for callback in callbacks:
            if isinstance(callback, StepCallback):
                callback.begin(step)
        try:
            with writer:
                while not model.is_finished:
                    if model.stage.fit is not None:
                        self._fit_stage(writer)
                    else:
                        step = self._train_stage(step, ends[int(model.stage_index.numpy())], callbacks)
                        if step == ends[-1] and model.is_in_last_stage:
                            break
                        model.finish_stage()
        except OSError as error:  # a full disk, a folder that is gone
            raise OSError(error.errno, f"{error.strerror or error}. {last_good(self.run)}", error.filename) from error
        writer.poll_signals()  # one may have come since the last interval ended
        writer.stop_if_requested()

    def _restore(self) -> int:
        """Restores the newest checkpoint, if there is one; returns the training step."""
        reader = self.store or checkpoints.Checkpoints(
            self.run.checkpoints, notify=self.notify, run=self.run.identifier
        )
        state = reader.load_newest()
        if state is not None:
            with self.model.distribute_strategy.scope():
                checkpoints.restore(self.model, state)
        step = int(self.model.step.numpy())
        require_same_state(self.model.distribute_strategy, step, self.model.state())
        if self.store:
            self.store.set_aside(after=step)
        return step

    def _train_stage(self, step: int, end: int, callbacks: list) -> int:
        """Trains the current stage from `step` to its end, which it returns."""
        model = self.model
        for start, stop, interval in segments(step, end, self.recipe.interval):
            model.keep_metrics_once = start % self.recipe.interval != 0
            first = start // self.recipe.interval
            model.fit(
                self.begin(start, model.stage.batches_per_step),
                steps_per_epoch=interval,
                initial_epoch=first,
                epochs=first + (stop - start) // interval,
                callbacks=callbacks,
                shuffle=False,  # the data come shuffled
                verbose=0,
            )
        return end

    def _fit_stage(self, writer: CheckpointCallback) -> None:
        """Runs a stage without steps, and saves what it changed: it is not repeated, nor half done after a kill."""
        model = self.model
        self.notify(f"stage {model.stage.name}: fitting")
        before = {name: network.get_weights() for name, network in model.averages.sources.items()}
        with model.distribute_strategy.scope():
            model.stage.fit(model, self.train)
            changed = [
                name
                for name, weights in before.items()
                if any(map(np.any, map(np.not_equal, weights, model.networks[name].get_weights())))
            ]
            model.averages.restart_networks(changed)
        model.finish_stage()
        writer.save()
        writer.poll_signals()
        writer.stop_if_requested()


def last_good(run: RunDirectory) -> str:
    """A sentence, with a space, that names the newest checkpoint of a run."""
    reader = checkpoints.Checkpoints(run.checkpoints)
    steps = reader.steps()
    return f"The last good state is {reader.path(steps[-1])}. " if steps else "No checkpoint was written yet. "


def segments(step: int, steps: int, interval: int) -> Iterator[tuple[int, int, int]]:
    """Cuts the way from `step` to `steps` where reports are due: (start, stop, steps of each report in between).

    A run that continues in the middle of an interval first finishes it; a last interval may be short.
    """
    while step < steps:
        boundary = min((step // interval + 1) * interval, steps)
        whole = boundary - step == interval
        stop = steps // interval * interval if whole else boundary
        yield step, stop, boundary - step
        step = stop
