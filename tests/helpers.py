"""Launchers run inside the test process, and recipes made small."""

import contextlib
import os
import pathlib
import subprocess
import sys
from unittest import mock

import h5py
import keras
import numpy as np
import tensorflow as tf

from launch import common, train
from tfade.export import export
from tfade.files import write_text
from tfade.models import base
from tfade.models.checks import checked_terms
from tfade.networks.squeezenet import squeezenet
from tfade.spec import Batch, Spec
from tfade.training import configuration, recorded_configuration
from tfade.training.checkpoints import Checkpoints, snapshot
from tfade.training.isolation import isolated
from tfade.training.recipe import Recipe, build_model
from tfade.training.run_directory import RunDirectory

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"  # real images and weights that stay out of the repository
TINY = str(ROOT / "tests" / "tiny.gin")
SPEC = Spec("digits", "train", (16, 16, 1), "uint8", (0, 255), num_classes=10, num_examples=1265)
SPEC_BINDING = f"Recipe.spec = {SPEC.to_dict()!r}"  # what training would record of the grey digits
RECIPE = str(ROOT / "gin" / "vae.gin")  # one player: a step takes a third of the time that those of four take
PLAYERS = (str(ROOT / "gin" / "vgh_pp.gin"), TINY)


@contextlib.contextmanager
def eagerly():
    """Runs steps as they are written: tracing a network takes many times as long as a few of its steps."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def untraced():
    """Inside, models are compiled without tracing their losses, which takes most of the time; they cannot be trained."""
    return mock.patch.object(base, "checked_terms", return_value=[])


TERMS: dict[tuple, list[str]] = {}  # (what decides on the losses, stage) → the names of its terms


@contextlib.contextmanager
def traced_once(key):
    """Inside, `compile` traces the losses for the names of their terms only the first time that `key` is given."""

    def remembered(model, stage):
        place = key, model._stage
        if place not in TERMS:
            TERMS[place] = checked_terms(model, stage)
        return TERMS[place]

    with mock.patch.object(base, "checked_terms", remembered):
        yield


def train_arguments(run_dir, *bindings, files=(RECIPE, TINY)) -> list[str]:
    """Flags of a small training run without evaluation."""
    return [
        *(f"--gin_file={f}" for f in files),
        *(f"--gin_bindings={b}" for b in bindings),
        f"--run_dir={run_dir}",
        "--train_only",
    ]


def run(main, arguments) -> int:
    """The exit status of a launcher's `main`, run here with a gin configuration of its own."""
    with isolated():
        return common.guarded(main, [str(argument) for argument in arguments])


def fails(capsys, main, arguments, *words) -> str:
    """Runs a launcher that must fail with status 2 and one line holding all `words`."""
    capsys.readouterr()
    try:
        status = run(main, arguments)
    except SystemExit as exit:
        status = exit.code
    error = capsys.readouterr().err.strip()
    assert status == 2, error
    assert error.startswith("error: "), error
    assert len(error.splitlines()) == 1, error
    for word in words:
        assert word in error, error
    return error


def write_run(path, files, bindings, step: int = 0) -> RunDirectory:
    """A run of grey digits as `step` steps would leave it, without taking them."""
    folder = RunDirectory(path)
    with common.workspace().configured([str(file) for file in files], [*bindings, SPEC_BINDING]):
        model = build_model(configuration.make(Recipe))
        write_text(folder.config, recorded_configuration.recorded())
    model.step.assign(step)
    Checkpoints(folder.checkpoints).save(step, snapshot(model.state()))
    return folder


def train_here(run_dir, *bindings, files=(RECIPE, TINY)) -> int:
    """Trains in this process; returns the exit status."""
    others = ("steps =", "Visualisation.", "CheckpointSettings.", "Recipe.interval", "seed =")
    key = *map(str, files), *(binding for binding in bindings if not binding.startswith(others))
    with traced_once(key):
        return run(train.main, train_arguments(run_dir, *bindings, files=files))


def start(module: str, arguments, **environment) -> subprocess.Popen:
    """Starts a launcher as a process of its own, with everything it prints in one pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )


def assert_moved_by_a_step(model, images) -> None:
    """One training step reports finite numbers, leaves finite weights, and moves every network."""
    for optimizer in model.optimizers.values():
        if hasattr(optimizer, "dynamic_scale"):  # so that the first step is not one that finds the scale
            optimizer.dynamic_scale.assign(16.0)
    before = [variable.numpy() for variable in model.trainable_variables]
    logs = model.train_step(tf.constant(images))
    assert all(np.isfinite(value) for value in logs.values()), logs
    assert all(np.isfinite(variable.numpy()).all() for variable in model.trainable_variables)
    moved = {v.path for v, old in zip(model.trainable_variables, before, strict=True) if np.any(v.numpy() != old)}
    for network in model.networks.values():
        assert not network.trainable_variables or moved & {variable.path for variable in network.trainable_variables}


def assert_every_variable_gets_a_gradient(model, images) -> None:
    """The losses of the only player of a compiled model reach all of its variables, with no gradient of zeros."""
    (player,) = model.players()
    with tf.GradientTape() as tape:
        losses = model.losses(Batch(tf.constant(images)), model._seeds(0))[player.name]
        total = tf.add_n([weight * tf.reduce_mean(value) for weight, value in losses.values()])
    for variable, gradient in zip(player.variables, tape.gradient(total, player.variables)):
        assert gradient is not None, variable.path
        assert np.any(tf.convert_to_tensor(gradient) != 0), variable.path


def assert_served(model, images, folder) -> set[str]:
    """What a model answers, its export answers, too; returns the names of the signatures."""
    names = export(model, folder)
    served = tf.saved_model.load(str(folder)).signatures
    sampled = served["sample"](n=tf.constant(3), temperature=tf.constant(0.9), seed=tf.constant(4, tf.int64))["images"]
    np.testing.assert_allclose(sampled, model.sample(3, 0.9, 4), atol=1e-5)
    given = tf.constant(images)
    if "encode" in names:
        encoded, codes = served["encode_uint8"](images=given), model.codes(images)
        np.testing.assert_allclose(encoded["latents"], codes, atol=1e-5)
        assert ("scale" in encoded) == model.gaussian_codes
        decoded = served["sample_from_latents"](latents=codes)["images"]
        np.testing.assert_allclose(decoded, model.decode(codes), atol=1e-5)
    for name, key, answer in (
        ("reconstruct", "images", model.reconstruct),
        ("log_prob", "log_prob", model.log_prob),
        ("discriminate", "logits", model.discriminate),
    ):
        if name in names:
            found = served[f"{name}_uint8"](images=given)[key]
            np.testing.assert_allclose(found, answer(images), rtol=1e-4, atol=1e-4 if key == "logits" else 1e-5)
    return set(names)


def newest_state(run_dir) -> dict[str, np.ndarray]:
    """The arrays of the newest checkpoint."""
    return Checkpoints(pathlib.Path(run_dir) / "checkpoints").load()


def assert_same_state(one, other) -> None:
    """Both checkpoints hold the same names with the same bits."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def squeezenet_file(path) -> pathlib.Path:
    """Random weights of SqueezeNet 1.1 in a file of the layout that the real ones have."""
    with h5py.File(path, "w") as file:
        for layer in squeezenet().layers:
            if isinstance(layer, keras.layers.Conv2D):
                group = file.create_group(layer.name.replace(".", "/"))
                group["kernel"], group["bias"] = layer.get_weights()
                group.attrs["weight_names"] = ["kernel", "bias"]
    return pathlib.Path(path)
