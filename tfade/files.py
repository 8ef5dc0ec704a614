"""Files that are either whole or absent."""

import contextlib
import errno
import json
import os
import platform
import re
import secrets
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

HOST = f"{zlib.crc32(platform.node().encode()):08x}"  # whose process numbers mean something here
_TEMPORARY = re.compile(r"\..+\.([0-9a-f]{8})\.(\d+)\.[0-9a-f]{8}")
_DAY = 24 * 3600.0
_swept: set[Path] = set()


def temporary(path: Path) -> Path:
    """A name beside `path` that no other process uses, for what is to be moved there once it is whole.

    The folder is made where missing. What killed processes left in it under such names is removed, once a process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = path.parent.absolute()
    if folder not in _swept:
        sweep(folder)
        _swept.add(folder)
    return path.with_name(f".{path.name}.{HOST}.{os.getpid()}.{secrets.token_hex(4)}")


def sweep(folder: Path) -> None:
    """Removes what `temporary` named in `folder` and nobody will move any more.

    That is what a process of this machine left that no longer runs, and whatever was not written to for a day.
    """
    for path in folder.glob(".*"):
        match = _TEMPORARY.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if match and (_is_gone(*match.groups()) or time.time() - path.stat().st_mtime > _DAY):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _is_gone(host: str, process: str) -> bool:
    """Whether a process of this machine has ended; False where that cannot be known."""
    if host != HOST or os.name != "posix":  # elsewhere signal 0 is not a query
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # another account's
        return False
    return False


def write_atomically(path, write: Callable[[BinaryIO], object]) -> None:
    """Calls `write(file)` on a temporary neighbour of `path` and moves it into place, so no reader sees half a file.

    Args:
        path: the file to make or replace; its folder is made where missing.
        write: receives a file open for binary writing.

    Raises:
        OSError: it cannot be written; the error names the path.
    """
    path = Path(path)
    partial = temporary(path)  # two processes may fill one cache at the same time: each writes a neighbour of its own
    try:
        with partial.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:  # what fails while a file is written does not name it
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def read_arrays(path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file, by name; nothing is unpickled.

    Raises:
        ValueError: the file is missing, damaged or no .npz, or holds Python objects.
        OSError: it is there and cannot be read, which is not damage.
    """
    try:
        with zipfile.ZipFile(path):  # np.load would also accept .npy
            pass
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (PermissionError, IsADirectoryError):
        raise
    except Exception as error:  # a flipped bit may be anything to the reader: encrypted, another compression, a size
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.EINVAL):
            raise
        raise ValueError(f"{type(error).__name__}: {error}") from error


def write_text(path, text: str) -> None:
    """Writes `text` as UTF-8, atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path, content) -> None:
    """Writes `content` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path):
    """What a JSON file holds; None of one that is absent or damaged, so that it is made again."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
