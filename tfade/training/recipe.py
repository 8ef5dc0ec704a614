"""What a run is, as gin states it, and how a model is built from it."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import gin

from tfade import data
from tfade.data.source import Source
from tfade.errors import UsageError, check_whole
from tfade.models.base import GenerativeModel
from tfade.models.optimization import Optimization
from tfade.models.stages import Stage
from tfade.spec import Spec
from tfade.training import checkpoints, configuration, optimizers, recorded_configuration, strategy
from tfade.training.building import build_or_explain, check_boolean_bindings
from tfade.training.reach import configured_defaults, require_reached
from tfade.training.run_directory import RunDirectory


@gin.register
@dataclasses.dataclass(frozen=True)
class Recipe:
    """One run.

    Attributes:
        model: the model's class; gin binds its other arguments.
        data: name of the data set, as `tfade.data.load` takes it.
        steps: training steps; of each stage that does not state its own.
        batch_size: of the global batch, over all replicas.
        seed: of initial weights, data order and noise, 0 or more.
        interval: steps between two reports (a line of history, pictures, validation).
        horizontal_flip: mirror training images at random.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        strategy, devices: see `make_strategy`.
        other_data: name of the second data set of a model of two domains; None for the others.
        same_data: whether a run that continues on data with another fingerprint is an error; otherwise it is a note.
        stages: stages of training in order, instances of `Stage`; none for one stage that moves every player.
        spec: recorded from the data when training starts (`Spec.to_dict`), so that a run can be rebuilt without them.
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
    other_data: str | None = None
    same_data: bool = False
    stages: Sequence[Stage] = ()
    spec: Mapping | None = None

    def __post_init__(self):
        if not (isinstance(self.model, type) and issubclass(self.model, GenerativeModel)):
            raise UsageError(
                f"Recipe.model={self.model!r} is not the class of a model; in gin @VAE, with @ and without parentheses"
            )
        if isinstance(self.seed, int) and self.seed >= 2**32:
            raise UsageError(f"seed={self.seed!r} is beyond 2³² - 1, the largest that NumPy takes")
        for name, least in (("steps", 1), ("batch_size", 1), ("seed", 0), ("interval", 1)):
            check_whole(name, getattr(self, name), least)
        if not isinstance(self.stages, Sequence) or not all(isinstance(stage, Stage) for stage in self.stages):
            raise UsageError(f"Recipe.stages={self.stages!r} are not stages; in gin (@first/Stage(), @second/Stage())")
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise UsageError(f"Recipe.stages are named {names}; give each a name of its own")
        stages = tuple(stage.with_default_steps(self.steps) for stage in self.stages)
        object.__setattr__(self, "stages", stages)

    @property
    def stage_ends(self) -> tuple[int, ...]:
        """The training step that each stage ends with; one of a run without stages."""
        if not self.stages:
            return (self.steps,)
        return tuple(sum(stage.steps for stage in self.stages[: index + 1]) for index in range(len(self.stages)))

    @property
    def stacked(self) -> bool:
        """Whether images are stacked digits, which are shown channel by channel."""
        return bool(self.spec and self.spec.get("stacked"))


def recipe_of_data() -> tuple[Recipe, Source, Source | None]:
    """The recipe that gin describes, with its training data, whose specification is bound to it from now on.

    Returns:
        The recipe, the training split, and that of the second domain or None.
    """
    recipe = configuration.make(Recipe)
    source = data.load(recipe.data, "train")
    other = None if recipe.other_data is None else data.load(recipe.other_data, "train")
    spec = dataclasses.replace(source.spec, other=None if other is None else other.spec)
    with gin.unlock_config():
        gin.bind_parameter("Recipe.spec", spec.to_dict())
    return configuration.make(Recipe), source, other


def build_model(recipe: Recipe) -> GenerativeModel:
    """The compiled model of a recipe, in the scope of the current strategy.

    Raises:
        UsageError: something about the model is wrong, or a bound class is used by the model and made without gin.
    """

    def make_optimizer(player: str, of_stage=None):
        with gin.config_scope(player):
            return of_stage() if of_stage is not None else optimizers.make_optimizer()

    def build():
        with configured_defaults():
            model = recipe.model(Spec.from_dict(recipe.spec))
        model.compile(make_optimizer, configuration.make(Optimization), seed=recipe.seed, stages=recipe.stages)
        return model

    check_boolean_bindings()
    with strategy.precision(recipe.precision):
        model = build_or_explain(recipe.model.__name__, build)
    require_reached(model)
    return model


@contextlib.contextmanager
def run_configuration(
    run_dir: str | Path,
    bindings: Sequence[str] = (),
    files: Sequence[str] = (),
    root: str | Path | None = None,
    trust_imports: bool = False,
) -> Iterator[Recipe]:
    """Inside, gin holds the configuration of a run, overridden by `files` and then `bindings`; outside, the caller's.

    `include` paths in the files are relative to `root`; `trust_imports`: see `load_run`.

    Raises:
        UsageError: `run_dir` holds no run, or its configuration cannot be parsed.
    """
    run = RunDirectory(run_dir)
    run.require()
    with configuration.isolated():
        recorded_configuration.parse(run.config, files, bindings, root, trust_imports)
        yield configuration.make(Recipe)


def load_run(run_dir: str | Path, checkpoint: str | int = "latest", trust_imports: bool = False) -> GenerativeModel:
    """Rebuilds the model of a run and restores it. No data set is touched, nor the caller's gin configuration.

    Args:
        run_dir: the run directory.
        checkpoint: "latest", "best", or the step of one that was kept.
        trust_imports: import the modules of the run's author that it was trained with, which executes their code.
            Without it, a run may only name classes of tfade and those that are registered already.

    Returns:
        The model, compiled, with all weights, averages, optimizer slots and counters.

    Raises:
        UsageError: no run, no such checkpoint, or one that does not fit.
    """
    run = RunDirectory(run_dir)
    with run_configuration(run_dir, trust_imports=trust_imports) as recipe:
        state = checkpoints.Checkpoints(run.checkpoints, run=run.identifier).load(checkpoint)
        model = build_model(recipe)
        checkpoints.restore(model, state)
    return model
