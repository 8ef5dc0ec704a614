"""How the players of a model are updated: one object, bound by gin and handed over whole."""

import dataclasses
from collections.abc import Mapping, Sequence

import gin

from tfade.errors import UsageError, check_positive

Schedule = Sequence[Sequence[str]]


def check_schedule(name: str, schedule) -> None:
    """Rejects what is not phases of players' names."""
    phases = schedule if isinstance(schedule, (tuple, list)) else (None,)
    if not all(isinstance(phase, (tuple, list)) and all(isinstance(name, str) for name in phase) for phase in phases):
        raise UsageError(
            f'{name}={schedule!r} must be phases of players\' names, such as (("discriminator",) * 5, ("generator",))'
        )


@gin.register
@dataclasses.dataclass(frozen=True)
class Optimization:
    """How the players are updated.

    Attributes:
        schedule: phases of one step, see `schedule.passes`; None updates all players together. A `Stage` may have its
            own.
        fresh_batches: every pass takes a batch of its own; otherwise the passes of a step share one.
        fresh_noise: every pass draws its own noise; otherwise the passes of a step share it (Flow-GAN's code).
        clip_norm: largest global norm of a player's gradient, summed over replicas. None: no clipping.
        average_decay: network → decay in (0, 1) of the exponential moving average of its weights, which then serves
            every question of the public contract.
        jit_compile: compile the step with XLA, whose random numbers differ from those of the same seed without it.
            "auto" does so in a run of one replica for what was measured to gain by it
            (`GenerativeModel.gains_by_xla`; gin/RESULTS.md, "Benchmarks").

    Raises:
        UsageError: a value out of range.
    """

    schedule: Schedule | None = None
    fresh_batches: bool = False
    fresh_noise: bool = True
    clip_norm: float | None = None
    average_decay: Mapping[str, float] = dataclasses.field(default_factory=dict)
    jit_compile: bool | str = "auto"

    def __post_init__(self):
        if self.schedule is not None:
            check_schedule("Optimization.schedule", self.schedule)
        if self.clip_norm is not None:
            check_positive("Optimization.clip_norm", self.clip_norm)
        if not isinstance(self.average_decay, Mapping):
            raise UsageError(
                f"Optimization.average_decay={self.average_decay!r} is not a dictionary such as {{'generator': 0.999}}"
            )
        for name, others in {"fresh_batches": (), "fresh_noise": (), "jit_compile": ("auto",)}.items():
            value = getattr(self, name)
            if not isinstance(value, bool) and value not in others:
                choices = ", ".join(map(repr, (True, False, *others)))
                raise UsageError(f"Optimization.{name}={value!r} is not one of {choices}")

    def compiles(self, model) -> bool:
        """Whether the step of a model is compiled with XLA."""
        if self.jit_compile != "auto":
            return self.jit_compile
        return model.distribute_strategy.num_replicas_in_sync == 1 and model.gains_by_xla
