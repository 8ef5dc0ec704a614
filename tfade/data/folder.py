"""A user's own images: a folder of files, with optional sub-folders for splits and for classes."""

import collections
import dataclasses
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

import numpy as np

from tfade.data.cache import Store
from tfade.data.checks import check_full_range
from tfade.data.images import SUFFIXES, ImageProblem, is_image, read_header, read_image
from tfade.data.source import ArraySource
from tfade.data.splits import MissingSplit, plan
from tfade.data.transforms import Transform
from tfade.data.work import note, ordered_map, progress
from tfade.errors import UsageError

SPLIT_NAMES = {  # in any case
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Folders that other programs leave: thumbnails, resource forks, trash.
FOREIGN_FOLDERS = {"@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin", "lost+found"}
LISTED = 20  # at most so many problems are listed in one error


@dataclasses.dataclass(frozen=True)
class _File:
    """An image file; `relative` is its POSIX path below the folder of its split."""

    path: str
    relative: str
    size: int
    modified: int

    @property
    def label(self) -> str | None:
        first, *rest = self.relative.split("/")
        return first if rest else None


def folder_source(
    name: str, split: str, path: pathlib.Path, transform: Transform, store: Store, carve: int | None, max_pixels: int
) -> ArraySource:
    """Images below `path` (png, jpg, webp, bmp, gif, tif, ppm), in the order of their relative paths.

    Files without a suffix are images by their content; a note counts the files of other suffixes. Sub-folders `train`,
    `validation` and `test`, in the spellings of `SPLIT_NAMES`, are the splits where they exist; missing ones are carved
    from "train" by a hash of the relative path, so that adding a file moves no other. Folders below are the classes,
    numbered in the order of their names. Without `transform.channels` the set is grey when every file is, else colour.

    Args:
        name, split: as in `Spec`.
        path: the folder.
        transform: the preprocessing.
        store: where decoded images are kept.
        carve: as in `tfade.data.splits.plan`.
        max_pixels: an image whose header declares more is rejected before it is decoded.

    Raises:
        UsageError: no such folder, an ambiguous layout, no images, or unusable images; the message lists them.
    """
    listings = _listings(name, path)
    part = plan(name, split, {key: key for key in listings}, carve)
    every = [file for listing in listings.values() for file in listing]
    numbers = [int.from_bytes(_digest(file.relative)[:8], "big") for file in listings[part.stored]]
    chosen = part.chosen(np.array(numbers, np.uint64))
    files = [file for file, is_chosen in zip(listings[part.stored], chosen) if is_chosen]
    if not files:
        raise MissingSplit(
            f"data={name!r} has no images for split={split!r}; add images, a sub-folder {split!r}, or set load.carve "
            "to a smaller number"
        )
    classes = sorted({file.label for file in every if file.label})
    stamps = _digest("\0".join(f"{file.path}\0{file.size}\0{file.modified}" for file in every)).hex()
    images, labels = store.examples(
        f"{name} {split}",
        {"folder": stamps, "split": split, "carve": carve, "transform": dataclasses.asdict(transform)},
        len(files),
        lambda: _decoded(name, files, every, stamps, transform, max_pixels, classes),
        labelled=bool(classes),
    )
    check_full_range(f"data={name!r}", images)
    return ArraySource(name, split, images, labels, len(classes) or None, part.describe(transform))


def split_folders(name: str, path: pathlib.Path) -> dict[str, pathlib.Path]:
    """The sub-folders of `path` that hold splits, by "train", "validation" and "test".

    Raises:
        UsageError: two folders are the same split.
    """
    roots = {}
    for folder in sorted(path.iterdir()):
        split = SPLIT_NAMES.get(folder.name.lower())
        if split is None or not folder.is_dir():
            continue
        if split in roots:
            raise UsageError(
                f"data={name!r} has both a folder {roots[split].name!r} and a folder {folder.name!r}, "
                f"which are both its {split} split; keep one"
            )
        roots[split] = folder
    return roots


def _listings(name: str, path: pathlib.Path) -> dict[str, list[_File]]:
    """The image files of every stored split."""
    if not path.is_dir():
        raise UsageError(
            f"data={name!r}: {str(path)!r} is not a folder; give folder:PATH with the folder of the images"
        )
    roots = split_folders(name, path)
    files, others = _walk(path)
    if others:
        suffixes = ", ".join(f"{count} {suffix or '(none)'}" for suffix, count in sorted(others.items()))
        note(f"data={name!r}: {others.total()} files are left out, whose suffixes are not an image's: {suffixes}")
    if roots:
        inside = {root.name for root in roots.values()}
        outside = [file.relative for file in files if file.relative.split("/")[0] not in inside]
        if outside:
            raise UsageError(
                f"data={name!r} has split folders and {len(outside)} images outside of them, such as {outside[0]!r}; "
                f"move them into a split folder, or away"
            )
    listings = {split: _walk(root)[0] for split, root in roots.items()} or {"train": files}
    labelled = collections.Counter(file.label is not None for listing in listings.values() for file in listing)
    if not labelled:
        raise UsageError(f"data={name!r}: no images in {str(path)!r}; possible are {', '.join(SUFFIXES)}")
    if len(labelled) > 1:
        raise UsageError(
            f"data={name!r} has {labelled[True]} images in class folders and {labelled[False]} beside them; "
            f"put every image into a class folder, or none"
        )
    return listings


def _walk(root: pathlib.Path) -> tuple[list[_File], collections.Counter]:
    """All image files below `root`, sorted, and how many other files have which suffix.

    Hidden files and the folders of other programs are left out; links are followed, each folder once.
    """
    found, others, visited = [], collections.Counter(), set()
    for place, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(sub for sub in folders if not sub.startswith(".") and sub.lower() not in FOREIGN_FOLDERS)
        for file_name in names:
            if file_name.startswith("."):
                continue
            path, suffix = os.path.join(place, file_name), os.path.splitext(file_name)[1].lower()
            if suffix not in SUFFIXES and (suffix or not is_image(path)):
                others[suffix] += 1
                continue
            status = os.stat(path, follow_symlinks=os.path.exists(path))
            relative = pathlib.Path(path).relative_to(root).as_posix()
            found.append(_File(path, relative, status.st_size, status.st_mtime_ns))
    return sorted(found, key=lambda file: file.relative), others


_GREY: dict[tuple, bool] = {}  # whether all images are, of sets whose headers had no problem: splits look once


def _decoded(
    name, files: list[_File], every: list[_File], stamps: str, transform: Transform, max_pixels: int, classes
) -> Iterator:
    """Checks the headers of the whole set, then decodes `files`; ends with one error that lists every problem."""
    key, problems = (stamps, transform, max_pixels), {}
    grey = _GREY.get(key)
    if grey is None:
        grey, problems = _checked_headers(name, every, transform, max_pixels)
        if not problems:
            _GREY[key] = grey
    if transform.channels is None:
        transform = dataclasses.replace(transform, channels=1 if grey else 3)
    numbers = {label: number for number, label in enumerate(classes)}
    usable = [file for file in files if file.path not in problems]

    def decode(file: _File):
        try:
            return file, transform(read_image(file.path, max_pixels))
        except ImageProblem as problem:
            return file, problem

    results = ordered_map(decode, usable)
    if problems:  # no images will be handed on, so the Store's progress would stand still
        results = progress(results, len(usable), f"checking {name}")
    for file, result in results:
        if isinstance(result, ImageProblem):
            problems[file.path] = str(result)
        elif not problems:
            yield [result], [numbers[file.label]] if classes else None
    if problems:
        lines = [f"{path}: {problem}" for path, problem in sorted(problems.items())]
        more = f"; and {len(lines) - LISTED} more, listed in {_listed(lines)}" if len(lines) > LISTED else ""
        raise UsageError(
            f"data={name!r}: {len(lines)} of {len(every)} images cannot be used; fix or remove them: "
            + "; ".join(lines[:LISTED])
            + more
        )


def _checked_headers(name: str, every: list[_File], transform: Transform, max_pixels: int):
    """Whether all readable images are grey, and the problems of files by path, from their headers."""

    def look(file: _File):
        try:
            return file.path, read_header(file.path, max_pixels)
        except ImageProblem as problem:
            return file.path, problem

    headers, problems = {}, {}
    for path, header in progress(ordered_map(look, every), len(every), f"reading the headers of {name}"):
        if isinstance(header, ImageProblem):
            problems[path] = str(header)
        elif problem := transform.problem(header.height, header.width):
            problems[path] = problem
        else:
            headers[path] = header
    if frames := sum(header.has_frames for header in headers.values()):
        note(f"data={name!r}: {frames} files have several pages or frames, of which only the first is read")
    if transform.image_size is None and transform.crop is None and headers:
        sizes = collections.Counter((header.height, header.width) for header in headers.values())
        (height, width), count = sizes.most_common(1)[0]
        for path, header in headers.items():
            if (header.height, header.width) != (height, width):
                problems[path] = (
                    f"{header.height}×{header.width} pixels where {count} images have {height}×{width}; "
                    f"load.image_size gives all the same size"
                )
    return all(header.channels == 1 for header in headers.values()), problems


def _listed(lines: list[str]) -> str:
    """The path of a new text file that holds the lines."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="tfade_problems_", suffix=".txt", delete=False, encoding="utf-8", errors="surrogateescape"
    ) as file:
        file.write("\n".join(lines) + "\n")
    return file.name


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
