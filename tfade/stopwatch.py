"""How long each phase of a command takes."""

import time


class Stopwatch:
    """Seconds of the phases of a command, each from the end of the one before it to its own.

    Args:
        started: reading of `time.perf_counter` at which the first phase began; now by default.

    Attributes:
        seconds: by phase, in the order of their first ends.
    """

    def __init__(self, started: float | None = None):
        self._last = time.perf_counter() if started is None else started
        self.seconds: dict[str, float] = {}

    def end(self, phase: str) -> None:
        """Adds the time since the last call to this phase."""
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last
        self._last = now

    def __str__(self):
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in self.seconds.items())
        return f"{phases}; together {sum(self.seconds.values()):.1f}"
