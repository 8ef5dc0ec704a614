"""Densities over the codes of a trained run, and its codes as data: self-contained runs, and what is refused."""

import shutil

import numpy as np
import pytest

from launch import common, encode, latent_density
from tests.helpers import ROOT, TINY, fails, newest_state, run, train_here, write_run
from tfade import data, load_run
from tfade.data.digits import digits
from tfade.distributions.flow import FlowDistribution
from tfade.training.checkpoints import Checkpoints
from tfade.training.run_directory import RunDirectory

EX_POST = sorted((ROOT / "gin" / "ex_post").glob("*.gin"))
DIGITS = ROOT / "gin" / "data" / "digits.gin"
SMALL = (
    *("steps = 2", "batch_size = 8", "Visualisation.samples = 0", "fit_prior_by_em.restarts = 1"),
    *("MLPConditioner.width = 8", "MADE.width = 8", "VAEDensity.width = 8", "AutoregressiveLSTM.width = 4"),
)
pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(common, "CACHE", tmp_path_factory.getbasetemp() / "latent_density_cache")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The directory of a tiny VAE of grey digits, as six steps would leave it."""
    return write_run(tmp_path_factory.mktemp("source") / "vae", [ROOT / "gin" / "vae.gin", DIGITS, TINY], [], 6).path


def density(source, out, path, *bindings, flags=("--train_only",)) -> list:
    """Flags of a small density: of the small settings those that its recipe knows."""
    text = path.read_text() + ((ROOT / "gin" / "fragments" / "glf_flow.gin").read_text() if path.stem == "flow" else "")
    known = [line for line in SMALL if line[0].islower() or line.split(".")[0] in text or "Visual" in line]
    lines = [f"--gin_bindings={line}" for line in (*known, *bindings)]
    return [f"--run_dir={source}", f"--gin_file={path}", f"--out={out}", *lines, *flags]


@pytest.mark.every(7, 5)
@pytest.mark.parametrize("path", EX_POST, ids=lambda path: path.stem)
def test_every_density_is_fitted_and_opens_without_the_first_run(source, tmp_path, path):
    copy = shutil.copytree(source, tmp_path / "source")
    assert run(latent_density.main, density(copy, tmp_path / "out", path, "Recipe.interval = 1")) == 0
    shutil.rmtree(copy)
    model, first = load_run(tmp_path / "out"), load_run(source)
    images = digits("test").fetch(np.arange(6))
    np.testing.assert_array_equal(model.reconstruct(images), first.reconstruct(images))
    np.testing.assert_array_equal(model.codes(images), first.codes(images))
    assert model.sample(3, seed=1).shape == (3, 16, 16, 1)
    assert np.any(model.sample(3, seed=1) != first.sample(3, seed=1))
    assert model.likelihood == "lower_bound"
    assert np.isfinite(model.log_prob(images)).all()
    by_hand = model.encode(images)
    assert by_hand.batch_shape == (6,)
    np.testing.assert_array_equal(model.decode(model.codes(images)), model.reconstruct(images))


@pytest.mark.full("a mixture is fitted by default")
def test_the_densitys_names_leave_the_first_model_alone(source, tmp_path):
    """Both bind MLPConditioner and Stack; the flow of the density is not that of the model."""
    flow = ROOT / "gin" / "ex_post" / "flow.gin"
    assert run(latent_density.main, density(source, tmp_path / "out", flow)) == 0
    model = load_run(tmp_path / "out")
    assert isinstance(model.networks["prior"], FlowDistribution)
    shapes = lambda network: [weights.shape for weights in network.get_weights()]
    first = load_run(source)
    for name, network in first.networks.items():
        if name != "prior":
            assert shapes(network) == shapes(model.networks[name])
    state = newest_state(tmp_path / "out")
    assert int(state["step"]) == 2


@pytest.mark.full("other runs are refused and continued")
def test_a_changed_source_is_refused_and_the_same_one_continues(source, tmp_path, capsys):
    copy, mixture = shutil.copytree(source, tmp_path / "source"), ROOT / "gin" / "ex_post" / "mixture.gin"
    arguments = density(copy, tmp_path / "out", mixture, "GaussianMixture.components = 3")
    assert run(latent_density.main, arguments) == 0
    before = newest_state(tmp_path / "out")
    assert run(latent_density.main, arguments) == 0
    assert "already trained" in capsys.readouterr().out
    moved = shutil.move(copy, tmp_path / "moved")
    arguments[0] = f"--run_dir={moved}"
    assert run(latent_density.main, arguments) == 0
    write_run(moved, [ROOT / "gin" / "vae.gin", DIGITS, TINY], ["seed = 1"], 7)
    fails(
        capsys,
        latent_density.main,
        arguments,
        "belongs to another configuration",
        "adopt_weights.checkpoint: 6 before, 7 now",
    )
    after = newest_state(tmp_path / "out")
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_best_checkpoint_may_be_older_than_those_that_are_kept(source, tmp_path):
    copy = RunDirectory(shutil.copytree(source, tmp_path / "source"))
    state = {**newest_state(copy.path), "step": np.int64(2)}
    Checkpoints(copy.checkpoints, run=copy.identifier).save_best(2, "validation/nll", 1.0, state)
    mixture = ROOT / "gin" / "ex_post" / "mixture.gin"
    assert run(latent_density.main, [*density(copy.path, tmp_path / "out", mixture), "--checkpoint=best"]) == 0
    assert "adopt_weights.checkpoint = 'best'" in (tmp_path / "out" / "config.gin").read_text()


def test_what_is_no_run_or_no_density_is_one_line(source, tmp_path, capsys):
    mixture, out = ROOT / "gin" / "ex_post" / "mixture.gin", tmp_path / "out"
    fails(capsys, latent_density.main, density(source, source, mixture), "is the run itself")
    vae = [f"--run_dir={source}", f"--gin_file={ROOT / 'gin' / 'vae.gin'}", f"--out={out}"]
    fails(capsys, latent_density.main, vae, "describes no density of codes")
    other = density(source, tmp_path / "other", mixture, "load.pad = 4")
    fails(capsys, latent_density.main, other, "data of shape (16, 16, 1)", "(24, 24, 1)")
    fails(capsys, latent_density.main, density(tmp_path / "nowhere", out, mixture), "holds no run")


@pytest.mark.full("seconds of building")
def test_too_few_codes_and_models_without_them_are_refused(source, tmp_path, capsys):
    mixture, out = ROOT / "gin" / "ex_post" / "mixture.gin", tmp_path / "out"
    many = density(source, out, mixture, "GaussianMixture.components = 2000")
    fails(capsys, latent_density.main, many, "2000 components", "N ≥ 2000")
    gan = write_run(tmp_path / "gan", [ROOT / "gin" / "gan.gin", DIGITS, TINY], [], 2).path
    fails(capsys, latent_density.main, density(gan, out, mixture), "GAN has no codes", "encoder")
    hvae = write_run(tmp_path / "hvae", [ROOT / "gin" / "hvae.gin", DIGITS, TINY], [], 2).path
    fails(capsys, latent_density.main, density(hvae, out, mixture), "latents of its own")


def test_codes_are_a_data_set_of_vectors(source, tmp_path, capsys):
    file = tmp_path / "codes.npz"
    assert run(encode.main, [f"--run_dir={source}", f"--out={file}"]) == 0
    assert "train 1,265×6" in capsys.readouterr().out
    model = load_run(source)
    for split in ("train", "validation", "test"):
        vectors, images = data.load(f"npz:{file}", split), digits(split)
        assert vectors.spec.shape == (6,)
        rows = np.arange(5)
        np.testing.assert_allclose(vectors.fetch(rows), model.codes(images.fetch(rows)), rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(vectors.labels(rows), images.labels(rows))
    files = (ROOT / "gin" / "density.gin", TINY)
    assert train_here(tmp_path / "density", f"data = 'npz:{file}'", "Visualisation.samples = 0", files=files) == 0
    fails(capsys, encode.main, [f"--run_dir={source}", f"--out={tmp_path / 'codes.txt'}"], "does not end in .npz")
