"""Lines of progress, every few seconds, with the time left."""

import time
from collections.abc import Callable, Iterator

from tfade.countdown import Countdown

EVERY = 5.0  # seconds


def ticks(progress: Callable[[str], None], name: str, starts: range, total: int) -> Iterator[int]:
    """Yields `starts`, the first positions of batches, and periodically reports how many of `total` are done."""
    tick = ticker(progress, name, total)
    for start in starts:
        yield start
        tick(min(start + starts.step, total))


def ticker(progress: Callable[[str], None], name: str, total: int) -> Callable[[int], None]:
    """A function that is called with how many are done, and periodically reports it with the time left."""
    last, before, countdown = time.perf_counter(), 0, Countdown(total)

    def tick(done: int) -> None:
        nonlocal last, before
        countdown.advance(done - before)
        before = done
        if time.perf_counter() - last > EVERY:
            last = time.perf_counter()
            progress(f"  {name}: {done:,} of {total:,}{countdown.left()}")

    return tick
