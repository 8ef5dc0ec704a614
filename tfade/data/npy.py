"""Reads .npy and .npz files in blocks of rows: sizes come from the headers, and nothing is ever unpickled."""

import contextlib
import dataclasses
import math
import pathlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from tfade.errors import UsageError

BLOCK_BYTES = 8 * 2**20


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """One array of a file, of which only the header has been read.

    Attributes:
        path: the .npy or .npz file.
        member: its name inside the .npz file, None for a .npy file.
        shape, dtype, fortran: as the header declares.
    """

    path: pathlib.Path
    member: str | None
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def rows(self) -> Iterator[np.ndarray]:
        """Consecutive blocks of rows [<= n, ...], about 8 MiB each.

        Raises:
            UsageError: the file is damaged, ends early, or holds more than its header declares.
        """
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        step = self.shape[0] if self.fortran else max(1, BLOCK_BYTES // max(row_bytes, 1))
        with _readable(self.path), _opened(self.path, self.member) as stream:
            _read_header(stream)
            for start in range(0, self.shape[0], step):
                count = min(step, self.shape[0] - start)
                data = stream.read(count * row_bytes)
                if len(data) != count * row_bytes:
                    raise EOFError(f"it ends {count * row_bytes - len(data)} bytes before row {start + count}")
                if self.fortran:
                    yield np.frombuffer(data, self.dtype).reshape(self.shape[::-1]).T
                else:
                    yield np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])
            # Reading on to the end is what makes zipfile compare the checksum.
            if stream.read(1):
                raise EOFError("it holds more bytes than its header declares")

    def check(self, name: str, max_bytes: int) -> None:
        """Rejects an array that is not to be read.

        Args:
            name: the data set, for messages.
            max_bytes: the most that the array may declare, decompressed.

        Raises:
            UsageError: it is pickled or too large.
        """
        which = f"array {self.member.removesuffix('.npy')!r} of {self.path}" if self.member else str(self.path)
        if self.dtype.hasobject:
            raise UsageError(f"data={name!r}: {which} is pickled (dtype object) and is not read; save it as uint8")
        if self.num_bytes > max_bytes:
            raise UsageError(
                f"data={name!r}: {which} declares {self.num_bytes} bytes, above max_bytes={max_bytes}; "
                f"raise load.max_bytes if that is right"
            )

    def read(self) -> np.ndarray:
        """The whole array."""
        return np.concatenate([np.empty((0, *self.shape[1:]), self.dtype), *self.rows()])


def read_headers(path: pathlib.Path) -> dict[str, StoredArray]:
    """The arrays of a .npz file by name, or the one of a .npy file as "".

    Raises:
        UsageError: the file does not exist or is damaged.
    """
    with _readable(path):
        if path.suffix == ".npy":
            members = {"": None}
        else:
            with zipfile.ZipFile(path) as archive:
                members = {item.removesuffix(".npy"): item for item in archive.namelist() if item.endswith(".npy")}
        arrays = {}
        for key, member in members.items():
            with _opened(path, member) as stream:
                arrays[key] = StoredArray(path, member, *_read_header(stream))
    return arrays


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype, bool]:
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"its .npy version {version} is not (1, 0) or (2, 0)")
    shape, fortran, dtype = readers[version](stream)
    if any(size < 0 for size in shape):
        raise ValueError(f"its header declares the shape {shape}")
    return shape, dtype, fortran


def _opened(path: pathlib.Path, member: str | None) -> contextlib.AbstractContextManager[BinaryIO]:
    return open(path, "rb") if member is None else _member(path, member)


@contextlib.contextmanager
def _member(path: pathlib.Path, member: str) -> Iterator[BinaryIO]:
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        yield stream


@contextlib.contextmanager
def _readable(path: pathlib.Path) -> Iterator[None]:
    """Converts the exceptions that a missing or damaged file causes into one UsageError."""
    try:
        yield
    except UsageError:
        raise
    except FileNotFoundError as error:
        raise UsageError(f"data: {path} does not exist; give npz:PATH or npy:PATH with the path of the file") from error
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        # ValueError: no .npy magic or header; RuntimeError: encrypted or an unknown compression.
        raise UsageError(
            f"{path} is damaged or not a NumPy file: {error}; save it again with np.save or np.savez"
        ) from error
