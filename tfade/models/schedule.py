"""The schedule of a training step: which players are updated in which order, and how often."""

from collections import Counter
from collections.abc import Sequence

import keras

from tfade.errors import UsageError


def passes(schedule: Sequence[Sequence[str]] | None, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The passes of one training step, each the players that are updated together.

    Args:
        schedule: phases in order. A phase whose players are each named n times is n passes, so
            `(("discriminator",) * 5, ("generator",))` is five passes of the discriminator and one of the generator.
            None: all at once.
        names: the model's players.

    Returns:
        One tuple of distinct player names for each pass.

    Raises:
        UsageError: a name that no player has, a player that is never trained, or unequal repeats within a phase.
    """
    if schedule is None:
        return (tuple(names),)
    result = []
    for phase in schedule:
        counts = Counter(phase)
        unknown = [name for name in counts if name not in names]
        if unknown or not counts:
            raise UsageError(
                f"schedule phase {tuple(phase)!r} names {unknown or 'no player'}; the players are {tuple(names)}"
            )
        if len(set(counts.values())) > 1:
            raise UsageError(
                f"schedule phase {tuple(phase)!r} repeats its players unequally; players of one phase step together, "
                "so give the others a phase of their own"
            )
        result += [tuple(counts)] * counts[phase[0]]
    idle = [name for name in names if not any(name in players for players in result)]
    if idle:
        raise UsageError(f"schedule={schedule!r} never trains {idle}; every player needs a phase")
    return tuple(result)


class PerStep(keras.optimizers.schedules.LearningRateSchedule):
    """A learning-rate schedule in training steps, for a player that is updated several times in each.

    Keras counts updates: for a discriminator that moves five times in a step, a rate that falls to 0 over the steps of
    a run would be 0 after a fifth of it.

    Args:
        schedule: learning rate of a training step.
        updates: updates of the player in one step.
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, updates: int):
        self.schedule, self.updates = schedule, updates

    def __call__(self, step):
        return self.schedule(step // self.updates)

    def get_config(self):
        return {"schedule": self.schedule, "updates": self.updates}
