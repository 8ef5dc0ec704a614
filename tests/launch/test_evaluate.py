"""`launch.evaluate` end to end: a run and its page, external images, a bound extractor, and wrong flags."""

import json
import os
import re
import shutil
from pathlib import Path

import gin
import numpy as np
import pytest
from PIL import Image

from launch import common, evaluate
from tests.helpers import ROOT, TINY, fails, run, write_run
from tests.reporting.outline import Outline
from tfade import pictures
from tfade.data.digits import digits
from tfade.errors import UsageError
from tfade.evaluation import ExternalImages, Figure, Metric, Record, Result, Subject, read_records, suite
from tfade.reporting.evaluation_report import write_report
from tfade.workflows.evaluation import evaluate_run

QUICK = "--gin_bindings=train_classifier.steps = 3"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(common, "CACHE", tmp_path_factory.getbasetemp() / "evaluate_cache")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of a tiny VAE of grey digits, as six steps would leave it."""
    files = [ROOT / "gin" / "vae.gin", ROOT / "gin" / "data" / "digits.gin", TINY]
    folder = write_run(tmp_path_factory.mktemp("evaluated") / "a<b>&c", files, [], step=6)
    folder.write_history(
        [{"step": 3, "autoencoder/kl": 2.5, "validation/kl": 2.0}, {"step": 6, "autoencoder/kl": 2, "a/nll": -1}]
    )
    return folder.path


@pytest.fixture
def vae(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / trained.name)


@gin.register(module="tests")
class FeatureMean(Metric):
    """The mean of the extractor's features."""

    name, default = "feature_mean", False

    def __init__(self, scale: float = 1.0):
        self.scale = scale

    def __call__(self, subject):
        value = self.scale * subject.extracted_samples.features.mean()
        return [Result("feature_mean", value, None, {**subject.protocol(), **subject.feature_extractor.protocol})]


HIDDEN = frozenset({"__call__"})  # the suite leaves abstract metrics out
FeatureMean.__abstractmethods__ = HIDDEN


@pytest.fixture
def feature_mean():
    """Makes the metric of features known to the suite."""
    FeatureMean.__abstractmethods__ = frozenset()
    yield
    FeatureMean.__abstractmethods__ = HIDDEN


@gin.register(module="tests")
class Level:
    """A stand-in for a feature network: the same feature everywhere."""

    def __init__(self, level: float = 1.0):
        self.level, self.protocol = level, {"extractor": "level", "extractor_fingerprint": str(level)}

    def outputs(self, images, batch_size=500):
        return np.full((len(images), 2), self.level, np.float32), None


def report_of(folder) -> Outline:
    text = (folder / "evaluation" / "report.html").read_text()
    assert not re.search(r"https?:|<script|<link|@import|url\(", text)
    return Outline(text)


def test_a_run_and_its_page(vae, capsys):
    assert run(evaluate.main, [f"--run_dir={vae}", "--metrics=likelihood,reconstruction_error", QUICK]) == 0
    printed = capsys.readouterr().out
    assert "bits per dim" in printed
    assert f"report:  {vae}/evaluation/report.html" in printed
    records = {record.metric: record for record in read_records(vae / "evaluation")}
    assert set(records) == {"likelihood", "reconstruction_error", "pictures"}
    content = json.loads((vae / "evaluation" / "likelihood.json").read_text())
    assert content["origin"]["checkpoint"] == 6
    assert content["origin"]["settings"] == [QUICK]
    assert {"tfade", "tensorflow", "python"} <= set(content["origin"]["versions"])

    outline = report_of(vae)
    said = " ".join(outline.text)
    for record in records.values():
        for result in record.results:
            assert repr(result.value) in outline.text
            assert all(key.replace("_", " ") in said for key in result.protocol)
        for figure in record.figures:
            assert figure.caption in said
    assert "Evaluation of a<b>&c" in outline.text
    assert "step 6" in said
    assert (vae / "config.gin").read_text() in outline.text
    command = content["origin"]["command"]
    assert command in said
    assert "--metrics=likelihood,reconstruction_error" in command
    history = (vae / "history.csv").read_text().splitlines()[0].split(",")
    terms = {name.rpartition("/")[2] for name in history} - {"step"}
    assert sum(alt.startswith(tuple(terms)) for alt in outline.alts) == len(terms)
    assert len(outline.alts) == len(outline.sources) == len(terms) + len(records["pictures"].figures)
    assert all(outline.alts)
    assert "meta" in outline.tags
    assert "viewport" in (vae / "evaluation" / "report.html").read_text()


def test_earlier_numbers_stay_and_those_of_other_weights_are_set_apart(vae):
    origin = {"checkpoint": 6, "weights": "now", "command": "now"}
    old = {"checkpoint": 3, "weights": "before", "command": "before"}
    for name, value, whose in (("one", 1.25, origin), ("two", 2.25, old), ("three", 3.25, origin)):
        figure = Figure(f"picture_of_{name}", f"Seen in {name}.", pictures.png(np.zeros((4, 9, 3), np.uint8)))
        Record(name, 0.1, (Result(f"number {name}", value, None, {"seed": 0}),), (figure,), None, whose).save(
            vae / "evaluation"
        )
    Record("four", 0.1, (Result("<4>", 4.25),)).save(vae / "evaluation")
    write_report(vae, origin)
    assert (vae / "evaluation" / "report.html").read_text().count('<figure class="broad">') == 3
    text = " ".join(report_of(vae).text)
    above, _, below = text.partition("Of the checkpoint of step 3 (weights before), not of the one above")
    assert below
    for name, value in (("one", "1.25"), ("three", "3.25")):
        assert value in above
        assert f"Seen in {name}." in above
    assert "2.25" not in above
    assert "Seen in two." in below
    assert "Of an unknown checkpoint" in below
    assert "<4>" in below


def test_the_call_of_the_other_launchers(vae, feature_mean):
    """As `launch.train` and `launch.ablation` evaluate an opened run, here with the metrics that gin binds."""
    binding = "evaluate.metrics = (@FeatureMean(),)"
    with common.workspace().open_run(vae, bindings=[binding]) as opened:
        evaluate_run(opened, num_samples=30, extractor=Level(5.0))
    (record,) = read_records(vae / "evaluation")
    assert record.results[0].value == 5
    command = f"python -m launch.evaluate '--run_dir={vae}' --num_samples=30 '--gin_bindings={binding}'"
    assert record.origin["command"] == command
    assert "5.0" in report_of(vae).text


def test_settings_and_an_extractor_are_bound_by_gin(vae, tmp_path, feature_mean, capsys):
    (tmp_path / "over.gin").write_text(
        "include 'gin/data/digits.gin'\nevaluate.extractor = @Level()\nLevel.level = 2\n"
    )
    flags = [f"--run_dir={vae}", "--metrics=feature_mean", "--num_samples=20", f"--gin_file={tmp_path / 'over.gin'}"]
    assert run(evaluate.main, [*flags, "--gin_bindings=FeatureMean.scale = 3.0"]) == 0
    (result,) = next(r for r in read_records(vae / "evaluation") if r.metric == "feature_mean").results
    assert result.value == 6
    assert result.protocol["extractor"] == "level"
    capsys.readouterr()
    assert run(evaluate.main, [*flags, "--gin_bindings=FeatureMen.scale = 3.0"]) == 2
    assert "FeatureMen" in capsys.readouterr().err
    assert run(evaluate.main, [f"--run_dir={vae}", "--gin_file=nowhere.gin"]) == 2
    assert "nowhere.gin" in capsys.readouterr().err


def test_an_invalid_extractor_is_rejected(feature_mean):
    images = digits("test").fetch(np.arange(4))
    subject = Subject(ExternalImages(images), real=digits("test"), train=digits("train"), num_samples=4)
    assert suite.evaluate(subject, [FeatureMean()], Level(5.0)).results["feature_mean"].value == 5
    for wrong, words in ((Level, "parentheses after its name"), ("level", "outputs")):
        with pytest.raises(UsageError, match=words):
            suite.evaluate(subject, [FeatureMean()], wrong)


def test_what_was_measured_stays_when_a_later_metric_fails(vae, feature_mean, capsys):
    """The extractor gives infinities: its metric refuses, and what comes before and after it is on disk all the same."""
    flags = [f"--run_dir={vae}", "--metrics=likelihood,feature_mean,reconstruction_error", "--num_samples=20"]
    assert (
        run(
            evaluate.main,
            [*flags, "--gin_bindings=evaluate.extractor = @Level()", "--gin_bindings=Level.level = 1e999"],
        )
        == 1
    )
    assert "error: feature_mean: value=inf of result 'feature_mean' is not finite" in capsys.readouterr().err
    found = {record.metric: record for record in read_records(vae / "evaluation")}
    assert found.keys() == {"likelihood", "feature_mean", "reconstruction_error", "pictures"}
    assert found["likelihood"].results
    assert found["reconstruction_error"].results
    assert "not finite" in found["feature_mean"].failed
    assert "feature mean: failed, value=inf" in " ".join(report_of(vae).text)


@pytest.mark.full("the test set as external images is evaluated below, and a page is read above")
@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_external_images(tmp_path, capsys, kind):
    images = digits("validation").fetch(np.arange(40))
    source = tmp_path / ("x.npz" if kind == "npz" else "x<y>")
    if kind == "npz":
        np.savez(source, images=(images / 255).astype(np.float32))
    else:
        for place, image in enumerate(images):
            source.mkdir(exist_ok=True)
            Image.fromarray(image[..., 0]).save(source / f"{place}.png")
    out = tmp_path / "out"
    short = "--gin_bindings=IndependentWassersteinCritic.steps = 2"
    flags = [f"--images={source}", "--reference=digits", "--metrics=all", f"--out={out}", QUICK, short]
    assert run(evaluate.main, flags) == 0
    printed = capsys.readouterr().out
    assert "classifier frechet distance" in printed
    assert "reconstruction error: not applicable, reconstruct needs the model" in " ".join(printed.split())
    assert "likelihood: not applicable, ExternalImages has neither a likelihood nor a decoder" in " ".join(
        printed.split()
    )
    found = {record.metric: record for record in read_records(out / "evaluation")}
    result = found["classifier_frechet_distance"].results[0]
    assert result.protocol["num_fake"] == result.protocol["num_real"] == 40
    assert found["pictures"].origin["images"] == str(source)
    assert found["pictures"].origin["num_images"] == 40
    text = " ".join(report_of(out).text)
    assert f"40 images from {source}" in text
    assert repr(result.value) in text
    assert (out / "reference.gin").is_file()
    assert not (out / "config.gin").exists()


def test_external_images_of_the_test_set_are_the_test_set(tmp_path, feature_mean):
    """Every real test image as an external one: the distance of equal sets is 0."""
    np.save(tmp_path / "x.npy", digits("test").fetch(np.arange(353)))
    flags = [f"--images={tmp_path / 'x.npy'}", f"--gin_file={ROOT / 'gin' / 'data' / 'digits.gin'}", QUICK]
    assert run(evaluate.main, [*flags, "--metrics=classifier_frechet_distance", f"--out={tmp_path / 'out'}"]) == 0
    record = next(r for r in read_records(tmp_path / "out" / "evaluation") if r.results)
    assert record.results[0].value == pytest.approx(0, abs=1e-6)
    assert record.results[0].real.value > 0.01


def test_wrong_flags(tmp_path, capsys, vae):
    np.save(tmp_path / "x.npy", digits("test").fetch(np.arange(4)))
    images = f"--images={tmp_path / 'x.npy'}"
    out = f"--out={tmp_path / 'out'}"
    fails(capsys, evaluate.main, [], "one of --run_dir=DIR")
    fails(capsys, evaluate.main, [f"--run_dir={vae}", images], "exactly one of")
    fails(capsys, evaluate.main, [f"--run_dir={vae}", "--compare", "a", "b"], "exactly one of")
    fails(capsys, evaluate.main, [images], "--reference=DATA")
    both = [f"--run_dir={vae}", "--reference=digits"]
    fails(capsys, evaluate.main, both, "--reference: cannot be combined with --run_dir")
    for flag in ("--temperature=0.5", "--bound", "--checkpoint=best"):
        fails(capsys, evaluate.main, [images, "--reference=digits", flag], "cannot be combined with --images")
    fails(capsys, evaluate.main, ["--compare", "a", "b", "--metrics=likelihood"], "cannot be combined with --compare")
    fails(capsys, evaluate.main, ["--compare", "a", "b", "--out=x.txt"], "not an .html file")
    fails(capsys, evaluate.main, [f"--run_dir={vae}", "--metrics=liklihood"], "did you mean likelihood")
    fails(capsys, evaluate.main, [images, "--reference=digits", "--metrics=liklihood", out], "did you mean likelihood")
    fails(capsys, evaluate.main, [images, "--reference=digts", out], "data='digts' is unknown (did you mean digits?)")
    fails(capsys, evaluate.main, [images, "--reference=toy:ring", out], "vectors")
    (tmp_path / "no_data.gin").write_text("load.pad = 0")
    fails(capsys, evaluate.main, [images, f"--gin_file={tmp_path / 'no_data.gin'}", out], "--reference=DATA")
    fails(capsys, evaluate.main, [images, "--reference=color_digits", out], "16×16×1 and the reference is 16×16×3")
    fails(
        capsys,
        evaluate.main,
        [images, "--reference=digits", "--num_samples=9", out],
        "num_samples=9 is more than the 4",
    )
    fails(capsys, evaluate.main, [images, "--reference=digits", f"--out={vae}"], "is a run directory")
    (tmp_path / "file").write_text("")
    fails(capsys, evaluate.main, [images, "--reference=digits", f"--out={tmp_path / 'file'}"], "is a file")
    assert not (tmp_path / "out").exists()


def test_checkpoints_are_evaluated_apart(vae, tmp_path, capsys):
    flags = [f"--run_dir={vae}", "--metrics=reconstruction_error", QUICK]
    out = tmp_path / "at_6"
    assert run(evaluate.main, [*flags, "--checkpoint=6", f"--out={out}"]) == 0
    assert not (vae / "evaluation").exists()
    record = json.loads((out / "evaluation" / "reconstruction_error.json").read_text())
    command = record["origin"]["command"]
    assert f"--checkpoint=6 --out={out}" in command
    assert command.count("--checkpoint") == 1
    assert (out / "evaluation" / "report.html").is_file()
    fails(capsys, evaluate.main, [*flags, f"--out={vae}"], "is the one that is evaluated")


def test_a_run_that_is_not_ours_is_evaluated_elsewhere(vae, tmp_path, capsys, monkeypatch):
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != vae and access(path, mode))
    flags = [f"--run_dir={vae}", "--metrics=reconstruction_error", QUICK]
    fails(capsys, evaluate.main, flags, "--run_dir", "cannot be written", "--out=FOLDER")
    assert run(evaluate.main, [*flags, f"--out={tmp_path / 'mine'}"]) == 0
    assert (tmp_path / "mine" / "evaluation" / "reconstruction_error.json").is_file()
