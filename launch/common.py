"""What the launchers share: the workspace, and errors as one line and an exit status."""

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from launch.flags import USAGE

ROOT = Path(__file__).resolve().parent.parent  # of the repository: `include` in gin files is relative to it
CACHE = "~/.cache/tfade"  # of each account that opens a run; gin lines override it: load.cache_dir
OK, FAILED = 0, 1  # exit statuses, beside flags.USAGE


def workspace():
    """Where gin files and caches lie, and the source revision; see `tfade.workflows.workspace.Workspace`.

    Everything that gin files may name is imported from now on.
    """
    import gin

    with without_native_notices(), gin.unlock_config():  # notices are TensorFlow's; a notebook may have locked gin
        import tfade.configurables  # noqa: F401
        from tfade.workflows.workspace import Workspace

    return Workspace(ROOT, CACHE, revision())


@contextlib.contextmanager
def without_native_notices():
    """Drops what native code writes to standard error; no environment variable silences TensorFlow's first lines.

    Python's exceptions come through: they travel as exceptions, and are printed after this has ended.
    """
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def revision() -> str | None:
    """The source revision, where the source is a git checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return (
            subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False).stdout.strip()
            or None
        )
    except OSError:  # no git here
        return None


def launch(main: Callable[[list[str]], int | None], arguments: list[str] | None = None) -> None:
    """Runs a launcher's `main` and ends the process: 0 on success, 2 for a usage or configuration error, else 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without "…" or "σ" must not end a run
            stream.reconfigure(errors="replace")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # TFDS retries downloads for minutes, and this tells each one
    sys.exit(guarded(main, sys.argv[1:] if arguments is None else arguments))


def guarded(main: Callable[[list[str]], int | None], arguments: list[str]) -> int:
    """`main`'s exit status; errors that a user can fix are one line on standard error."""
    try:
        return main(arguments) or OK
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:
        # Imported here: the modules below import TensorFlow, and by now it is there.
        import tensorflow as tf

        from tfade.errors import NOT_CONVERGED, NonFiniteError, UsageError, one_line
        from tfade.training.checkpoint_callback import Interrupted

        if isinstance(error, Interrupted):
            print(f"\n{error}", file=sys.stderr)
            return 128 + error.signal
        not_converged = isinstance(error, tf.errors.InvalidArgumentError) and NOT_CONVERGED in str(error)
        foreseen = (UsageError, NonFiniteError, OSError, MemoryError, tf.errors.ResourceExhaustedError)
        if not_converged or isinstance(error, foreseen):
            print(f"error: {_at_a_path(error) or one_line(error)}", file=sys.stderr)
            return USAGE if isinstance(error, UsageError) else FAILED
        raise


def _at_a_path(error: Exception) -> str | None:
    """What the system reports of a path; None for other errors."""
    filename = getattr(error, "filename", None)
    return None if filename is None else f"{str(filename)!r}: {error.strerror}"


def exit_status(report) -> int:
    """The exit status of an evaluation, or of none; failures are reported on stderr, a line for each metric."""
    if report is None:
        return OK
    for metric, failed in report.failures.items():
        print(f"error: {metric}: {failed}", file=sys.stderr)
    return FAILED if report.failures else OK
