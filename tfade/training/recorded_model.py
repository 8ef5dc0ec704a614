"""A model from the configuration of another run, inside a run of its own: names of the two never meet in gin."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import gin
import numpy as np

from tfade.data.source import Source
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel
from tfade.spec import Spec
from tfade.training import configuration, recorded_configuration
from tfade.training.checkpoints import BEST
from tfade.training.isolation import isolated
from tfade.training.recipe import Recipe, load_run
from tfade.training.run_directory import RunDirectory


class SourceRun(NamedTuple):
    """A trained run that another one starts from.

    Attributes:
        path: its directory.
        configuration: the lines of its config.gin.
        fingerprint: of the weights that serve, as `fingerprint_of` has it.
        data: of its training data, as `Source.fingerprint` has it; "" where it is not recorded.
        model: rebuilt and restored.
        checkpoint: of which: "best", or the step of one that was kept.
    """

    path: Path
    configuration: tuple[str, ...]
    fingerprint: str
    data: str
    model: GenerativeModel
    checkpoint: str | int


def read_source(run_dir: str | Path, checkpoint: str | int = "latest", trust_imports: bool = False) -> SourceRun:
    """A trained run with its model.

    Raises:
        UsageError: see `load_run`.
    """
    run = RunDirectory(run_dir)
    model = load_run(run_dir, checkpoint, trust_imports)
    lines = tuple(recorded_configuration.read(run.config).splitlines())
    which = BEST if checkpoint == BEST else int(model.step.numpy())  # the latest may be another one later
    return SourceRun(run.path, lines, fingerprint_of(model), run.data_fingerprint, model, which)


def fingerprint_of(model: GenerativeModel) -> str:
    """16 hexadecimal digits that tell a model's serving weights, and the variables it owns besides, from others."""
    digest = hashlib.sha256()
    for name in sorted(model.networks):
        for weights in model.network(name).get_weights():
            digest.update(np.ascontiguousarray(weights).tobytes())
    for variable in model.own_variables():
        digest.update(np.ascontiguousarray(variable).tobytes())
    return digest.hexdigest()[:16]


@gin.configurable(denylist=["spec"])
def recorded_model(spec: Spec, configuration_lines: Sequence[str] = ()) -> GenerativeModel:
    """The model that a run's recorded configuration describes, with new weights.

    Args:
        spec: of the data; the run's own must have the same shape.
        configuration_lines: of the run's config.gin.

    Raises:
        UsageError: a configuration that cannot be parsed, or data of another shape.
    """
    with isolated():
        configuration.bind(configuration_lines)
        recipe = configuration.make(Recipe)
        own = Spec.from_dict(recipe.spec)
        if own.shape != spec.shape:
            raise UsageError(f"the source run has data of shape {own.shape}, and these are of shape {spec.shape}")
        return recipe.model(own)


@gin.configurable(denylist=["model", "train"])
def adopt_weights(
    model: GenerativeModel, train: Source, *, run_dir: str = "", checkpoint: str | int = "latest", fingerprint: str = ""
) -> None:
    """A stage without steps: gives the model that a `LatentDensity` wraps the weights of its source run.

    Where networks have moving averages, it is these, which serve. Nothing of the source run is needed afterwards.

    Args:
        model: wraps the source's model as `autoencoder`.
        train: unused.
        run_dir, checkpoint: of the source run.
        fingerprint: of its weights when this run was configured.

    Raises:
        UsageError: no such run, or its weights are others than those this run was configured with.
    """
    loaded = load_run(run_dir, checkpoint)
    if fingerprint_of(loaded) != fingerprint:
        raise UsageError(
            f"the weights of run_dir={run_dir!r} changed since this run was configured; give another --out"
        )
    for name in loaded.networks:
        if name != "prior":
            model.networks[name].set_weights(loaded.network(name).get_weights())
    for mine, theirs in zip(model.own_variables(), loaded.own_variables(), strict=True):
        mine.assign(theirs)
