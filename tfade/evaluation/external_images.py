"""Images made by other software, in place of a model's samples."""

import hashlib
import pathlib

import numpy as np

from tfade.contract import Contract
from tfade.data.array_names import split_keys
from tfade.data.arrays import numpy_source
from tfade.data.cache import Store
from tfade.data.checks import check_full_range
from tfade.data.folder import folder_source, split_folders
from tfade.data.images import SUFFIXES
from tfade.data.npy import read_headers
from tfade.data.transforms import Transform
from tfade.errors import UsageError
from tfade.evaluation.checks import checked_images
from tfade.evaluation.result import NotApplicable

MAX_PIXELS, MAX_BYTES = 64 * 2**20, 16 * 2**30
LOSSY = (".jpg", ".jpeg", ".webp")


class ExternalImages(Contract):
    """A fixed set of images in the place of a model: `sample` gives each image once, in order, and never repeats.

    It answers nothing else: the suite reports metrics that ask for more as not applicable.

    Args:
        images: uint8 [N, H, W, C], N ≥ 2.
        name: where they come from, for messages.

    Attributes:
        images: the array.
        finite: True: a caller that draws in batches has to ask for fewer at the end.
        fingerprint: a hash of the pixels and their order.

    Raises:
        UsageError: not uint8, fewer than 2, or no value above 1.
    """

    finite = True

    def __init__(self, images: np.ndarray, name: str = "images"):
        self.images = checked_images(name, images)
        check_full_range(f"images={name!r}", self.images)
        if len(self.images) < 2:
            raise UsageError(f"images={name!r} holds {len(self.images)} images; give 2 or more")
        self.name, self._given = name, 0
        header = str(self.images.shape).encode()
        self.fingerprint = hashlib.sha256(header + np.ascontiguousarray(self.images).tobytes()).hexdigest()[:16]

    def sample(self, n: int, temperature: float = 1.0, seed=None, labels=None) -> np.ndarray:
        """The next n images, float32 [n, H, W, C] in [0, 1]; the other arguments of `Contract.sample` change nothing.

        Raises:
            NotApplicable: fewer than n are left.
        """
        if self._given + n > len(self.images):
            raise NotApplicable(
                f"images={self.name!r} holds {len(self.images)} images, each of which is given once; "
                f"{len(self.images) - self._given} are left and {n} more were asked for"
            )
        self._given += n
        return self.images[self._given - n : self._given].astype(np.float32) / 255

    def cannot(self, question: str, reason: str) -> NotImplementedError:
        """The error of a question that only a model could answer."""
        return NotImplementedError(f"{question} needs the model, but only images were given")


def read_external_images(path, shape: tuple[int, ...], count: int | None = None, seed: int = 0) -> ExternalImages:
    """Images from a folder of image files, or from an .npz or .npy file.

    Args:
        path: the folder (all image files below it, in the order of their paths) or the file (one array, or `images`):
            uint8, or floating point in [0, 1], [N, H, W] or [N, H, W, C].
        shape: (H, W, C) of the data that they are compared with.
        count: how many to take, a choice by `seed`; None for all.

    Raises:
        UsageError: nothing there, unreadable or damaged files, no images in the stated ranges, another shape, fewer
            than `count`.
    """
    name, path = str(path), pathlib.Path(path).expanduser()
    try:
        images = _read(name, path)
    except UsageError as error:  # the readers of data sets speak of data
        raise UsageError(str(error).replace("data=", "images=", 1)) from error
    if images.shape[1:] != tuple(shape):
        raise UsageError(
            f"images={name!r} are {_size(images.shape[1:])} and the reference is {_size(shape)} (height × width × "
            "channels); give images of the reference's size: resizing or re-colouring would dominate every number"
        )
    if count is not None and count > len(images):
        raise UsageError(f"num_samples={count} is more than the {len(images)} images of {name!r}")
    if count is not None and count < len(images):
        chosen = np.random.Generator(np.random.Philox(key=seed)).permutation(len(images))[:count]
        images = images[np.sort(chosen)]
    return ExternalImages(images, name)


def lossy_files(path) -> int:
    """How many image files below a folder are of lossy formats, whose compression changes every number."""
    path = pathlib.Path(path).expanduser()
    return sum(file.suffix.lower() in LOSSY for file in path.rglob("*")) if path.is_dir() else 0


def _read(name: str, path: pathlib.Path) -> np.ndarray:
    store = Store(None, MAX_BYTES)
    if path.is_dir():
        splits = [folder.name for folder in split_folders(name, path).values()]
        if splits:
            raise UsageError(f"data={name!r} has sub-folders {', '.join(splits)}; give the folder of one set of images")
        source = folder_source(name, "train", path, Transform(), store, None, MAX_PIXELS)
    elif path.suffix in (".npz", ".npy"):
        splits = [examples for examples, _ in split_keys(name, read_headers(path)).values()]
        if splits:
            raise UsageError(f"data={name!r} holds {', '.join(splits)}, several splits; save one array `images`")
        source = numpy_source(name, "train", path, Transform(), store, None, MAX_BYTES)
    else:
        problem = "is not a folder, an .npz file or an .npy file" if path.exists() else "does not exist"
        raise UsageError(f"data={name!r} {problem}; give a folder of {', '.join(SUFFIXES)}, or an array file")
    return source.fetch(np.arange(source.spec.num_examples))


def _size(shape) -> str:
    return "×".join(map(str, shape))
