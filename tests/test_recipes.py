"""Every gin file that is shipped builds its model and takes steps, small enough for a test."""

import ast
import contextlib
import csv
import re
from unittest import mock

import gin
import numpy as np
import pytest

from launch import common
from tests.helpers import ROOT, TINY, assert_same_state, eagerly, newest_state, squeezenet_file, train_here, untraced
from tfade import load_run
from tfade.export import export
from tfade.training.checkpoints import Checkpoints, snapshot
from tfade.training.recipe import build_model, recipe_of_data

RECIPES = sorted((ROOT / "gin").glob("*.gin"))
# Some are compiled and show pictures, as users would have it; the others are stepped eagerly, which takes half the time.
COMPILED = {"hvae", "flow_gan_hybrid", "density"}
STAGED = {"glann", "glf_two_stage", "rae", "rae_gmm", "two_stage_vae"}  # whose runs may not be made longer
SIZES = {"mnist": 28, "cifar10": 32, "stl10": 48, "celeba": 64, "imagenet64": 64, "lsun": 64, "horse2zebra": 32}
DATA = sorted((ROOT / "gin" / "data").glob("*.gin"))


def shallow(path) -> list[str]:
    """Bindings that take each stack of a recipe, and of what it includes, twice, and each pass and stage once."""
    text = path.read_text()
    lines = [f"{scope}.repeat = 2" for scope in re.findall(r"^(\w+/Stack)\.repeat", text, re.MULTILINE)]
    lines += [f"{scope}.steps = 1" for scope in re.findall(r"^(\w+/Stage)\.steps", text, re.MULTILINE)]
    for schedule in re.findall(r"^Optimization\.schedule = (\(.*?\))$", text, re.MULTILINE | re.DOTALL):
        phases = tuple(tuple(dict.fromkeys(phase)) for phase in ast.literal_eval(schedule))
        lines.append(f"Optimization.schedule = {phases}")
    included = re.findall(r"^include '(.*)'", text, re.MULTILINE)
    return lines + [line for file in included for line in shallow(ROOT / file)]


# Of these models, whose steps take longest, every one is trained by tests of its own.
LONG = {"residual_flow", "hybrid_classifier", "hvae", "hvae_autoregressive", "cycle_gan", "flow_gan_hybrid", "av_ade"}
LONG |= {"conditional_av_ade", "pixel_vae"}
STEPPED = [path for path in RECIPES if path.stem not in LONG][::6]


def recipes(full):
    """A test's recipes: those for which `full` is true only with --full."""
    mark = pytest.mark.full("a recipe is stepped or built")
    return pytest.mark.parametrize(
        "path", [pytest.param(path, marks=[mark] * full(path), id=path.stem) for path in RECIPES]
    )


def small(path, tmp_path) -> list[str]:
    """Bindings for a step of a recipe at toy size."""
    weights = "SqueezeNetFeatures.weights"
    lines = ["steps = 1", *shallow(path)]
    if weights in path.read_text():
        lines.append(f"{weights} = {str(squeezenet_file(tmp_path / 'weights.h5'))!r}")
    return lines


@recipes(full=lambda path: path in STEPPED)
def test_recipes_build(path, tmp_path):
    with untraced(), common.workspace().configured([str(path), TINY], small(path, tmp_path)):
        model = build_model(recipe_of_data()[0])
    assert all(player.variables for stage in model.stages for player in stage.players.values())
    assert any(stage.players for stage in model.stages)


def trained(run, path, *bindings) -> dict[str, np.ndarray]:
    """The state that training a recipe at toy size leaves."""
    if path.stem not in COMPILED:
        bindings = (*bindings, "Visualisation.samples = 0")
    with contextlib.nullcontext() if path.stem in COMPILED else eagerly():
        assert train_here(run, *bindings, files=(path, TINY)) == 0
    return newest_state(run)


@recipes(full=lambda path: path not in STEPPED)
def test_recipes_train(path, tmp_path, request):
    """With --full the run is continued and exported, too."""
    run, bindings = tmp_path / "run", small(path, tmp_path)
    state = trained(run, path, *bindings)
    assert int(state["step"]) >= 1
    assert_same_state(snapshot(load_run(run).state()), state)
    if not request.config.getoption("full"):
        return
    if path.stem in STAGED:
        unfinished = stopped_early(tmp_path / "stopped", path, *bindings)
        assert any(np.any(value != state[name]) for name, value in unfinished.items())
        assert_same_state(trained(tmp_path / "stopped", path, *bindings), state)
    else:
        assert int(trained(run, path, *bindings, "steps = 2")["step"]) == int(state["step"]) + 1
    assert "serving_default" in export(load_run(run), tmp_path / "export")
    assert (tmp_path / "export" / "saved_model.pb").is_file()


class Stopped(BaseException):
    """A process that is gone: nothing catches it."""


def stopped_early(run, path, *bindings) -> dict[str, np.ndarray]:
    """The state that training a recipe at toy size leaves if the process ends at its first checkpoint."""

    def save_and_stop(self, step, state, save=Checkpoints.save):
        save(self, step, state)
        raise Stopped

    with mock.patch.object(Checkpoints, "save", save_and_stop), pytest.raises(Stopped):
        trained(run, path, *bindings)
    return newest_state(run)


@pytest.mark.full("each of them is part of a published recipe")
@pytest.mark.usefixtures("eager")
def test_the_refinements_of_ade_go_together(tmp_path):
    """Residual discriminator, IAF posterior and two scales, applied on top of the recipe as its head comment says."""
    names = ("ade_flow_two_scales", "ade_iaf", "ade_residual_discriminator")
    fragments = [ROOT / "gin" / "fragments" / f"{name}.gin" for name in names]
    bindings = [f"{stack}/Stack.repeat = 1" for stack in ("couplings", "second", "third")]
    files = (ROOT / "gin" / "av_ade.gin", *fragments, TINY)
    assert train_here(tmp_path / "run", "steps = 1", *bindings, "Visualisation.samples = 0", files=files) == 0
    names = list(newest_state(tmp_path / "run"))
    assert any(name.startswith("flow/") for name in names)


@pytest.mark.every(12)
@pytest.mark.parametrize("path", sorted((ROOT / "gin" / "paper").glob("*.gin")), ids=lambda path: path.stem)
@pytest.mark.usefixtures("eager")
def test_published_settings_build_and_trace_their_losses(path, tmp_path, request):
    """The published networks' structure at the published image size; small in widths, repeats of a block and data.

    With --full they take a step, too.
    """
    size = next(size for name, size in SIZES.items() if name in path.stem)
    data = ["data = 'color_digits'"]
    if "other_data" in path.read_text():
        data = ["data = 'first_half:digits'", "other_data = 'second_half:digits'"]
    bindings = [*data, f"load.image_size = {size}", "load.crop = None", "steps = 1", *shallow(path)]
    with common.workspace().configured([str(path), TINY], bindings):
        model = build_model(recipe_of_data()[0])
    assert all(stage.running_means.names for stage in model.stages if stage.players)
    if request.config.getoption("full"):
        assert train_here(tmp_path / "run", *bindings, "Visualisation.samples = 0", files=(path, TINY)) == 0
        assert int(newest_state(tmp_path / "run")["step"]) >= 1


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.stem)
def test_data_files_go_with_a_recipe(path):
    recipe = ROOT / "gin" / ("cycle_gan.gin" if "other_data" in path.read_text() else "vgh_pp.gin")
    with common.workspace().configured([str(recipe), str(path)], []):
        name = gin.query_parameter("data/macro.value")
        assert name.split(":")[0] in (
            "color_digits",
            "color_mnist",
            "digits",
            "tfds",
            "folder",
            "npz",
            "toy",
            "stacked",
            "first_half",
        )
        assert path.read_text().startswith("#")


@pytest.mark.parametrize("path", RECIPES + sorted((ROOT / "gin" / "paper").glob("*.gin")), ids=lambda path: path.stem)
def test_every_recipe_exposes_the_same_names(path):
    with common.workspace().configured([str(path)], ["data = 'digits'", "steps = 1", "batch_size = 2", "seed = 3"]):
        assert gin.query_parameter("seed/macro.value") == 3
        assert path.read_text().startswith("#")


@pytest.mark.full("seconds of XLA")
def test_a_step_compiled_by_xla_is_the_same_step(tmp_path):
    """The first one of an AAE, in what depends on no noise: XLA draws other normals, and Adam makes much of rounding."""
    rows = []
    for jit_compile in (False, True):
        run = tmp_path / str(jit_compile)
        settings = ("steps = 1", "Visualisation.samples = 0", f"Optimization.jit_compile = {jit_compile}")
        assert train_here(run, *settings, files=(ROOT / "gin" / "aae.gin", TINY)) == 0
        with (run / "history.csv").open() as file:
            rows += [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    plain, compiled = rows
    of_autoencoder = [f"autoencoder/{name}" for name in ("reconstruction", "adversarial", "gradient_norm")]
    for name in (*of_autoencoder, "code_discriminator/code"):
        np.testing.assert_allclose(compiled[name], plain[name], rtol=1e-4, err_msg=name)
