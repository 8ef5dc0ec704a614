"""What the launchers share: flags, the gin configuration, and errors as one line and an exit status."""

import argparse
import contextlib
import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # of the repository: `include` in gin files is relative to it
CACHE = "~/.cache/tfade"  # of each account that opens a run; gin lines override it: load.cache_dir
OK, FAILED, USAGE = 0, 1, 2


class Parser(argparse.ArgumentParser):
    """Flags with one clear line and exit status 2 for a wrong one; no abbreviations."""

    def __init__(self, module: str, description: str):
        super().__init__(
            prog=f"python -m launch.{module}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )

    def error(self, message):
        self.exit(USAGE, f"error: {message} (see {self.prog} --help)\n")


def add_gin_flags(parser: argparse.ArgumentParser) -> None:
    """--gin_file and --gin_bindings, each as often as needed."""
    parser.add_argument("--gin_file", action="append", default=[], help="gin file; later ones override earlier ones")
    parser.add_argument(
        "--gin_bindings", action="append", default=[], help="gin line such as 'steps = 50', over all files"
    )


def workspace():
    """Where gin files and caches lie, and the source revision; see `tfade.workflows.workspace.Workspace`.

    Everything that gin files may name is imported from now on.
    """
    with without_native_notices():  # TensorFlow's
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
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:  # no git here
        return None


def launch(main: Callable[[list[str]], int | None], arguments: list[str] | None = None) -> None:
    """Runs a launcher's `main` and ends the process: 0 on success, 2 for a usage or configuration error, else 1."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # TFDS retries downloads for minutes, and this tells each one
    sys.exit(guarded(main, sys.argv[1:] if arguments is None else arguments))


def guarded(main: Callable[[list[str]], int | None], arguments: list[str]) -> int:
    """`main`'s exit status; errors that a user can mend are one line on standard error."""
    try:
        return main(arguments) or OK
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:
        # Imported here: the modules below import TensorFlow, and by now it is there.
        from tfade.errors import NonFiniteError, UsageError, one_line
        from tfade.training.saving import Interrupted

        if isinstance(error, Interrupted):
            print(f"\n{error}", file=sys.stderr)
            return 128 + error.signal
        if isinstance(error, (UsageError, NonFiniteError)):
            print(f"error: {one_line(error)}", file=sys.stderr)
            return USAGE if isinstance(error, UsageError) else FAILED
        raise


def exit_status(report) -> int:
    """The exit status of an evaluation, or of none; failures are reported on stderr, a line for each metric."""
    if report is None:
        return OK
    for metric, failed in report.failures.items():
        print(f"error: {metric}: {failed}", file=sys.stderr)
    return FAILED if report.failures else OK


def add_checkpoint_flag(parser: argparse.ArgumentParser) -> None:
    """--checkpoint, for launchers that open a run."""
    parser.add_argument("--checkpoint", default="latest", help="'latest', 'best', or the step of one that was kept")


def temperature(text: str) -> float:
    """A flag's type: a finite number from 0 up."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 up")
    return value


def whole(least: int) -> Callable[[str], int]:
    """A flag's type: whole numbers from `least` up."""

    def parse(text: str) -> int:
        if not text.removeprefix("-").isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} up")
        return int(text)

    return parse
