"""Decoded examples are kept in memory or, when they are many, in one memory-mapped file that is written once."""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tfade import files
from tfade.data.work import progress
from tfade.errors import UsageError

FORMAT = 2  # part of every key: raise it when the preprocessing gives other pixels

Blocks = Iterator[tuple[Sequence[np.ndarray], Sequence[int] | None]]


@dataclasses.dataclass(frozen=True)
class Store:
    """Stores decoded splits and finds them again.

    With a `cache_dir` every split is decoded once and kept there as plain .npy files, named by a hash of all that
    determines the pixels. Up to `memory_limit` it is then held in memory, above that memory-mapped.

    Attributes:
        cache_dir: folder for the files, or None to decode at every start.
        memory_limit: bytes of decoded examples up to which a split is held in memory.
    """

    cache_dir: pathlib.Path | None
    memory_limit: int

    def examples(
        self, name: str, key: dict, count: int, read: Callable[[], Blocks], labelled: bool, dtype: str = "uint8"
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The decoded split, from the cache if it is there and complete.

        Args:
            name: the data set and split, for messages.
            key: JSON values that determine every number: source, version, files, preprocessing, split.
            count: number of examples, 1 or more.
            read: decodes; yields blocks of (examples of one shape, their labels or None), `count` examples in all.
            labelled: whether there are labels.
            dtype: of the examples: "uint8" for images, "float32" for vectors.

        Returns:
            Examples [count, *shape] of `dtype`, and labels int32 [count] or None.

        Raises:
            UsageError: the examples differ in shape, exceed `memory_limit` without a `cache_dir`, or overfill the disk.
        """
        if self.cache_dir is None:
            return self._decode(name, count, read, labelled, np.dtype(dtype), None, None)
        digest = hashlib.blake2b(json.dumps([FORMAT, count, key], sort_keys=True).encode(), digest_size=16).hexdigest()
        path, labels_path = self.cache_dir / f"{digest}.npy", self.cache_dir / f"{digest}.labels.npy"
        if _is_there(path):
            if found := self._find(count, labelled, np.dtype(dtype), path, labels_path):
                return found
            print(f"the cached file {path} of {name} is damaged: decoding again", file=sys.stderr, flush=True)
        return self._decode(name, count, read, labelled, np.dtype(dtype), path, labels_path)

    def _find(self, count, labelled, dtype, path, labels_path):
        """The cached split, or None if it is incomplete."""
        try:
            # NumPy refuses to map a file that is shorter than its header says: this finds truncated files.
            images = np.load(path, mmap_mode="r", allow_pickle=False)
            labels = np.load(labels_path, allow_pickle=False) if labelled else None
        except (OSError, ValueError, EOFError):
            return None
        if images.dtype != dtype or images.ndim != (4 if dtype == np.uint8 else 2) or len(images) != count:
            return None
        if path.stat().st_size != images.offset + images.nbytes or (labelled and labels.shape != (count,)):
            return None
        return (np.array(images) if images.nbytes <= self.memory_limit else np.asarray(images)), labels

    def _decode(self, name, count, read, labelled, dtype, path, labels_path):
        blocks = read()
        first = next(blocks, None)
        if first is None:
            raise _miscounted(name, count)
        # Only a decoded example tells the shape of all.
        shape = (count, *first[0][0].shape)
        in_memory = _bytes(shape, dtype) <= self.memory_limit
        if not in_memory and path is None:
            raise UsageError(
                f"data={name!r} takes {_gib(shape, dtype)} decoded, above memory_limit={self.memory_limit} bytes; "
                f"give load.cache_dir, a folder with that much room, or raise load.memory_limit"
            )
        blocks = progress(itertools.chain([first], blocks), count, f"decoding {name}", lambda block: len(block[0]))
        labels = [] if labelled else None
        checked = _checked(name, blocks, shape, labels)
        if in_memory:
            images, place = np.empty(shape, dtype), 0
            for block in checked:
                images[place : place + len(block)] = block
                place += len(block)
            labels = np.array(labels, np.int32) if labelled else None
            if path is not None:
                try:
                    # Labels first: who finds images finds labels, and any process would write the same.
                    if labelled:
                        _write(labels_path, name, labels.shape, labels.dtype, [labels])
                    _write(path, name, shape, dtype, [images])
                except UsageError as error:  # the examples are in memory all the same
                    print(f"note: {error}; this run goes on without the cache", file=sys.stderr, flush=True)
            return images, labels
        # The labels are known only after the last image, so here the images are renamed into place after the labels.
        with _written(path, name, shape, dtype, checked):
            labels = np.array(labels, np.int32) if labelled else None
            if labelled:
                _write(labels_path, name, labels.shape, labels.dtype, [labels])
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)), labels


def _is_there(path: pathlib.Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that this user may not enter
        return False


def _checked(name, blocks, shape, labels: list | None) -> Iterator[np.ndarray]:
    """The blocks as arrays, their labels appended to `labels`.

    Raises:
        UsageError: an example has a different shape, or their number is not the declared one.
    """
    seen = 0
    for images, marks in blocks:
        for image in images:
            if image.shape != shape[1:]:
                raise UsageError(
                    f"data={name!r} has images of different sizes, such as {shape[1:]} and {image.shape}; "
                    f"give load.image_size"
                )
        seen += len(images)
        if seen > shape[0]:
            break
        if labels is not None:
            labels.extend(marks)
        yield np.asarray(images)
    if seen != shape[0]:
        raise _miscounted(name, shape[0])


def _miscounted(name: str, count: int) -> UsageError:
    return UsageError(f"data={name!r} declared {count} examples but yielded a different number; prepare the data again")


@contextlib.contextmanager
def _written(path: pathlib.Path, name: str, shape, dtype, blocks) -> Iterator[None]:
    """Writes an .npy file under a name that no other process uses, and renames it to `path` on leaving the context.

    Plain writes: a full disk is then an error, where a memory map would end the process with SIGBUS.
    """
    temporary = None
    try:
        temporary = files.temporary(path)
        if shutil.disk_usage(path.parent).free < _bytes(shape, dtype):
            raise OSError(f"too little room for {_gib(shape, dtype)}")
        with open(temporary, "xb") as file:
            header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for block in blocks:
                file.write(np.ascontiguousarray(block).data)
        yield
        os.replace(temporary, path)
    except OSError as error:
        raise UsageError(
            f"data={name!r}: cannot write to cache_dir={path.parent}: {error}; give another load.cache_dir"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _write(path: pathlib.Path, name: str, shape, dtype, blocks) -> None:
    with _written(path, name, shape, dtype, blocks):
        pass


def _bytes(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return math.prod(shape) * dtype.itemsize


def _gib(shape: tuple[int, ...], dtype: np.dtype) -> str:
    return f"{_bytes(shape, dtype) / 2**30:.1f} GiB"
