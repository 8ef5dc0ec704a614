"""What may be called FID, the metrics that ask for it, and the Fréchet distance in any features."""

import gin
import numpy as np
import pytest

from tests.evaluation.replay import Replay
from tests.evaluation.samples.test_frechet import with_moments
from tfade.errors import UsageError
from tfade.evaluation import (
    CallableExtractor,
    FrechetDistance,
    FrechetInceptionDistance,
    Moments,
    evaluate,
    frechet_distance,
    frechet_inception_distance,
    select,
)
from tfade.evaluation.features.inception import GRAPH_SHA256, INCEPTION

INCEPTIONS = {"extractor": INCEPTION, "extractor_sha256": GRAPH_SHA256, "resize": "legacy_tensorflow"}
REAL, FAKE = with_moments([0, 0], [[2, 1], [1, 2]]), with_moments([3, 4], np.diag([1.0, 3.0]))


def corners(images):
    """Six numbers that tell images apart."""
    return images[:, ::9, 4, :].reshape(len(images), -1)[:, :6] / 255.0


def test_closed_form():
    result = frechet_inception_distance(
        real=Moments(REAL, protocol=INCEPTIONS), fake=Moments(FAKE, protocol=INCEPTIONS)
    )
    np.testing.assert_allclose(result.value, 33 - 2 * np.sqrt(14), rtol=1e-12)
    assert result.name == "frechet_inception_distance"
    assert result.std is None
    assert INCEPTIONS.items() <= result.protocol.items()
    assert (result.protocol["num_real"], result.protocol["num_fake"]) == (32, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extractor": "classifier of digits"}, "fake is Moments of 'classifier of digits'; a distance is an FID only"),
        ({"extractor_sha256": "0" * 64}, f"fake is Moments of '{INCEPTION}'"),
        ({"extractor": None}, "fake is Moments of None"),
        ({"resize": "clean"}, "fake has features with resize='clean', but 'legacy_tensorflow' is expected"),
    ],
)
def test_refuses_features_of_another_origin(change, message):
    good, other = Moments(REAL, protocol=INCEPTIONS), Moments(FAKE, protocol={**INCEPTIONS, **change})
    with pytest.raises(UsageError, match=message):
        frechet_inception_distance(real=good, fake=other)
    if "extractor" in change:
        with pytest.raises(UsageError, match="real is Moments of"):
            frechet_inception_distance(real=other, fake=good)


def test_refuses_features_of_unknown_origin():
    good = Moments(REAL, protocol=INCEPTIONS)
    with pytest.raises(UsageError, match="fake is ndarray"):
        frechet_inception_distance(real=good, fake=FAKE)
    with pytest.raises(UsageError, match="real is Moments of 'an unknown extractor'"):
        frechet_inception_distance(real=Moments(REAL), fake=good)
    without = {key: value for key, value in INCEPTIONS.items() if key != "resize"}
    with pytest.raises(UsageError, match="fake is Moments of"):
        frechet_inception_distance(real=good, fake=Moments(FAKE, protocol=without))
    with pytest.raises(TypeError):
        frechet_inception_distance(good, good)


def test_saved_statistics_of_another_resize_are_refused(tmp_path):
    Moments(REAL, protocol={**INCEPTIONS, "resize": "clean"}).save(tmp_path / "statistics.npz")
    with pytest.raises(UsageError, match="resize='clean', but 'legacy_tensorflow'"):
        Moments.load(tmp_path / "statistics.npz", protocol=INCEPTIONS)
    stored = Moments.load(tmp_path / "statistics.npz")
    with pytest.raises(UsageError, match="resize"):
        frechet_inception_distance(real=stored, fake=Moments(FAKE, protocol=INCEPTIONS))


def inception_stub():
    """Features of no network under Inception's name: what the metric does with them is tested, not they."""
    extractor = CallableExtractor(corners, "stub")
    extractor.protocol = dict(INCEPTIONS)
    return extractor


@pytest.mark.parametrize("bound", [False, True])
def test_metric_of_an_inception(subject_of, stacked, bound):
    extractor = inception_stub()
    subject = subject_of(Replay(stacked[1]), num_samples=300, extractor=None if bound else extractor)
    metric = FrechetInceptionDistance(extractor) if bound else FrechetInceptionDistance()
    results = evaluate(subject, [metric]).results
    assert list(results) == ["frechet_inception_distance"]
    expected = frechet_distance(real=corners(subject.real_images), fake=corners(subject.samples)).value
    np.testing.assert_allclose(results["frechet_inception_distance"].value, expected, rtol=1e-4)
    expected = frechet_distance(real=corners(subject.real_images), fake=corners(subject.train_images)).value
    np.testing.assert_allclose(results["frechet_inception_distance"].real.value, expected, rtol=1e-4)
    protocol = results["frechet_inception_distance"].protocol
    assert protocol["fake"] == "samples"
    assert protocol["num_real"] == protocol["num_fake"] == 300
    assert {"data": "color_digits", **INCEPTIONS}.items() <= protocol.items()


def test_metric_says_how_to_get_an_inception(subject_of, stacked):
    for extractor in (None, CallableExtractor(corners, "corners")):
        report = evaluate(subject_of(Replay(stacked[1]), extractor=extractor), select("frechet_inception_distance"))
        assert "InceptionExtractor.path" in report.outcomes[0].not_applicable
        assert not report.results
    with pytest.raises(UsageError, match="extractor is 'corners'; an FID needs"):
        FrechetInceptionDistance(CallableExtractor(corners, "corners"))


def test_frechet_distance_takes_any_extractor(subject_of, stacked):
    subject = subject_of(Replay(stacked[1]), num_samples=300, extractor=CallableExtractor(corners, "corners"))
    results = evaluate(subject, [FrechetDistance()]).results
    expected = frechet_distance(real=corners(subject.real_images), fake=corners(subject.samples)).value
    np.testing.assert_allclose(results["frechet_distance"].value, expected, rtol=1e-4)
    assert results["frechet_distance"].protocol["extractor"] == "corners"
    assert results["frechet_distance"].real.protocol["fake"] == "train split"


def test_frechet_distance_of_the_classifier_is_the_other_metric(subject_of, stacked):
    subject = subject_of(Replay(stacked[1]), num_samples=300)
    results = evaluate(subject, select("frechet_distance,classifier_frechet_distance")).results
    assert results["frechet_distance"] == results["classifier_frechet_distance"].renamed("frechet_distance")
    other = subject_of(Replay(stacked[1]), num_samples=300, extractor=CallableExtractor(corners, "corners"))
    (unchanged,) = select("classifier_frechet_distance")[0](other)
    np.testing.assert_allclose(unchanged.value, results["classifier_frechet_distance"].value, rtol=1e-9)
    assert unchanged.protocol == results["classifier_frechet_distance"].protocol


def test_neither_runs_unasked():
    assert not {"frechet_distance", "frechet_inception_distance"} & {metric.name for metric in select()}


def test_gin_binds_the_extractor():
    try:
        gin.parse_config(
            "FrechetInceptionDistance.extractor = @InceptionExtractor()\nInceptionExtractor.path = 'nowhere'"
        )
        with pytest.raises(UsageError, match="InceptionExtractor.path='nowhere' does not exist"):
            select("frechet_inception_distance")
    finally:
        gin.clear_config()
