"""Evaluating images that other software made, against the data set that gin names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfade import data
from tfade.errors import UsageError
from tfade.evaluation import Report, Subject, read_external_images, select
from tfade.evaluation.external_images import lossy_files
from tfade.files import write_text
from tfade.training import configuration
from tfade.workflows.evaluation import as_flags, evaluate_and_save
from tfade.workflows.workspace import classifier_cache


def evaluate_images(
    images: Path,
    folder: Path,
    *,
    metrics: str | None = None,
    num_samples: int | None = None,
    seed: int | None = None,
    flags: Mapping[str, Any],
    revision: str | None = None,
) -> Report:
    """Evaluates images against the data set that gin binds to `data`.

    Args:
        images: a folder, an .npz or an .npy file.
        folder: what `evaluation` and reference.gin, the configuration of the data, are written to.
        metrics: comma-separated names, or None for the quick ones.
        num_samples: images to evaluate, chosen at random; None for all.
        seed: of the choice, 0 if None.
        flags: that name the images and their data, as they were typed, for the record.
        revision: of the source, or None.

    Raises:
        UsageError: no data set is bound, or one of vectors; or the images do not fit it.
    """
    name = configuration.value("data")
    if name is None:
        raise UsageError("there is no data set to compare the images with; give --reference=DATA")
    real, train = data.load(name, "test"), data.load(name, "train")
    if not real.spec.is_image:
        raise UsageError(f"reference={name!r} has vectors of shape {list(real.spec.shape)}; give a set of images")
    select(metrics)  # a wrong name is found before the images are read
    read = read_external_images(images, real.spec.shape, num_samples, seed or 0)
    if lossy := lossy_files(images):
        print(f"note: {lossy:,} files are JPEG or WebP; their compression shifts the numbers, so save PNG or an array")
    count = len(read.images)
    subject = Subject(
        read,
        real=real,
        train=train,
        validation=data.load_if_there(name, "validation"),
        num_samples=count,
        seed=seed or 0,
        cache_dir=classifier_cache(),
    )
    settings = {"num_samples": num_samples, "seed": seed}
    origin = {
        "images": str(images),
        "num_images": count,
        "weights": read.fingerprint,
        "base": as_flags(flags),
        "settings": as_flags({key: value for key, value in settings.items() if value is not None}),
    }
    write_text(folder / "reference.gin", configuration.text())
    return evaluate_and_save(folder, subject, metrics, origin, revision)
