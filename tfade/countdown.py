"""How long work will still take, from how fast it went so far."""

import time

EARLY = 0.05  # the share of the work before which its first piece, often mostly compilation, says nothing of the rest


class Countdown:
    """The time left of work of known size.

    The first piece is not counted: it compiles. Where it is alone and small, nothing is said.

    Args:
        total: the work, in any unit, above 0.
    """

    def __init__(self, total: float):
        self._total, self._done, self._first = total, 0.0, 0.0
        self._began, self._since = time.perf_counter(), None

    def advance(self, amount: float = 1) -> None:
        """Adds to what is done."""
        self._done += amount
        if self._since is None:
            self._first, self._since = self._done, time.perf_counter()

    def left(self) -> str:
        """ ", about 3 min left", or "" where that is not known, or less than a second."""
        if self._since is None or self._done >= self._total:
            return ""
        done, since = self._done - self._first, self._since
        if done <= 0:
            if self._done < EARLY * self._total:
                return ""
            done, since = self._done, self._began
        seconds = (time.perf_counter() - since) * (self._total - self._done) / done
        return f", about {duration(seconds)} left" if seconds >= 1 else ""


def duration(seconds: float) -> str:
    """A time in its usual unit, such as "40 s", "3 min" or "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
