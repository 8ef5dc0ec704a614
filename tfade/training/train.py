"""A run from its recipe to its last checkpoint."""

import contextlib
import functools
import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from tfade import data
from tfade.data.pipeline import batches
from tfade.data.source import Source
from tfade.errors import UsageError
from tfade.kernels import cpu_kernels
from tfade.models.base import GenerativeModel
from tfade.stopwatch import Stopwatch
from tfade.training import binding_use, checkpoints, configuration, recorded_configuration
from tfade.training.callbacks import FirstStep, History, Progress, Record, Validation
from tfade.training.checkpoint_callback import CheckpointSettings
from tfade.training.cluster import cluster_of, reporting_lost_workers
from tfade.training.loop import TrainingLoop, last_good
from tfade.training.recipe import Recipe, build_model, recipe_of_data
from tfade.training.run_directory import RunDirectory
from tfade.training.strategy import is_chief, make_strategy
from tfade.training.visualisation import TensorBoard, Visualisation

PACKAGES = ("tfade", "tensorflow", "keras", "tensorflow-probability", "tensorflow-datasets", "gin-config", "numpy")


def train(
    run_dir: str | Path,
    *,
    revision: str | None = None,
    evaluated: bool = False,
    finish: Callable[[RunDirectory], None] = lambda run: None,
    notify: Callable[[str], None] = print,
    stopwatch: Stopwatch | None = None,
) -> GenerativeModel:
    """Trains, or continues to train, the run that the current gin configuration describes.

    Args:
        run_dir: the run directory; nothing is written into it before the configuration is known to be good.
        revision: source revision, for the record.
        evaluated: whether an evaluation will follow, which needs the test split.
        finish: called once training is done, in the one process that writes, while the directory is still locked.
        notify: receives messages for the user.
        stopwatch: records how long each phase takes.

    Returns:
        The trained model.

    Raises:
        UsageError: something about the configuration, the data or the directory is wrong.
        NonFiniteError: a loss or gradient was not finite.
        ConnectionError: another worker left.
        Interrupted: SIGTERM or SIGINT; a checkpoint is saved.
    """
    recipe = configuration.make(Recipe)
    strategy = make_strategy(recipe.strategy, recipe.devices)
    run = RunDirectory(run_dir)
    with reporting_lost_workers(cluster_of(strategy.cluster_resolver), functools.partial(last_good, run)):
        return _train(run, strategy, revision, evaluated, finish, notify, stopwatch or Stopwatch())


def _train(
    run: RunDirectory, strategy: tf.distribute.Strategy, revision, evaluated, finish, notify, stopwatch: Stopwatch
) -> GenerativeModel:
    recipe, source, other = recipe_of_data()
    validation_split = data.load_if_there(recipe.data, "validation")
    # What selects a checkpoint must not be what tests it: the test split is looked at, and validates nothing.
    held_out = validation_split or data.load(recipe.data, "test")
    if evaluated:  # what is needed at the end is there at the beginning
        data.load(recipe.data, "test")
        if other is not None:
            data.load(recipe.other_data, "test")
    settings, visualisation = configuration.make(CheckpointSettings), configuration.make(Visualisation)
    keras.utils.set_random_seed(recipe.seed)
    stopwatch.end("data")
    with strategy.scope():
        model = build_model(recipe)
    stopwatch.end("model")
    begin = distributed_batches(strategy, model.fields, source, other, recipe)
    for state in model.stages:
        begin(0, state.batches_per_step)  # checks the batch size early
    fitted_later = {getattr(state.fit, "__name__", "") for state in model.stages}
    for binding in binding_use.unused():
        if binding.rpartition("/")[2].partition(".")[0] not in fitted_later:
            notify(f"note: {binding} is bound and not used by this run")
    other_held_out = None if other is None else data.load_if_there(recipe.other_data, "validation") or other
    validation = Validation(validation_split, other_held_out) if validation_split else None
    _check_monitor(settings.monitor, model, validation)
    loop = functools.partial(TrainingLoop, model, recipe, begin, source, run, settings)
    if not is_chief(strategy):
        loop(None, (), notify)()
        return model
    with run.claim():
        config = recorded_configuration.recorded()
        run.configure(config, data_record(source, other), recipe.same_data, notify)
        ran_on = environment(recipe, revision)
        run.note_kernels(ran_on["kernels"]["library"], notify)
        run.failure.unlink(missing_ok=True)
        observers = [
            *([validation] if validation else []),
            Progress(recipe.stage_ends[-1], recipe.interval),
            History(run),
            TensorBoard(run, config, held_out, recipe.batch_size, visualisation, other_held_out),
            Record(run.environment, ran_on),
            FirstStep(stopwatch),
        ]
        loop(checkpoints.Checkpoints(run.checkpoints, settings.keep, notify, run.identifier), observers, notify)()
        stopwatch.end("training")
        finish(run)
    return model


def _check_monitor(monitor: str | None, model: GenerativeModel, validation: Validation | None) -> None:
    """Rejects a monitor that is never reported, before a step is taken."""
    if monitor is None:
        return
    reported = [name for state in model.stages if state.running_means for name in state.running_means.names]
    names = [*reported, *(validation.names(model) if validation else [])]
    if monitor not in names:
        raise UsageError(
            f"CheckpointSettings.monitor={monitor!r} is not reported; reported are {', '.join(sorted(names))}"
        )


def distributed_batches(
    strategy: tf.distribute.Strategy, fields: Sequence[str], source: Source, other: Source | None, recipe: Recipe
) -> Callable[[int, int], object]:
    """(start step, batches per step) → training batches with these fields, distributed over a strategy's replicas."""

    def begin(start_step: int, batches_per_step: int):
        make = functools.partial(
            batches,
            source,
            recipe.batch_size,
            recipe.seed,
            fields=fields,
            other=other,
            start_step=start_step,
            batches_per_step=batches_per_step,
            horizontal_flip=recipe.horizontal_flip,
        )
        alone = isinstance(strategy, type(tf.distribute.get_strategy())) and strategy.num_replicas_in_sync == 1
        return make() if alone else strategy.distribute_datasets_from_function(lambda context: make(context=context))

    return begin


def data_record(source: Source, other: Source | None) -> dict:
    """What tells the training data of a run from others; see `RunDirectory.configure`."""
    sources = [part for part in (source, other) if part is not None]
    layout = [[list(part.spec.shape), part.spec.dtype, part.spec.num_classes] for part in sources]
    return {
        "name": " and ".join(part.spec.name for part in sources),
        "num_examples": [part.spec.num_examples for part in sources],
        "fingerprint": " ".join(part.fingerprint() for part in sources),
        "layout": layout,
    }


def environment(recipe: Recipe, revision: str | None) -> dict:
    """What a run ran on: versions, devices, the CPU's kernels, seed, source revision."""
    devices = [f"{device.device_type} {device.name}" for device in tf.config.list_logical_devices()]
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": installed(PACKAGES),
        "devices": devices,
        "kernels": cpu_kernels(),
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
