"""What a run is, as gin states it, and how a model is built from it."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import gin

from tfade import data
from tfade.data.source import Source
from tfade.errors import UsageError, check_whole
from tfade.models.base import GenerativeModel
from tfade.training import checkpoints, configuration, optimizers, strategy
from tfade.training.run_directory import RunDirectory


@gin.register
@dataclasses.dataclass(frozen=True)
class Recipe:
    """One run.

    Attributes:
        model: the model's class; gin binds its other arguments.
        data: name of the data set, as `tfade.data.load` takes it.
        steps: training steps in all.
        batch_size: of the global batch, over all replicas.
        seed: of initial weights, data order and noise, 0 or more.
        interval: steps between two reports (a line of history, pictures, validation).
        horizontal_flip: mirror training images at random.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        strategy, devices: see `make_strategy`.
        image_shape, stacked: recorded from the data when training starts, so that a run can be rebuilt without them.
    """

    model: type[GenerativeModel]
    data: str
    steps: int
    batch_size: int
    seed: int = 0
    interval: int = 500
    horizontal_flip: bool = False
    precision: str = "float32"
    strategy: str = "auto"
    devices: int | None = None
    image_shape: tuple[int, ...] | None = None
    stacked: bool = False

    def __post_init__(self):
        if not callable(self.model):
            raise UsageError(f"Recipe.model={self.model!r} is not a model's class; write @ before its name in gin")
        if isinstance(self.seed, int) and self.seed >= 2**32:
            raise UsageError(f"seed={self.seed!r} is beyond 2³² - 1, the largest that NumPy takes")
        for name, least in (("steps", 1), ("batch_size", 1), ("seed", 0), ("interval", 1)):
            check_whole(name, getattr(self, name), least)


@gin.configurable
def compile_model(
    model: GenerativeModel,
    seed: int,
    *,
    schedule: Sequence[Sequence[str]] | None = None,
    fresh_batches: bool = False,
    fresh_noise: bool = True,
    clip_norm: float | None = None,
    average_decay: dict[str, float] | None = None,
    jit_compile: bool = False,
) -> None:
    """Compiles a model for training; the arguments are those of `GenerativeModel.compile`."""

    def make_optimizer(player: str):
        with gin.config_scope(player):
            return optimizers.make_optimizer()

    model.compile(
        make_optimizer,
        seed=seed,
        schedule=schedule,
        fresh_batches=fresh_batches,
        fresh_noise=fresh_noise,
        clip_norm=clip_norm,
        average_decay=average_decay,
        jit_compile=jit_compile,
    )


def recipe_of_data() -> tuple[Recipe, Source]:
    """The recipe that gin describes and its training data, whose shape is bound to the recipe from now on."""
    source = data.load(configuration.make(Recipe).data, "train")
    with gin.unlock_config():
        gin.bind_parameter("Recipe.image_shape", source.spec.shape)
        gin.bind_parameter("Recipe.stacked", source.stacked is not None)
    return configuration.make(Recipe), source


def build_model(recipe: Recipe) -> GenerativeModel:
    """The compiled model of a recipe, in the scope of the current strategy."""
    with strategy.precision(recipe.precision):
        model = recipe.model(recipe.image_shape)
        compile_model(model, recipe.seed)
    return model


@contextlib.contextmanager
def run_configuration(
    run_dir: str | Path, bindings: Sequence[str] = (), files: Sequence[str] = (), root: str | Path | None = None
) -> Iterator[Recipe]:
    """Inside, gin holds the configuration of a run, with `files` and then `bindings` over it; outside, the caller's.

    `include` paths in the files are relative to `root`.

    Raises:
        UsageError: `run_dir` holds no run, or its configuration cannot be parsed.
    """
    run = RunDirectory(run_dir)
    run.require()
    with configuration.isolated():
        configuration.parse([run.config, *files], bindings, root)
        yield configuration.make(Recipe)


def load_run(run_dir: str | Path, checkpoint: str | int = "latest") -> GenerativeModel:
    """Rebuilds the model of a run and restores it. No data set is touched, nor the caller's gin configuration.

    Args:
        run_dir: the run directory.
        checkpoint: "latest", "best", or the step of one that was kept.

    Returns:
        The model, compiled, with all weights, averages, optimizer slots and counters.

    Raises:
        UsageError: no run, no such checkpoint, or one that does not fit.
    """
    with run_configuration(run_dir) as recipe:
        state = checkpoints.Checkpoints(RunDirectory(run_dir).checkpoints).load(checkpoint)
        model = build_model(recipe)
        checkpoints.restore(model.state(), state)
    return model
