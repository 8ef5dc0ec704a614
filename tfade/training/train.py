"""A run from its recipe to its last checkpoint."""

import contextlib
import dataclasses
import importlib.metadata
import platform
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from tfade import data
from tfade.data.pipeline import batches
from tfade.data.source import Source
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel
from tfade.training import checkpoints, configuration
from tfade.training.callbacks import FiniteGuard, History, Progress, Record, StepCallback, Validation
from tfade.training.recipe import Recipe, build_model, recipe_of_data
from tfade.training.run_directory import RunDirectory
from tfade.training.saving import Saver, Saving
from tfade.training.showing import Showing, TensorBoard
from tfade.training.strategy import is_chief, make_strategy

PACKAGES = ("tfade", "tensorflow", "keras", "tensorflow-probability", "tensorflow-datasets", "gin-config", "numpy")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything that the current gin configuration says about a run, read once."""

    recipe: Recipe
    saving: Saving
    showing: Showing


def train(
    run_dir: str | Path,
    *,
    revision: str | None = None,
    finish: Callable[[RunDirectory], None] = lambda run: None,
    say: Callable[[str], None] = print,
) -> GenerativeModel:
    """Trains, or continues to train, the run that the current gin configuration describes.

    Args:
        run_dir: the run directory; nothing is written into it before the configuration is known to be good.
        revision: source revision, for the record.
        finish: called once training is done, in the one process that writes, while the directory is still held.
        say: receives messages for the user.

    Returns:
        The trained model.

    Raises:
        UsageError: something about the configuration, the data or the directory is wrong.
        NonFiniteError: a loss or gradient was not finite.
        Interrupted: SIGTERM or SIGINT; a checkpoint is saved.
    """
    recipe = configuration.make(Recipe)
    strategy = make_strategy(recipe.strategy, recipe.devices)
    recipe, source = recipe_of_data()
    validation_split = data.load_if_there(recipe.data, "validation")
    # What selects a checkpoint must not be what tests it: the test split is looked at, and validates nothing.
    held_out = validation_split or data.load(recipe.data, "test")
    settings = Settings(recipe, configuration.make(Saving), configuration.make(Showing))
    keras.utils.set_random_seed(recipe.seed)
    with strategy.scope():
        model = build_model(recipe)
    begin = _distributed(strategy, source, recipe, model.batches_per_step)  # checks the batch size early
    for binding in configuration.unused():
        say(f"note: {binding} is bound and not used by this run")
    validation = Validation(held_out) if validation_split else None
    _check_monitor(settings.saving.monitor, model, validation)
    run = RunDirectory(run_dir)
    if not is_chief(strategy):
        return _fit(model, begin, settings, run, None, [], say)
    with run.claim():
        config = configuration.text()
        run.configure(config)
        run.failure.unlink(missing_ok=True)
        store = checkpoints.Checkpoints(run.checkpoints, settings.saving.keep, say)
        observers = [
            *([validation] if validation else []),
            Progress(recipe.steps, recipe.interval),
            History(run),
            TensorBoard(run, config, held_out, recipe.batch_size, settings.showing, recipe.stacked),
            Record(run.environment, environment(recipe, revision)),
        ]
        _fit(model, begin, settings, run, store, observers, say)
        finish(run)
    return model


def _check_monitor(monitor: str | None, model: GenerativeModel, validation: Validation | None) -> None:
    """Refuses a monitor that is never reported before a step is taken."""
    names = [*model.term_means.names, *(validation.names(model) if validation else [])]
    if monitor is not None and monitor not in names:
        raise UsageError(f"Saving.monitor={monitor!r} is not reported; reported are {', '.join(sorted(names))}")


def _distributed(strategy, source: Source, recipe: Recipe, batches_per_step: int) -> Callable[[int], object]:
    """start_step → training batches, distributed over the strategy's replicas."""

    def begin(start_step: int):
        def make(context=None):
            return batches(
                source,
                recipe.batch_size,
                recipe.seed,
                start_step=start_step,
                batches_per_step=batches_per_step,
                horizontal_flip=recipe.horizontal_flip,
                context=context,
            )

        alone = isinstance(strategy, type(tf.distribute.get_strategy())) and strategy.num_replicas_in_sync == 1
        return make() if alone else strategy.distribute_datasets_from_function(make)

    begin(0)
    return begin


def _fit(model, begin, settings, run, store, observers, say) -> GenerativeModel:
    """Restores the newest checkpoint and trains to the last step. `store` is None in processes that do not write."""
    recipe = settings.recipe
    reader = store or checkpoints.Checkpoints(run.checkpoints, settings.saving.keep, say)
    state = reader.load_newest()
    if state is not None:
        with model.distribute_strategy.scope():
            checkpoints.restore(model.state(), state)
    step = int(model.step.numpy())
    if store:
        store.set_aside(after=step)
    if step >= recipe.steps:
        say(f"{run.path} is trained already, {step} steps of {recipe.steps}")
        return model
    if step:
        say(f"continuing {run.path} at step {step} of {recipe.steps}")

    saver = Saver(settings.saving, store, recipe.interval, recipe.steps)
    callbacks = [FiniteGuard(run.failure, lambda: _last_good(reader)), *observers, saver]
    for callback in callbacks:
        if isinstance(callback, StepCallback):
            callback.begin(step)
    with saver:
        for start, stop, interval in _segments(step, recipe.steps, recipe.interval):
            model.keep_metrics_once = start % recipe.interval != 0
            first = start // recipe.interval
            model.fit(
                begin(start),
                steps_per_epoch=interval,
                initial_epoch=first,
                epochs=first + (stop - start) // interval,
                callbacks=callbacks,
                shuffle=False,  # the data come shuffled
                verbose=0,
            )
    saver.leave_if_asked()
    return model


def _segments(step: int, steps: int, interval: int) -> Iterator[tuple[int, int, int]]:
    """Cuts the way from `step` to `steps` where reports are due: (start, stop, steps of each report in between).

    A run that continues in the middle of an interval first finishes it; a last interval may be short.
    """
    while step < steps:
        boundary = min((step // interval + 1) * interval, steps)
        whole = boundary - step == interval
        stop = steps // interval * interval if whole else boundary
        yield step, stop, boundary - step
        step = stop


def _last_good(store: checkpoints.Checkpoints) -> str:
    steps = store.steps()
    return f"The last good state is {store.path(steps[-1])}. " if steps else "No checkpoint was written yet. "


def environment(recipe: Recipe, revision: str | None) -> dict:
    """What a run ran on: versions, devices, seed, source revision."""
    devices = [f"{device.device_type} {device.name}" for device in tf.config.list_logical_devices()]
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": installed(PACKAGES),
        "devices": devices,
        "seed": recipe.seed,
        "precision": recipe.precision,
        "revision": revision,
    }


def installed(packages: Sequence[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    versions = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
