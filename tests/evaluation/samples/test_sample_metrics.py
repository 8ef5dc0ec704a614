"""The suite's measures of samples: names, protocols, sizes, and where they do not apply."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.replay import Replay
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.errors import UsageError
from tfade.evaluation import (
    DensityCoverage,
    Figure,
    FrechetInfinity,
    InceptionScore,
    KernelDistance,
    ModeScore,
    MSSSIMDiversity,
    NearestNeighbours,
    NotApplicable,
    PrecisionRecall,
    PrecisionRecallDistributions,
    Subject,
    density_coverage,
    evaluate,
    frechet_infinity,
    inception_score,
    kernel_distance,
    mode_score,
    nearest_neighbours,
    precision_recall,
    precision_recall_distributions,
    select,
)
from tfade.evaluation.features.inception import GRAPH_SHA256, INCEPTION
from tfade.evaluation.samples.distances import generator_of


class Extractor:
    """12 fixed projections of the pixels; the first five make the probabilities of classes, unless there are none."""

    def __init__(self, name="projections", classes=True, sha256="f"):
        self.protocol = {"extractor": name, "extractor_sha256": sha256}
        self._classes = classes

    def outputs(self, images, batch_size=500):
        pixels = images.reshape(len(images), -1) / 255
        features = pixels @ np.random.default_rng(0).normal(size=(pixels.shape[1], 12))
        shares = np.exp(features[:, :5])
        return features.astype(np.float32), shares / shares.sum(axis=1, keepdims=True) if self._classes else None


def subject_of(model=None, extractor=None, **settings):
    train, test = digits("train"), digits("test")
    settings = {"num_samples": 200, "progress": lambda line: None, **settings}
    return Subject(model or Replay(test), real=test, train=train, extractor=extractor or Extractor(), **settings)


@pytest.fixture(scope="module")
def subject():
    return subject_of()


FEATURES = [
    (FrechetInfinity(), ["frechet_infinity"], frechet_infinity, {}),
    (KernelDistance(9, 50), ["kernel_distance"], kernel_distance, {"subsets": 9, "subset_size": 50}),
    (
        PrecisionRecallDistributions(8, 2),
        ["prd_precision", "prd_recall"],
        precision_recall_distributions,
        {"clusters": 8, "runs": 2},
    ),
    (PrecisionRecall(k=4), ["precision", "recall"], precision_recall, {"k": 4}),
    (DensityCoverage(strict=False), ["density", "coverage"], density_coverage, {"strict": False}),
]
SEEDLESS = (precision_recall, density_coverage)


@pytest.mark.parametrize(
    ("metric", "names", "measure", "settings"), FEATURES, ids=lambda part: getattr(part, "name", "")
)
def test_measures_of_features(subject, metric, names, measure, settings):
    """The array function of test images and samples, and of test images and as many training images."""
    results = metric(subject)
    assert [result.name for result in results] == names
    seed = {} if measure in SEEDLESS else {"seed": 0}
    real = subject.extracted_real.features
    for found, fake, split in (
        (results, subject.extracted_samples, "samples"),
        ([result.real for result in results], subject.extracted_train, "train"),
    ):
        expected = measure(real=real, fake=fake.features, **settings, **seed)
        for result, wanted in zip(found, expected if len(names) > 1 else [expected], strict=True):
            assert (result.value, result.std) == (wanted.value, wanted.std)
            assert wanted.protocol.items() <= result.protocol.items()
            assert result.protocol["fake"].startswith(split)
            assert {"extractor": "projections", "data": "digits", "split": "test"}.items() <= result.protocol.items()


def test_collapse_is_seen():
    collapsed = subject_of(Replay(digits("test"), first=1))
    precision, recall = PrecisionRecall()(collapsed)
    assert precision.value == 1
    assert recall.value < 0.02 < 0.5 < recall.real.value
    assert DensityCoverage()(collapsed)[1].value < 0.1
    assert PrecisionRecallDistributions(8, 2)(collapsed)[1].value < 0.4
    assert MSSSIMDiversity()(collapsed)[0].value < 1e-9
    assert KernelDistance(3, 50)(collapsed)[0].value > 10 * abs(KernelDistance(3, 50)(subject_of())[0].value)


def test_sets_of_unlike_size_are_cut_to_the_smaller():
    subject = subject_of(num_samples=700)
    assert len(subject.real_images) < 700
    for metric in (PrecisionRecall(), DensityCoverage(), PrecisionRecallDistributions(4, 1)):
        for result in metric(subject):
            assert result.protocol["num_real"] == result.protocol["num_fake"] == len(subject.real_images)
    assert FrechetInfinity()(subject)[0].protocol["num_fake"] == 700


@pytest.mark.parametrize(
    ("extractor", "sha256", "name"),
    [
        (INCEPTION, GRAPH_SHA256, "inception_score"),
        (INCEPTION, "f", "classifier_score"),
        ("projections", "f", "classifier_score"),
    ],
)
def test_only_inception_gives_an_inception_score(extractor, sha256, name):
    subject = subject_of(extractor=Extractor(extractor, sha256=sha256))
    (found,) = InceptionScore(splits=4)(subject)
    for result, part in ((found, subject.extracted_samples), (found.real, subject.extracted_real)):
        assert result.name == name
        assert result.value == inception_score(probabilities=part.probabilities, splits=4).value
        assert result.protocol["extractor"] == extractor
        assert result.protocol["splits"] == 4


def test_mode_score_refers_to_training_images(subject):
    (found,) = ModeScore(splits=5)(subject)
    reference = subject.extracted_train.probabilities
    for result, part in ((found, subject.extracted_samples), (found.real, subject.extracted_real)):
        assert result.name == "mode_score"
        expected = mode_score(probabilities=part.probabilities, reference=reference, splits=5)
        np.testing.assert_allclose([result.value, result.std], [expected.value, expected.std], rtol=1e-12)
        assert result.protocol["reference"] == "200 images of the train split"
    assert ModeScore(variant="training", splits=5)(subject)[0].value > found.value


def test_nearest_neighbours_and_their_figure(subject):
    found, figure = NearestNeighbours(num_samples=60, shown=3)(subject)
    assert found.name == "nearest_neighbours"
    train = subject.train.fetch(np.arange(subject.train.spec.num_examples))
    samples = subject.samples[generator_of(subject.seed).permutation(len(subject.samples))[:60]]
    expected = nearest_neighbours(real=train, fake=samples, k=4)
    assert (found.value, found.std) == (expected.value, expected.std)
    np.testing.assert_array_equal(found.indices, expected.indices)
    assert found.protocol["num_fake"] == 60
    assert found.protocol["reference"] == "the whole train split"
    assert found.real.protocol["num_fake"] == 60
    assert isinstance(figure, Figure)
    assert "of 60 samples" in figure.caption
    picture = np.asarray(Image.open(io.BytesIO(figure.png)))
    factor = picture.shape[0] // (3 * 18 + 2)
    assert picture.shape == (factor * (3 * 18 + 2), factor * (11 * 18 + 2), 3)
    tiles = picture[::factor, ::factor, 0][2:, 2:]  # the samples' rows, without magnification and edges
    np.testing.assert_array_equal(tiles[18 : 18 + 16, :16], samples[1, ..., 0])
    np.testing.assert_array_equal(tiles[18 : 18 + 16, 18 : 18 + 16], train[expected.indices[1, 0], ..., 0])
    closest = expected.distances[:, 0].argmin()
    np.testing.assert_array_equal(tiles[:16, 6 * 18 : 6 * 18 + 16], samples[closest, ..., 0])


def test_copies_of_training_images_are_found():
    subject = subject_of(Replay(digits("train")))
    for space in ("pixels", "features"):
        found, _ = NearestNeighbours(num_samples=50, space=space)(subject)
        assert found.value == 0
        assert found.real.value > 0.3
        assert found.protocol["space"].startswith(space)
        assert ("extractor" in found.protocol) == (space == "features")


def test_ms_ssim_of_samples_and_real_images(subject):
    (found,) = MSSSIMDiversity(batches=2)(subject)
    assert found.name == "ms_ssim_diversity"
    assert 0 < found.value < 1
    assert abs(found.value - found.real.value) < 0.05
    wanted = {"scales": 2, "filter_size": 7, "pair_batch_size": 64, "batch_size": 500, "num_compared": 128}
    assert wanted.items() <= found.protocol.items()


@pytest.mark.parametrize(
    ("metric", "settings", "reason"),
    [
        (KernelDistance(), {}, "200 images on both sides; at least 1000 are needed"),
        (FrechetInfinity(), {"num_samples": 50}, "50 samples; at least 60 are needed"),
        (InceptionScore(), {"num_samples": 9}, "9 samples and real images; at least 10 are needed"),
        (ModeScore(), {"num_samples": 9}, "9 samples and real images"),
        (PrecisionRecall(), {"num_samples": 3}, "3 images on both sides; at least 4 are needed"),
        (DensityCoverage(), {"num_samples": 5}, "5 images on both sides"),
        (PrecisionRecallDistributions(), {"num_samples": 19}, "19 images on both sides; at least 20 are needed"),
        (InceptionScore(), {"extractor": Extractor(classes=False)}, "no class probabilities"),
        (ModeScore(), {"extractor": Extractor(classes=False)}, "no class probabilities"),
    ],
)
def test_where_they_do_not_apply(metric, settings, reason):
    with pytest.raises(NotApplicable, match=reason):
        metric(subject_of(**settings))


def test_scores_of_stacked_images_do_not_apply():
    """Probabilities of each channel are not a distribution over images."""

    class PerChannel(Extractor):
        def outputs(self, images, batch_size=500):
            features, probabilities = super().outputs(images)
            return features, np.stack([probabilities] * 3, axis=1)

    subject = subject_of(extractor=PerChannel())
    for metric in (InceptionScore(), ModeScore()):
        with pytest.raises(NotApplicable, match="each channel on its own"):
            metric(subject)
    assert PrecisionRecall()(subject)[0].value > 0


def test_small_images_and_vectors():
    small = ArraySource("small", "test", np.zeros((30, 8, 8, 1), np.uint8))
    settings = {"num_samples": 20, "progress": lambda line: None, "extractor": Extractor()}
    with pytest.raises(NotApplicable, match="side of 8 pixels"):
        MSSSIMDiversity()(Subject(Replay(small), real=small, train=small, **settings))
    points = ArraySource("ring", "test", np.zeros((30, 2), np.float32))
    for metric in (MSSSIMDiversity(), NearestNeighbours(), PrecisionRecall(), InceptionScore()):
        with pytest.raises(NotApplicable, match="vectors"):
            metric(Subject(Replay(points), real=points, train=points, **settings))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KernelDistance(subset_size=1), "KernelDistance.subset_size=1"),
        (lambda: FrechetInfinity(sizes=2), "FrechetInfinity.sizes=2"),
        (lambda: PrecisionRecall(k=0), "PrecisionRecall.k=0"),
        (lambda: DensityCoverage(k=0), "DensityCoverage.k=0"),
        (lambda: PrecisionRecallDistributions(runs=0), "PrecisionRecallDistributions.runs=0"),
        (lambda: InceptionScore(splits=0), "InceptionScore.splits=0"),
        (lambda: ModeScore(variant="best"), "ModeScore.variant='best'"),
        (lambda: MSSSIMDiversity(batches=0), "MSSSIMDiversity.batches=0"),
        (lambda: NearestNeighbours(space="latents"), "NearestNeighbours.space='latents'"),
        (lambda: NearestNeighbours(num_samples=0), "NearestNeighbours.num_samples=0"),
    ],
)
def test_settings_are_checked_at_construction(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_selection_and_report(subject, tmp_path):
    quick = {metric.name for metric in select()}
    assert {"mode_coverage", "likelihood", "pictures"} <= quick
    slow = "kernel_distance,precision_recall_distributions,precision_recall,density_coverage,ms_ssim_diversity"
    slow = set(f"{slow},inception_score,mode_score".split(","))
    assert not quick & slow
    assert slow | quick <= {metric.name for metric in select("all")}
    report = evaluate(subject, select("inception_score,precision_recall,nearest_neighbours"))
    report.save(tmp_path)
    assert (tmp_path / "figures" / "nearest_neighbours.png").exists()
    assert "classifier score" in report.table()
    assert '"indices"' not in (tmp_path / "nearest_neighbours.json").read_text()
