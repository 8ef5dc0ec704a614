"""Long-running work: in threads, in order, with progress lines; notes."""

import collections
import functools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

QUIET_SECONDS, EVERY_SECONDS = 3.0, 5.0


@functools.cache
def note(text: str) -> None:
    """Writes a line to stderr, once in a process: the splits of one data set would repeat it."""
    print(f"note: {text}", file=sys.stderr, flush=True)


def ordered_map(function: Callable, items: Iterable) -> Iterator:
    """`map` with one thread per core (image codecs release the interpreter lock) and few results waiting in memory."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting = collections.deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def progress(items: Iterable, total: int, description: str, size: Callable = lambda item: 1) -> Iterator:
    """Yields `items`; reports progress on stderr, first after 3 s and then every 5 s.

    Args:
        items: pieces of work.
        total: size of all items together.
        description: the start of each line, such as "decoding folder:/photos train".
        size: item → its size.
    """
    start = time.monotonic()
    due, done, shown = start + QUIET_SECONDS, 0, False
    for item in items:
        yield item
        done += size(item)
        now = time.monotonic()
        if now >= due and done < total:
            left = (now - start) * (total - done) / done
            print(f"{description}: {done:,} of {total:,}, about {left:,.0f} s left", file=sys.stderr, flush=True)
            due, shown = now + EVERY_SECONDS, True
    if shown:
        print(f"{description}: {total:,} in {time.monotonic() - start:,.0f} s", file=sys.stderr, flush=True)
