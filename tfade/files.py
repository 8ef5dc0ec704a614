"""Files that are either whole or absent."""

import errno
import json
import os
import secrets
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np


def write_atomically(path, write: Callable[[BinaryIO], object]) -> None:
    """Calls `write(file)` on a temporary neighbour of `path` and moves it into place, so no reader sees half a file.

    Args:
        path: the file to make or replace; its folder is made where missing.
        write: receives a file open for binary writing.

    Raises:
        OSError: it cannot be written; the error names the path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes may fill one cache at the same time: each writes a neighbour of its own.
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
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
