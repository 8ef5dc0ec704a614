"""A run from its recipe to its last checkpoint."""

import contextlib
import dataclasses
import importlib.metadata
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import gin
import keras
import tensorflow as tf

from tfade import data, files
from tfade.data.pipeline import batches
from tfade.data.source import Source
from tfade.models.base import GenerativeModel
from tfade.training import checkpoints, configuration
from tfade.training.callbacks import FiniteGuard, History, Progress, Validation
from tfade.training.recipe import Recipe, build_model
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


def train(run_dir: str | Path, *, revision: str | None = None, say: Callable[[str], None] = print) -> GenerativeModel:
    """Trains, or continues to train, the run that the current gin configuration describes.

    Args:
        run_dir: the run directory; nothing is written into it before the configuration is known to be good.
        revision: source revision, for the record.
        say: receives messages for the user.

    Returns:
        The trained model.

    Raises:
        UsageError: something about the configuration, the data or the directory is wrong.
        NonFiniteError: a loss or gradient was not finite.
        Interrupted: SIGTERM or SIGINT; a checkpoint is saved.
    """
    recipe = gin.get_configurable(Recipe)()
    strategy = make_strategy(recipe.strategy, recipe.devices)
    source, held_out = data.load(recipe.data, "train"), data.load(recipe.data, "validation")
    settings = _recorded(source)
    recipe = settings.recipe
    keras.utils.set_random_seed(recipe.seed)
    with strategy.scope():
        model = build_model(recipe)
    train_data = _distributed(strategy, source, recipe, model.batches_per_step)  # checks the batch size early
    config = configuration.text()

    run = RunDirectory(run_dir)
    if not is_chief(strategy):
        return _fit(model, strategy, train_data, settings, run, None, say)
    with run.claim():
        run.configure(config)
        files.write_json(run.environment, environment(recipe, revision))
        store = checkpoints.Checkpoints(run.checkpoints, settings.saving.keep, say)
        return _fit(model, strategy, train_data, settings, run, store, say, held_out=held_out, config=config)


def _recorded(source: Source) -> Settings:
    """The settings, with what the model needs to know of the data written into the configuration."""
    with gin.unlock_config():
        gin.bind_parameter("Recipe.image_shape", source.spec.shape)
        gin.bind_parameter("Recipe.stacked", source.stacked is not None)
    return Settings(*(gin.get_configurable(part)() for part in (Recipe, Saving, Showing)))


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


def _fit(model, strategy, begin, settings, run, store, say, held_out=None, config="") -> GenerativeModel:
    recipe, saving = settings.recipe, settings.saving
    reader = store or checkpoints.Checkpoints(run.checkpoints, saving.keep, say)
    state = reader.load_newest()
    if state is not None:
        with strategy.scope():
            checkpoints.restore(model.state(), state)
    step = int(model.step.numpy())
    if step >= recipe.steps:
        say(f"{run.path} is trained already, {step} steps of {recipe.steps}")
        return model
    if step:
        say(f"continuing {run.path} at step {step} of {recipe.steps}")

    saver = Saver(step, saving, store, recipe.interval, recipe.steps)
    callbacks: list = [FiniteGuard(step, run.failure, lambda: _last_good(reader))]
    if store:
        callbacks += [
            Validation(held_out),
            Progress(recipe.steps, recipe.interval),
            History(step, run),
            TensorBoard(step, run, config, held_out, recipe.batch_size, settings.showing, recipe.stacked),
        ]
    with saver:
        for start, stop, interval in _segments(step, recipe.steps, recipe.interval):
            model.keep_metrics_once = start % recipe.interval != 0
            first = start // recipe.interval
            model.fit(
                begin(start),
                steps_per_epoch=interval,
                initial_epoch=first,
                epochs=first + (stop - start) // interval,
                callbacks=[*callbacks, saver],
                shuffle=False,  # the data come shuffled
                verbose=0,
            )
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
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    devices = [f"{device.device_type} {device.name}" for device in tf.config.list_logical_devices()]
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": versions,
        "devices": devices,
        "seed": recipe.seed,
        "precision": recipe.precision,
        "revision": revision,
    }
