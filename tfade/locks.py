"""A lock on a directory, on systems and file systems that have one."""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from tfade.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".lock"
LOCKED_ERRNOS = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


@contextlib.contextmanager
def directory_lock(folder: Path, lock_name: str = LOCK, notify: Callable[[str], None] = print) -> Iterator[None]:
    """Holds a directory for this process, by a lock on a file in it; the system releases it however the process ends.

    A file system without locks (some network file systems) is a note: nothing then keeps a second process out.

    Args:
        folder: the directory, which is made where missing.
        lock_name: of the file.
        notify: receives the note.

    Raises:
        UsageError: the path is a file, cannot be written, or another process holds the directory.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"run_dir={str(folder)!r} is a file; give a directory")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / lock_name).open("a+b")
    except OSError as error:
        raise UsageError(f"run_dir={str(folder)!r} cannot be written: {error.strerror}") from error
    with file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno in LOCKED_ERRNOS:
                raise UsageError(
                    f"run_dir={str(folder)!r} is in use by another process; wait for it, or give another run_dir"
                ) from error
            notify(f"note: {folder} cannot be locked ({error.strerror}); see to it that no second process writes there")
        yield


def _lock(file: IO) -> None:
    """Locks a file without waiting; raises an OSError, of `LOCKED_ERRNOS` where another process has it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif os.name == "nt":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
