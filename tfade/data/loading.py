"""`load`: every data set by its name."""

import difflib
import os
import pathlib

import gin
import numpy as np

from tfade.data.arrays import numpy_source
from tfade.data.cache import Store
from tfade.data.derived import ALIASES, DERIVATIONS, derived, split_prefixes
from tfade.data.folder import folder_source
from tfade.data.source import SPLITS, ArraySource, Source, check_split
from tfade.data.splits import MissingSplit
from tfade.data.tfds import tfds_source
from tfade.data.toy import Checkerboard, Density, Gaussian, Moons, Pinwheel, ToySource, grid, ring
from tfade.data.transforms import Transform
from tfade.errors import UsageError

TOYS = ("ring", "grid", "moons", "pinwheel", "checkerboard", "gaussian")
KINDS = (*(f"{kind}:NAME" for kind in DERIVATIONS), "tfds:NAME", "folder:PATH", "npz:PATH", "npy:PATH")


@gin.configurable
def load(
    name: str,
    split: str = "train",
    *,
    image_size: int | None = None,
    crop: int | None = None,
    pad: int = 0,
    average: int = 1,
    channels: int | None = None,
    data_dir: str | None = None,
    download: bool = True,
    carve: int | None = 10,
    cache_dir: str | None = None,
    memory_limit: int = 2**30,
    max_pixels: int = 64 * 2**20,
    max_bytes: int = 4 * 2**30,
    stacked_examples: tuple[int, int, int] = (60_000, 10_000, 10_000),
    toy_examples: tuple[int, int, int] = (60_000, 10_000, 10_000),
    toy_dimensions: int = 8,
) -> Source:
    """One split of a data set.

    Args:
        name: which data set:
            `digits`, grey scans of handwritten digits that come with scikit-learn, 16×16;
            `stacked:NAME`, three images of the grey set NAME drawn into R, G and B; `color_digits` is `stacked:digits`,
            `color_mnist` is `stacked:tfds:mnist`;
            `painted:NAME`, the grey set NAME inverted, coloured and thickened;
            `first_half:NAME`, `second_half:NAME`, every second image of each class of NAME: two sets that share none;
            `tfds:NAME` or `tfds:NAME/CONFIG`, an image set of TensorFlow Datasets;
            `folder:PATH`, your own image files;
            `npz:PATH`, `npy:PATH`, your own arrays of images or vectors;
            `toy:ring`, `toy:grid`, `toy:moons`, `toy:pinwheel`, `toy:checkerboard`, `toy:gaussian`, exact densities.
        split: "train", "validation" or "test". Splits that a set does not store are carved from "train".
        image_size: side of the square to which images are resized (antialiased bicubic).
        crop: side of the centred square that is cut out first. CelebA: 160, 140 or 128.
        pad: black margin in pixels.
        average: side of the blocks whose means are taken last; 1 for none.
        channels: 1 for grey, 3 for colour, None for what the set has.
        data_dir: TFDS's folder; ~/tensorflow_datasets if None.
        download: whether TFDS may fetch what is not in `data_dir`.
        carve: one example in how many is held out for each split that is not stored; None to hold out none.
        cache_dir: folder for decoded images; needed for sets above `memory_limit`.
        memory_limit: bytes of decoded images up to which they are held in memory.
        max_pixels: image files that declare more are rejected.
        max_bytes: arrays that declare more, decompressed, are rejected.
        stacked_examples: examples of a stacked set in train, validation and test.
        toy_examples: draws from a toy density in train, validation and test.
        toy_dimensions: dimensions of `toy:gaussian`.

    Returns:
        A source of uint8 images, or of float32 vectors; of a toy density, `source.density` is the density.

    Raises:
        UsageError: the data set is unknown or cannot be read or fetched, or an argument is invalid.
    """
    check_split(split)
    if not isinstance(name, str):
        raise UsageError(f"data={name!r} is not a name; give one in quotes, such as data = 'digits'")
    transform = Transform(crop=crop, image_size=image_size, pad=pad, average=average, channels=channels)
    derivations, plain_name = split_prefixes(name)
    plain = plain_name if derivations else name  # the name in errors about what a set is made of
    kind, _, rest = plain_name.partition(":")
    if kind == "toy" and rest in TOYS:
        if not transform.is_identity:
            raise UsageError(
                f"data={name!r} holds vectors, not images; leave crop, image_size, pad, average and channels out"
            )
        source = ToySource(
            plain, split, _density(rest, toy_dimensions), _count_of_split("toy_examples", toy_examples, split)
        )
    elif plain_name == "digits":
        source = _digits(split, transform)
    elif rest and kind in ("tfds", "folder", "npz", "npy"):
        store = Store(None if cache_dir is None else _path(cache_dir), memory_limit)
        if kind == "tfds":
            tfds_dir = _path("~/tensorflow_datasets" if data_dir is None else data_dir)
            source = tfds_source(plain, split, rest, transform, store, carve, tfds_dir, download)
        elif kind == "folder":
            source = folder_source(plain, split, _path(rest), transform, store, carve, max_pixels)
        else:
            source = numpy_source(plain, split, _path(rest), transform, store, carve, max_bytes)
    else:
        raise _unknown(name)
    if derivations:
        source = derived(source, derivations, name, _count_of_split("stacked_examples", stacked_examples, split))
    return source


def load_if_there(name: str, split: str) -> Source | None:
    """The split as `load` returns it, or None if the data do not have it; a damaged split is an error."""
    try:
        return load(name, split)
    except MissingSplit:
        return None


def _digits(split: str, transform: Transform) -> ArraySource:
    from tfade.data.digits import NUM_CLASSES, digits  # scikit-learn takes a second to import

    source = digits(split)
    if transform.is_identity:
        return source
    everything = np.arange(source.spec.num_examples)
    images = np.stack([transform(image) for image in source.fetch(everything)])
    return ArraySource("digits", split, images, source.labels(everything), NUM_CLASSES, transform.describe())


def _density(toy: str, dimensions: int) -> Density:
    if toy == "gaussian":
        return Gaussian(dimensions)
    return {"ring": ring, "grid": grid, "moons": Moons, "pinwheel": Pinwheel, "checkerboard": Checkerboard}[toy]()


def _count_of_split(argument: str, counts: tuple[int, int, int], split: str) -> int:
    if len(counts) != len(SPLITS) or not all(isinstance(count, int) and count > 0 for count in counts):
        raise UsageError(f"{argument}={counts!r} is not possible; give three counts from 1: {', '.join(SPLITS)}")
    return counts[SPLITS.index(split)]


def _path(text: str | os.PathLike) -> pathlib.Path:
    return pathlib.Path(text).expanduser()


def _unknown(name: str) -> UsageError:
    known = ["digits", *ALIASES, *(f"toy:{toy}" for toy in TOYS)]
    frequent = [
        f"tfds:{dataset}" for dataset in ("mnist", "fashion_mnist", "cifar10", "celeb_a", "stl10", "lsun/bedroom")
    ]
    # "mnist" is meant as "tfds:mnist", "ring" as "toy:ring".
    bare = {entry.rpartition(":")[2]: entry for entry in known + frequent}
    near = [bare.get(match, match) for match in difflib.get_close_matches(name, [*bare, *known, *frequent], n=3)]
    hint = f" (did you mean {' or '.join(dict.fromkeys(near))}?)" if near else ""
    return UsageError(f"data={name!r} is unknown{hint}; possible are {', '.join(known + list(KINDS))}")
