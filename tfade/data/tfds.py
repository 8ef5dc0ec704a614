"""Image sets of TensorFlow Datasets, `tfds:NAME[/CONFIG]`, with the preprocessing that is customary for each."""

import dataclasses
import difflib
import pathlib
import sys
from collections.abc import Iterator

import numpy as np

from tfade.data.cache import Store
from tfade.data.source import ArraySource
from tfade.data.splits import MissingSplit, plan
from tfade.data.transforms import Transform
from tfade.data.work import ordered_map
from tfade.errors import UsageError

USUAL = ["mnist", "fashion_mnist", "cifar10", "celeb_a", "stl10"]  # suggested where no name is similar
BLOCK = 64  # images of one size that a thread takes at once


@dataclasses.dataclass(frozen=True)
class Preset:
    """The customary use of one set; `load`'s own arguments replace `crop` and `image_size`.

    Attributes:
        crop, image_size: as in `Transform`.
        train: the stored split that serves for training.
        labelled: whether the labels are kept.
        ignored: stored splits that are not used.
    """

    crop: int | None = None
    image_size: int | None = None
    train: str = "train"
    labelled: bool = True
    ignored: tuple[str, ...] = ()


# Sets that need no preset (mnist, fashion_mnist, cifar10, imagenet_resized/64x64, downsampled_imagenet/64x64, …) are
# taken as they are: 28×28, 28×28, 32×32, 64×64, 64×64.
PRESETS = {
    "stl10": Preset(image_size=48, train="unlabelled", labelled=False),  # Miyato et al. 2018: 100,000 images at 48×48
    # Centre crops in use: 160 (GLF, compare_gan), 140 (WAE, RAE), 128 (Two-Stage VAE, AVB). Labels are 40 attributes.
    "celeb_a": Preset(crop=160, image_size=64, labelled=False),
    "lsun": Preset(image_size=64),
    "imagenet2012": Preset(image_size=64, ignored=("test",)),  # its test labels were never published
}


def tfds_source(
    name: str,
    split: str,
    dataset: str,
    transform: Transform,
    store: Store,
    carve: int | None,
    data_dir: pathlib.Path,
    download: bool,
) -> ArraySource:
    """One split of a TFDS image set.

    Splits are the stored ones where they exist (`tfade.data.splits.plan`). TFDS stores examples in random order, so a
    carved split is a range at the end of "train": MNIST with carve=10 trains on the first 54,000 and validates on
    the last 6,000. Sets without a usable test split (lsun, imagenet) use their validation split for testing.

    Args:
        name, split: as in `Spec`.
        dataset: TFDS's name, such as "mnist", "lsun/bedroom" or "cifar10:3.0.2".
        transform: the preprocessing; the preset fills in what it does not set.
        store: where decoded images are kept.
        carve: as in `plan`.
        data_dir: TFDS's folder.
        download: whether a set that is not in `data_dir` is fetched and prepared.

    Raises:
        UsageError: the set is unknown, has no images, or can be neither found nor fetched.
    """
    builder = _builder(name, dataset, data_dir)
    if "/" not in dataset and len(builder.builder_configs) > 1:
        known = ", ".join(sorted(builder.builder_configs))
        raise UsageError(f"data={name!r} has several configurations; give tfds:{dataset}/CONFIG with one of {known}")
    preset = PRESETS.get(builder.name, Preset())
    features = builder.info.features
    if "image" not in features or features["image"].dtype != np.uint8 or len(features["image"].shape) != 3:
        raise UsageError(f"data={name!r} has no uint8 feature 'image', only {', '.join(features)}; choose an image set")
    transform = dataclasses.replace(
        transform, crop=transform.crop or preset.crop, image_size=transform.image_size or preset.image_size
    )
    _prepare(name, builder, data_dir, download)
    stored = {
        role: role for role in ("validation", "test") if role in builder.info.splits and role not in preset.ignored
    }
    if preset.train in builder.info.splits:
        stored["train"] = preset.train
    part = plan(name, split, stored, carve)
    start, stop = part.bounds(builder.info.splits[part.stored].num_examples)
    if start == stop:
        raise MissingSplit(
            f"data={name!r} has too few examples to carve split={split!r} with carve={carve}; use a smaller one"
        )
    classes = getattr(features["label"], "num_classes", None) if preset.labelled and "label" in features else None
    images, labels = store.examples(
        f"{name} {split}",
        {
            "tfds": builder.info.full_name,
            "part": [part.stored, start, stop],
            "transform": dataclasses.asdict(transform),
        },
        stop - start,
        lambda: _blocks(builder, f"{part.stored}[{start}:{stop}]", transform, labelled=classes is not None),
        labelled=classes is not None,
    )
    return ArraySource(name, split, images, labels, classes, part.describe(transform))


def _builder(name: str, dataset: str, data_dir: pathlib.Path):
    import tensorflow_datasets as tfds  # slow, and only these sources need it

    try:
        return tfds.builder(dataset, data_dir=str(data_dir))
    except tfds.core.registered.DatasetNotFoundError as error:
        known = tfds.list_builders()
        near = difflib.get_close_matches(dataset.split("/")[0].split(":")[0], known, n=5) or USUAL
        raise UsageError(f"data={name!r}: TFDS has no {dataset!r}; similar names: {', '.join(near)}") from error
    except Exception as error:  # a wrong configuration or version, or a missing package: TFDS raises many types
        near = _near_configs(tfds, dataset)
        remedy = f"its configurations: {', '.join(near)}" if near else "see its page in the TFDS catalogue"
        raise UsageError(f"data={name!r}: TFDS cannot build {dataset!r} ({_first_line(error)}); {remedy}") from error


def _near_configs(tfds, dataset: str) -> list[str]:
    base, _, config = dataset.partition("/")
    try:
        known = list(tfds.builder_cls(base).builder_configs)
    except Exception:  # the set itself cannot be imported: nothing to suggest
        return []
    return difflib.get_close_matches(config, known, n=5) or known[:20]


def _prepare(name: str, builder, data_dir: pathlib.Path, download: bool) -> None:
    """Makes sure that the set is in `data_dir`."""
    import tensorflow_datasets as tfds

    if builder.is_prepared() and builder.info.splits:
        return
    manual = data_dir / "downloads" / "manual"
    own = manual / builder.name
    remedy = (
        f"prepare it on a machine with network (tfds build {builder.info.full_name.rpartition('/')[0]} --data_dir=DIR) "
        f"and give load.data_dir, or put its original files into {own} and try again"
    )
    if not download:
        raise UsageError(f"data={name!r} is not prepared in data_dir={data_dir} and load.download is False; {remedy}")
    print(
        f"preparing {name} in {data_dir}; without network this gives up after some minutes", file=sys.stderr, flush=True
    )
    config = tfds.download.DownloadConfig(
        manual_dir=str(own if own.is_dir() else manual),
        # One extraction folder per set: some sets (mnist, fashion_mnist) use the same file names, and with the shared
        # default folder the second silently becomes a copy of the first.
        extract_dir=str(data_dir / "downloads" / f"extracted_{builder.name}"),
    )
    try:
        builder.download_and_prepare(download_config=config)
    except Exception as error:  # network, checksum, quota, disk, missing manual files: each library's own types
        raise UsageError(f"data={name!r} could not be fetched ({_first_line(error)}); {remedy}") from error


def _blocks(builder, split: str, transform: Transform, labelled: bool) -> Iterator:
    """The images of a TFDS split expression, transformed, in the order in which they are stored."""
    import tensorflow_datasets as tfds

    # A cycle of one file: the order is the stored one, whatever TFDS's default is.
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    dataset = dataset.map(lambda example: (example["image"], example["label"] if labelled else 0))
    if None in builder.info.features["image"].shape:
        blocks = (([image], [label]) for image, label in tfds.as_numpy(dataset))
    else:
        blocks = tfds.as_numpy(dataset.batch(BLOCK))

    def transformed(block):
        images, labels = block
        return [transform(image) for image in images], labels if labelled else None

    yield from ordered_map(transformed, blocks)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
