"""Stages of training: what moves for how many steps, and what a stage holds while it does."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import gin
import keras

from tfade.errors import UsageError, check_class, check_whole
from tfade.models.optimization import Optimization, Schedule, check_schedule
from tfade.models.players import Player
from tfade.models.running_means import RunningMeans
from tfade.models.schedule import PerStep, passes

GRADIENT_NORM = "gradient_norm"  # reported for every player beside its terms


@gin.register
@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of a run: training steps of some players, or something that is fitted without steps.

    Attributes:
        name: of the stage, an identifier, unique in the run; its optimizers and reports are saved under it.
        steps: training steps, 1 or more; None for as many as the recipe says; 0 with `fit`.
        schedule: phases of one step, see `schedule.passes`; None for that of `Optimization`, where all its players move
            in this stage, otherwise all at once.
        players: names of the players that move; None for all. The networks of the others are not updated.
        optimizer: makes every player's optimizer in this stage, called in the gin scope of the player; None for
            `make_optimizer`. Optimizers start afresh with the stage.
        fit: of a stage without steps: called as `fit(model, train)`, train being the training split; it changes
            variables of the model's networks, such as the parameters of a density over codes.

    Raises:
        UsageError: neither steps nor `fit`, or both; `fit` with players, a schedule or an optimizer; a name that is
            empty or holds other characters.
    """

    name: str
    steps: int | None = None
    schedule: Schedule | None = None
    players: Sequence[str] | None = None
    optimizer: Callable[[], keras.Optimizer] | None = None
    fit: Callable | None = None

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise UsageError(f"Stage.name={self.name!r} is not an identifier such as 'autoencoder'")
        if self.schedule is not None:
            check_schedule(f"schedule of stage {self.name!r}", self.schedule)
        check_class(f"optimizer of stage {self.name!r}", self.optimizer, optional=True)
        if self.fit is not None and not callable(self.fit):
            raise UsageError(f"fit={self.fit!r} of stage {self.name!r} is not a function of (model, train)")
        unused = [name for name in ("players", "schedule", "optimizer") if getattr(self, name) is not None]
        if self.fit is not None and unused:
            raise UsageError(f"stage {self.name!r} has fit and {unused[0]}, which is of training steps; leave it out")
        if self.fit is not None and self.steps is None:
            object.__setattr__(self, "steps", 0)
        if self.steps is not None:
            check_whole(f"steps of stage {self.name!r}", self.steps, 0)
            if bool(self.steps) == (self.fit is not None):
                found = "both steps and fit" if self.steps else "neither steps nor fit"
                raise UsageError(f"stage {self.name!r} has {found}; give steps = N for training, or fit = @function")

    def with_default_steps(self, steps: int) -> "Stage":
        """The stage with its number of steps: `steps` where it states none."""
        return self if self.steps is not None else dataclasses.replace(self, steps=steps)


class StageState:
    """What a stage of a compiled model holds: its passes, its optimizers and its running means.

    Args:
        stage: the stage; None for the only one of a model without stages.
        players: all players of the model by name.
        make_optimizer: player's name, `Stage.optimizer` → its optimizer.
        optimization: how the players are updated.

    Raises:
        UsageError: an unknown player, a schedule that does not fit, or one network in two players.
    """

    def __init__(
        self,
        stage: Stage | None,
        players: Mapping[str, Player],
        make_optimizer: Callable[[str, Callable | None], keras.Optimizer],
        optimization: Optimization,
    ):
        self.stage = stage
        self.fit = stage.fit if stage else None
        self.players = {} if self.fit else _moving(stage, players)
        schedule = optimization.schedule if stage is None or stage.players is None else None
        if stage is not None and stage.schedule is not None:
            schedule = stage.schedule
        self.passes = passes(schedule, tuple(self.players)) if self.players else ()
        self.batches_per_step = len(self.passes) if optimization.fresh_batches and self.passes else 1
        _require_disjoint(self.players)
        self.optimizers = {name: self._optimizer(name, make_optimizer) for name in self.players}
        self.running_means: RunningMeans | None = None  # made when the names of the terms are known

    @property
    def name(self) -> str:
        return self.stage.name if self.stage else ""

    def _optimizer(self, name: str, make: Callable) -> keras.Optimizer:
        optimizer = make(name, self.stage.optimizer if self.stage else None)
        updates = sum(name in moving for moving in self.passes)
        if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule) and updates > 1:
            optimizer.learning_rate = PerStep(optimizer._learning_rate, updates)
        if keras.mixed_precision.dtype_policy().name == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(self.players[name].variables)
        return optimizer

    def report(self, terms: Sequence[str]) -> None:
        """Makes the running means of the stage's terms, "player/term", and of its players' gradient norms."""
        norms = [f"{player}/{GRADIENT_NORM}" for player in self.players]
        self.running_means = RunningMeans([*terms, *norms])

    def state(self) -> dict[str, keras.optimizers.Optimizer | RunningMeans]:
        """The owners of the variables that a checkpoint holds of this stage, by name."""
        prefix = f"{self.name}." if self.name else ""
        groups = {f"optimizer.{prefix}{name}": optimizer for name, optimizer in self.optimizers.items()}
        if self.running_means is not None:
            groups[f"report.{prefix}".rstrip(".")] = self.running_means
        return groups


def _moving(stage: Stage | None, players: Mapping[str, Player]) -> dict[str, Player]:
    """The players that move in a stage."""
    if stage is None or stage.players is None:
        return dict(players)
    unknown = [name for name in stage.players if name not in players]
    if unknown or not stage.players:
        raise UsageError(
            f"players={tuple(stage.players)} of stage {stage.name!r} names {unknown or 'no player'}; the players are "
            f"{tuple(players)}"
        )
    return {name: players[name] for name in stage.players}


def _require_disjoint(players: Mapping[str, Player]) -> None:
    owners: dict[int, str] = {}
    for name, player in players.items():
        for variable in player.variables:
            if owners.setdefault(id(variable), name) != name:
                raise UsageError(
                    f"players {owners[id(variable)]!r} and {name!r} both move {variable.path!r}; give each variable to "
                    "one player, and its loss the terms of both"
                )
