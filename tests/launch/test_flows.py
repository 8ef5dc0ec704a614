"""Flows on the command line: images and vectors from training to samples, likelihoods, Jacobians and export."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from launch import evaluate, jacobian, sample
from tests.helpers import ROOT, TINY, eagerly, fails, run, train_here
from tfade import load_run
from tfade.data.loading import load

TOY = str(ROOT / "gin" / "data" / "toy_gaussian.gin")
DENSE = "Stack.parts = (@couplings/Stack,)"  # vectors have nothing to be flattened


@pytest.fixture(scope="module")
def image_run(tmp_path_factory):
    """A hybrid Flow-GAN of two steps on grey digits."""
    path = tmp_path_factory.mktemp("flows") / "hybrid"
    bindings = ("steps = 2", "couplings/Stack.repeat = 2", "Optimization.schedule = (('discriminator',), ('flow',))")
    with eagerly():
        assert train_here(path, *bindings, files=(ROOT / "gin" / "flow_gan_hybrid.gin", TINY)) == 0
    return path


@pytest.fixture(scope="module")
def vector_run(tmp_path_factory):
    """A flow over 8-dimensional vectors."""
    path = tmp_path_factory.mktemp("flows") / "vectors"
    bindings = ("steps = 2", DENSE, "load.toy_examples = (200, 50, 60)", "couplings/Stack.repeat = 2")
    with eagerly():
        assert train_here(path, *bindings, files=(ROOT / "gin" / "flow_gan_mle.gin", TOY, TINY)) == 0
    return path


@pytest.mark.full("test_sample runs it for one class, test_jacobian has its numbers")
def test_the_jacobian_launcher_compares_runs(image_run, vector_run, tmp_path, capsys):
    arguments = [f"--run_dir={image_run}", f"--run_dir={vector_run}", f"--out={tmp_path / 'study'}", "--num_codes=3"]
    assert run(jacobian.main, arguments) == 0
    report = json.loads((tmp_path / "study" / "jacobian.json").read_text())
    assert list(report) == ["hybrid", "vectors"]
    assert (report["hybrid"]["codes"], report["hybrid"]["directions"]) == (3, 256)
    assert report["vectors"]["directions"] == 8
    assert report["hybrid"]["protocol"]["num_codes"] == 3
    low, high = report["hybrid"]["log10_condition_quartiles"]
    assert 0 < low <= report["hybrid"]["log10_condition_median"] <= high
    assert Image.open(tmp_path / "study" / "jacobian.png").size == (1200, 480)
    printed = capsys.readouterr().out
    assert "hybrid" in printed
    assert "vectors" in printed


def test_singular_values_multiply_to_the_determinant(image_run):
    """The sum of their logarithms is the flow's own log-determinant, though both are computed in other ways."""
    from tfade.evaluation.latents.jacobian import spectrum

    model = load_run(image_run)
    codes = model.prior().sample(2, seed=(0, 1))
    expected = model.flow.bijector().forward_log_det_jacobian(codes, event_ndims=1)
    np.testing.assert_allclose(np.log(spectrum(model.decode, codes).values).sum(-1), expected, rtol=1e-4)


@pytest.mark.full("the metric and the launcher are tested apart")
def test_likelihood_is_evaluated(image_run, vector_run):
    assert run(evaluate.main, [f"--run_dir={image_run}", "--metrics=likelihood", "--num_samples=8"]) == 0
    results = json.loads((image_run / "evaluation" / "likelihood.json").read_text())["results"]
    bits, nats = results
    assert (bits["name"], nats["name"]) == ("bits_per_dim", "negative_log_likelihood")
    assert bits["value"] == pytest.approx(nats["value"] / (256 * np.log(2)) + 8, rel=1e-5)
    assert bits["protocol"]["likelihood"] == "exact"
    model, test = load_run(image_run), load("digits", "test")
    log_prob = model.log_prob(test.fetch(np.arange(test.spec.num_examples)))
    assert nats["value"] == pytest.approx(-float(tf.reduce_mean(log_prob)), rel=1e-5)

    assert run(evaluate.main, [f"--run_dir={vector_run}", "--metrics=likelihood", "--num_samples=8"]) == 0
    (nats,) = json.loads((vector_run / "evaluation" / "likelihood.json").read_text())["results"]
    true = nats["real"]
    assert nats["name"] == "negative_log_likelihood"
    assert nats["value"] > true["value"]
    assert true["value"] == pytest.approx(load("toy:gaussian", "test").density.entropy, abs=1.5)  # 60 draws


def test_vectors_are_drawn_and_shown(vector_run, tmp_path, capsys):
    assert run(sample.main, [f"--run_dir={vector_run}", f"--out={tmp_path / 'v.npz'}", "--num_samples=20"]) == 0
    vectors = np.load(tmp_path / "v.npz")["vectors"]
    assert (vectors.shape, vectors.dtype) == ((20, 8), np.float32)
    assert run(sample.main, [f"--run_dir={vector_run}", f"--out={tmp_path / 'v.png'}"]) == 0
    assert Image.open(tmp_path / "v.png").mode == "RGB"
    assert list((vector_run / "samples").glob("samples-*.png"))
    fails(capsys, sample.main, [f"--run_dir={vector_run}", f"--out={tmp_path / 'folder'}"], "out=", "vectors", ".npz")


def test_invalid_temperatures_are_rejected(image_run, tmp_path, capsys):
    for temperature in ("-1", "nan", "inf"):
        out = tmp_path / "x.png"
        fails(
            capsys,
            sample.main,
            [f"--run_dir={image_run}", f"--out={out}", f"--temperature={temperature}"],
            "temperature",
        )
        assert not out.exists()


def test_a_flow_that_does_not_fit_the_data(tmp_path, capsys):
    capsys.readouterr()
    bindings = ("load.image_size = 17", "steps = 2")
    assert train_here(tmp_path / "run", *bindings, files=(ROOT / "gin" / "real_nvp.gin", TINY)) == 2
    error = capsys.readouterr().err
    assert "17×17" in error
    assert "Squeeze" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.full("the error is raised in test_residual_inverse.py")
@pytest.mark.parametrize("graph", [True, False])
def test_a_block_that_is_not_inverted_is_one_line(tmp_path, capsys, request, graph):
    """TensorFlow says it in one way in a graph, in another one without."""
    if not graph:
        request.getfixturevalue("eager")
    lines = ("steps = 1", "blocks/Stack.repeat = 1", "Visualisation.samples = 0", "ResidualBlock.max_iterations = 1")
    names = ("residual_flow", "fragments/residual_flow_vectors", "data/toy_ring")
    files = (*(ROOT / "gin" / f"{name}.gin" for name in names), TINY)
    assert train_here(tmp_path / "run", *lines, files=files) == 0
    capsys.readouterr()
    assert run(sample.main, [f"--run_dir={tmp_path / 'run'}", f"--out={tmp_path / 'x.npz'}"]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "its inverse has not converged after 1 iterations" in error
    assert "ResidualBlock.max_iterations" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "x.npz").exists()
