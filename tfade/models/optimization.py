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
        jit_compile: compile the step with XLA (it pays on GPUs and for flows, not for convolutions on CPUs). Its random
            numbers differ from those of the same seed without it.

    Raises:
        UsageError: a value out of range.
    """

    schedule: Schedule | None = None
    fresh_batches: bool = False
    fresh_noise: bool = True
    clip_norm: float | None = None
    average_decay: Mapping[str, float] = dataclasses.field(default_factory=dict)
    jit_compile: bool = False

    def __post_init__(self):
        if self.schedule is not None:
            check_schedule("Optimization.schedule", self.schedule)
        if self.clip_norm is not None:
            check_positive("Optimization.clip_norm", self.clip_norm)
        if not isinstance(self.average_decay, Mapping):
            raise UsageError(
                f"Optimization.average_decay={self.average_decay!r} is not a dictionary such as {{'generator': 0.999}}"
            )
        for name in ("fresh_batches", "fresh_noise", "jit_compile"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"Optimization.{name}={getattr(self, name)!r} is neither True nor False")
