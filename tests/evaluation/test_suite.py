"""The suite over models with known answers: a replay of test images, a collapsed one, ones that misbehave."""

import json

import gin
import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.replay import Replay
from tfade.data.digits import digits
from tfade.data.loading import load
from tfade.data.source import ArraySource
from tfade.data.stacked import StackedSource
from tfade.errors import UsageError
from tfade.evaluation import (
    ClassifierFrechetDistance,
    Metric,
    ModeCoverage,
    NotApplicable,
    ReconstructionError,
    Record,
    Report,
    Result,
    Subject,
    evaluate,
    select,
)
from tfade.questions import unanswered


class Faulty(Replay):
    """Gives `change(images)` instead of its images."""

    def __init__(self, source, change):
        super().__init__(source)
        self._change = change

    def sample(self, n, temperature=1.0, seed=None):
        return self._change(super().sample(n, temperature, seed))

    def reconstruct(self, x, labels=None):
        return self._change(super().reconstruct(x))


@pytest.fixture(scope="module")
def replayed(stacked, classifier, cache_dir):
    """A model that repeats real test images, with every metric of samples."""
    train, test = stacked
    endless = StackedSource("color_digits", digits("test"), 10**6)  # 2,000 draws hardly repeat a triple of the scans
    subject = Subject(
        Replay(endless), real=test, train=train, num_samples=2000, cache_dir=cache_dir, progress=lambda line: None
    )
    return subject, evaluate(subject, select("mode_coverage,classifier_frechet_distance,reconstruction_error"))


def test_replayed_test_images_score_like_real_data(replayed):
    subject, report = replayed
    results = report.results
    covered, real = results["mode_coverage"].value, results["mode_coverage"].real.value
    assert abs(covered - real) < 80
    assert covered > 700
    reference = results["mode_divergence"].protocol["reference"], results["mode_divergence"].real.protocol["reference"]
    assert reference == ("labels of the train split", "labels of the test split")
    assert results["classifier_frechet_distance"].value < results["classifier_frechet_distance"].real.value
    assert results["same_label_share"].value == 1
    assert results["mean_absolute_error"].value < 1e-6


def test_collapsed_model(stacked, subject_of):
    results = evaluate(
        subject_of(Replay(stacked[1], first=1)), select("mode_coverage,classifier_frechet_distance")
    ).results
    assert results["mode_coverage"].value == 1
    assert results["mode_divergence"].value > 6
    assert results["classifier_frechet_distance"].value > 3 * results["classifier_frechet_distance"].real.value


def test_wrong_reconstructions_show_other_labels(stacked, subject_of):
    """Images of the batch's neighbour: about 1 in 1,000 shows the same three digits."""
    model = Faulty(stacked[1], lambda images: np.roll(images, 1, axis=0))
    results = evaluate(subject_of(model), [ReconstructionError()]).results
    assert results["same_label_share"].value < 0.02
    assert results["mean_absolute_error"].value > 0.1


def test_every_result_carries_its_protocol(replayed):
    subject, report = replayed
    wanted = {"data": "color_digits", "split": "test", "seed": 0, "temperature": 1.0, "images": "uint8"}
    for name, result in report.results.items():
        assert wanted.items() <= result.protocol.items(), name
        assert {"num_real", "num_fake"} & set(result.protocol), name
        if name not in ("mean_absolute_error", "root_mean_square_error"):
            assert result.protocol["extractor_fingerprint"] == subject.classifier.fingerprint, name
            assert result.protocol["extractor_accuracy"] == subject.classifier.accuracy, name
    assert report.results["classifier_frechet_distance"].protocol["num_fake"] == 2000


def test_preprocessing_is_part_of_the_protocol():
    """Numbers of one set that was padded and resized are of different data, and must not share a column."""
    arguments = ({"pad": 2}, {"image_size": 20}, {})
    padded, resized, plain = (load("digits", "test", **chosen) for chosen in arguments)
    assert padded.spec.shape == resized.spec.shape
    protocols = [Subject(Replay(real), real=real, train=real).protocol() for real in (padded, resized, plain)]
    assert [protocol["preprocessing"] for protocol in protocols] == [
        "black margin of 2",
        "bicubic resize to 20",
        "none",
    ]


def test_samples_depend_on_the_seed_and_fewer_begin_more(stacked, subject_of):
    model = Replay(stacked[1])
    samples = subject_of(model, num_samples=130, batch_size=50).samples
    assert samples.shape == (130, 16, 16, 3)
    assert samples.dtype == np.uint8
    np.testing.assert_array_equal(subject_of(model, num_samples=70, batch_size=50).samples, samples[:70])
    assert (subject_of(model, num_samples=130, batch_size=50, seed=1).samples != samples).any()
    batches = samples[:100].reshape(2, 50, -1)
    assert (batches[0] != batches[1]).any()


def test_temperature_reaches_the_model(subject_of, stacked):
    class Hot(Replay):
        def sample(self, n, temperature=1.0, seed=None):
            return np.full((n, 16, 16, 3), temperature, np.float32)

    assert (subject_of(Hot(stacked[1]), temperature=0.4).samples == 102).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * np.nan, "NaN"),
        (lambda x: x + np.inf, "NaN or infinite"),
        (lambda x: x * 255, r"\[0, 255\]"),
        (lambda x: x * 2 - 1, r"\[-1, 1\]"),
        (lambda x: (x * 255).astype(np.uint8), "uint8"),
        (lambda x: x.transpose(0, 3, 1, 2), "NCHW"),
        (lambda x: x[:, :8], r"\[8, 16, 3\]"),
        (lambda x: x[:-1], "gave 499 when asked for 500"),
    ],
)
def test_refuses_samples(stacked, subject_of, change, message):
    with pytest.raises(UsageError, match=message):
        _ = subject_of(Faulty(stacked[1], change)).samples


def test_refuses_reconstructions_that_are_not_finite(stacked, subject_of):
    report = evaluate(subject_of(Faulty(stacked[1], lambda x: x * np.nan)), [ReconstructionError()])
    assert "reconstructions holds" in report.failures["reconstruction_error"]
    assert "reconstruction error: failed, reconstructions holds" in report.table()


def test_metrics_that_do_not_fit_are_reported(stacked, subject_of, tmp_path):
    class Blind(Replay):
        @unanswered("a GAN has no encoder")
        def reconstruct(self, x, labels=None):
            pass

    report = evaluate(subject_of(Blind(stacked[1]), num_samples=20), [ReconstructionError()])
    assert report.outcomes[0].not_applicable == "Blind cannot reconstruct: a GAN has no encoder"
    assert "reconstruction error: not applicable, Blind cannot reconstruct: a GAN has no encoder" in report.table()
    (path,) = report.save(tmp_path)
    assert json.loads(path.read_text())["not_applicable"] == "Blind cannot reconstruct: a GAN has no encoder"


@pytest.mark.every(3)
@pytest.mark.parametrize(
    "error", [MemoryError(), np.linalg.LinAlgError("singular"), tf.errors.ResourceExhaustedError(None, None, "OOM")]
)
def test_a_metric_that_fails_leaves_the_others(error, stacked, subject_of):
    class Failing(Metric):
        name, default = "failing", False

        def __call__(self, subject):
            raise error

    report = evaluate(subject_of(Replay(stacked[1]), num_samples=20), [Failing(), ReconstructionError()])
    assert report.failures.keys() == {"failing"}
    assert "mean_absolute_error" in report.results
    assert "failing" not in {metric.name for metric in select("all")}  # its settings could not be bound
    with pytest.raises(UsageError, match="unknown metric 'failing'; its class is not registered"):
        select("failing")


def test_the_table_says_what_most_share_and_who_does_not(subject_of):
    protocols = {"a": 10, "b": 10, "c": 2000}
    results = [Result(name, 2.5, 0.031, {"num_real": count, "fake": "x"}) for name, count in protocols.items()]
    results[0] = results[0].with_real(Result("", 2.5, 0.031, {"num_real": 10, "fake": "y"}))
    reason = "a reason of some length, " * 6
    silent = [Record(name, 0.0, not_applicable=reason) for name in ("d", "e")]
    lines = Report((Record("m", 0.0, tuple(results)), *silent)).table().splitlines()
    assert lines[2].split() == ["a", "2.500", "±", "0.031", "2.500", "±", "0.031"]
    assert lines[5:8] == ["num real 10, fake x, except:", "c: num real 2,000", "a of real data: fake y"]
    assert " ".join(" ".join(lines[8:]).split()) == f"d, e: not applicable, {reason}".strip()
    assert max(map(len, lines)) <= 120


def test_unlabelled_unstacked_and_vector_data():
    quiet = {"num_samples": 20, "progress": lambda line: None}
    grey = digits("test")
    with pytest.raises(NotApplicable, match="neither stacked nor a mixture"):
        ModeCoverage()(Subject(Replay(grey), real=grey, train=digits("train"), **quiet))
    bare = ArraySource("bare", "test", grey.fetch(np.arange(30)))
    subject = Subject(Replay(bare), real=bare, train=bare, **quiet)
    with pytest.raises(NotApplicable, match="no labels"):
        ClassifierFrechetDistance()(subject)
    absolute, root = ReconstructionError()(subject)
    assert absolute.protocol["same_label_share"].startswith("not applicable")
    points = ArraySource("ring", "test", np.zeros((30, 2), np.float32))
    for metric in (ClassifierFrechetDistance(), ReconstructionError()):
        with pytest.raises(NotApplicable, match="vectors"):
            metric(Subject(Replay(points), real=points, train=points, **quiet))


def test_report_files_and_table(replayed, tmp_path):
    _, report = replayed
    paths = report.save(tmp_path / "evaluation")
    assert sorted(path.name for path in paths) == [
        "classifier_frechet_distance.json",
        "mode_coverage.json",
        "reconstruction_error.json",
    ]
    assert sorted(paths) == sorted((tmp_path / "evaluation").iterdir())  # nothing half-written is left
    for path, outcome in zip(paths, report.outcomes):
        content = json.loads(path.read_text())
        assert content["seconds"] == outcome.seconds
        assert content["not_applicable"] is None
        assert tuple(Result.from_json(result) for result in content["results"]) == outcome.results
    lines = report.table().splitlines()
    assert lines[0].split() == ["model", "real", "data"]
    assert lines[2].split()[:2] == ["mode", "coverage"]
    assert len(lines[2].split()) == 4
    assert max(map(len, lines)) <= 160


def test_progress_lines(stacked, subject_of):
    lines = []
    evaluate(subject_of(Replay(stacked[1]), num_samples=50, progress=lines.append), [ModeCoverage()])
    assert lines[0] == "[1/1] mode_coverage …"
    assert lines[-1].startswith("[1/1] mode_coverage: ")


def test_selection_by_name():
    assert [metric.name for metric in select("reconstruction_error, mode_coverage,mode_coverage")] == [
        "reconstruction_error",
        "mode_coverage",
    ]
    assert {"mode_coverage", "classifier_frechet_distance", "reconstruction_error"} <= {m.name for m in select()}
    with pytest.raises(UsageError, match="unknown metric 'mode_coverge'; did you mean mode_coverage"):
        select("mode_coverge")
    with pytest.raises(UsageError, match=r"known are .*reconstruction_error"):
        select("fid")
    with pytest.raises(UsageError, match="unknown metric ''"):
        select("")


def test_a_new_metric_is_a_class(stacked, subject_of):
    @gin.register(module="tests")
    class Brightness(Metric):
        """Mean of the samples, for the test."""

        name = "brightness"

        def __init__(self, scale=1.0):
            self._scale = scale

        def __call__(self, subject):
            return [Result("brightness", subject.samples.mean() * self._scale, None, subject.protocol())]

    subject = subject_of(Replay(stacked[1]), num_samples=50)
    plain = evaluate(subject, select("brightness")).results["brightness"].value
    with gin.unlock_config():
        gin.bind_parameter("Brightness.scale", 2.0)
    assert evaluate(subject, select("brightness")).results["brightness"].value == 2 * plain
    gin.clear_config()
    Brightness.__abstractmethods__ = frozenset({"__call__"})  # later tests of this process do not know it
    assert "brightness" not in {metric.name for metric in select()}


def test_evaluate_refuses_what_is_no_metric(stacked, subject_of):
    subject = subject_of(Replay(stacked[1]))
    with pytest.raises(UsageError, match="not a Metric"):
        evaluate(subject, ["mode_coverage"])
    with pytest.raises(UsageError, match="names a metric twice"):
        evaluate(subject, [ModeCoverage(), ModeCoverage()])
