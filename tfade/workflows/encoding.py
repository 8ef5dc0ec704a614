"""The codes of a run's data as a file."""

from pathlib import Path

import numpy as np

from tfade import data, files
from tfade.errors import UsageError
from tfade.training.fit_prior import codes_of_source
from tfade.workflows.workspace import OpenRun

SPLITS = ("train", "validation", "test")


def write_codes(run: OpenRun, path: Path, codes: str = "centres") -> dict[str, tuple[int, int]]:
    """Writes x_train, x_validation, x_test, float32 [N, latent_size], and y_… where there are labels, in one .npz file.

    `data = 'npz:FILE'` reads it as a data set of vectors.

    Args:
        run: as `Workspace.open_run` gives it.
        path: the file; it is replaced.
        codes: "centres" of the posteriors, or "samples", one draw of each.

    Returns:
        split → shape of its codes.

    Raises:
        UsageError: a model without codes.
    """
    if not run.model.answers("codes"):
        raise UsageError(f"run_dir={str(run.path)!r} is of a {type(run.model).__name__}, which has no codes")
    arrays, shapes = {}, {}
    for split in SPLITS:
        source = data.load_if_there(run.recipe.data, split)
        if source is None:
            continue
        arrays[f"x_{split}"] = codes_of_source(run.model, source, codes, SPLITS.index(split))
        shapes[split] = arrays[f"x_{split}"].shape
        if source.spec.num_classes:
            arrays[f"y_{split}"] = np.asarray(source.labels(np.arange(source.spec.num_examples)))
    files.write_atomically(path, lambda file: np.savez(file, **arrays))
    return shapes
