"""What flags accept: gin files and bindings, integers, temperatures, and paths that can be read or written."""

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path

TRUST = "import the modules that the run was trained with, which executes their code"
TEMPERATURE = (
    "T, factor on the prior's standard deviation: √τ for samples of p^(1/τ), exactly in flows of constant volume "
    "(NICE), in affine flows and other models as an approximation"
)
USAGE = 2  # exit status of a wrong flag or configuration


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Help with the default of each flag that has one."""

    def _get_help_string(self, action):
        has_default = action.default is not None and action.default is not False and action.default != []
        return super()._get_help_string(action) if has_default else action.help


class Parser(argparse.ArgumentParser):
    """Flags with one clear line and exit status 2 for a wrong one; no abbreviations."""

    def __init__(self, module: str, description: str):
        super().__init__(
            prog=f"python -m launch.{module}",
            description=description,
            allow_abbrev=False,
            formatter_class=_Defaults,
        )

    def error(self, message):
        self.exit(USAGE, f"error: {' '.join(message.split())} (see {self.prog} --help)\n")

    def add_gin_flags(self) -> None:
        """--gin_file and --gin_bindings, each as often as needed."""
        self.add_argument("--gin_file", action="append", default=[], help="gin file; later ones override earlier ones")
        self.add_argument(
            "--gin_bindings", action="append", default=[], help="gin line such as 'steps = 50'; overrides all files"
        )

    def add_run_flags(self, **run_dir) -> None:
        """--run_dir and --checkpoint, for launchers that open a run; `run_dir`: more about that argument."""
        about = {"help": "directory of a trained run", **run_dir}
        self.add_argument("--run_dir", required=True, type=readable, **about)
        self.add_argument("--checkpoint", default="latest", help="'latest', 'best', or the step of a kept one")
        self.add_argument("--trust_imports", action="store_true", help=TRUST)


def temperature(text: str) -> float:
    """A flag's type: a finite number ≥ 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} must be a finite number ≥ 0")
    return value


def whole(least: int, most: int = 2**31 - 1) -> Callable[[str], int]:
    """A flag's type: integers in [least, most]."""

    def parse(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} must be an integer in [{least}, {most:,}]")
        return int(text)

    return parse


def labels(text: str) -> list[int]:
    """A flag's type: classes, comma-separated integers ≥ 0."""
    return [whole(0)(part) for part in text.split(",")]


def readable(text: str) -> Path:
    """A flag's type: a path as the system takes it; whether something lies there is for its reader to say."""
    if not text:
        raise argparse.ArgumentTypeError("'' is empty; give a path")
    if "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} has a NUL byte, which no path can have")
    path = Path(text)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # too long, not permitted, a loop of links
        raise argparse.ArgumentTypeError(f"{text!r} cannot be read: {error.strerror}") from error
    return path


def writable(text: str) -> Path:
    """A flag's type: the path of a file or folder that can be made or replaced."""
    path = readable(text)
    nearest = next(part for part in (path, *path.absolute().parents) if part.exists())
    if nearest != path and not nearest.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} lies below {str(nearest)!r}, which is a file")
    if not os.access(nearest, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: no permission for {str(nearest)!r}")
    return path


def writable_folder(text: str) -> Path:
    """A flag's type: a folder that can be made or written to."""
    path = writable(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a file; give a folder")
    return path
