"""Long metrics say which is the slowest, how far they are, and how long the rest will take."""

import re

import numpy as np
import pytest
import tensorflow_probability as tfp

from tests.evaluation.likelihood.test_likelihood_metrics import vectors_of
from tests.evaluation.replay import Replay
from tfade import countdown
from tfade.countdown import Countdown, duration
from tfade.data.source import ArraySource
from tfade.evaluation import (
    AnnealedImportanceSampling,
    CallableExtractor,
    ImportanceWeightedBound,
    Likelihood,
    Subject,
    annealed_importance_sampling,
    evaluate,
    importance_weighted_bound,
    progress,
)
from tfade.fitting import fit

tfd = tfp.distributions
SMALL = {"num_real": 4, "chains": 2, "steps": 40, "leapfrogs": 2, "jit_compile": False}


class Clock:
    """Time that passes only where a test says so, or by a second at every look."""

    def __init__(self, tick: float = 0.0):
        self.now, self.tick = 0.0, tick

    def perf_counter(self) -> float:
        self.now += self.tick
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(countdown, "time", clock)
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_the_time_left_is_that_of_the_pieces_after_the_first(clock):
    work = Countdown(100)
    assert work.left() == ""
    clock.now += 1000  # compilation
    work.advance(1)
    assert work.left() == ""
    clock.now += 10
    work.advance(9)
    assert work.left() == ", about 100 s left" or work.left() == ", about 2 min left"
    clock.now += 110
    work.advance(89)
    assert work.left() == ", about 1 s left"
    work.advance(1)
    assert work.left() == ""


def test_a_first_piece_that_is_a_part_of_the_whole_counts(clock):
    work = Countdown(5)
    clock.now += 30
    work.advance()
    assert work.left() == ", about 2 min left"


def test_units_of_durations():
    assert [duration(seconds) for seconds in (0.4, 89, 90, 600, 5399, 5400, 9000)] == [
        *("0 s", "89 s", "2 min", "10 min", "90 min", "1.5 h", "2.5 h")
    ]


def test_batches_and_fits_tell_the_time_left(clock):
    lines = []
    for _ in progress.ticks(lines.append, "codes", range(0, 40, 10), 40):
        clock.now += 6
    assert lines == [f"  codes: {done} of 40{left}" for done, left in ((10, ", about 18 s left"), *LATER)]
    lines.clear()

    def advance(start, stop):
        clock.now += stop - start
        return {"loss": 1.0}

    fit(advance, 10, name="a network", progress=lines.append)
    assert [line.partition("1, ")[2] for line in lines] == [*(f"about {left} s left" for left in (8, 6, 4, 2)), ""]


LATER = (20, ", about 12 s left"), (30, ", about 6 s left"), (40, "")


def test_annealing_tells_how_far_it_is_from_its_start_on(monkeypatch):
    """Ten examples took minutes without a word: three runs, whose time left is that of all of them."""
    lines, clock = [], Clock(1.0)
    for module in (countdown, progress, __import__("tfade.evaluation.likelihood.annealing", fromlist=["time"])):
        monkeypatch.setattr(module, "time", clock)
    prior = tfd.MultivariateNormalDiag([0.0, 0.0])
    result = annealed_importance_sampling(
        x=np.zeros((3, 2), np.float32),
        log_likelihood=lambda z, x: tfd.MultivariateNormalDiag(z, [0.5, 0.5]).log_prob(x),
        simulate=lambda z, seed: tfd.MultivariateNormalDiag(z, [0.5, 0.5]).sample(seed=seed),
        prior=prior,
        num_simulated=2,
        **{name: SMALL[name] for name in ("chains", "steps", "leapfrogs", "jit_compile")},
        batch_size=2,
        progress=lines.append,
    )
    assert np.isfinite(result.value)
    batches = ["forward, examples 1 to 2 of 3", "forward, examples 3 to 3 of 3"]
    batches += [f"simulated, {way}, examples 1 to 2 of 2" for way in ("forward", "backward")]
    assert [line.strip().partition(":")[0] for line in lines if "temperature 0 of 40" in line] == batches
    left = [int(found.group(1)) for line in lines if (found := re.search(r"about (\d+) s left", line))]
    assert len(left) >= 4
    assert left[-1] < left[0]
    assert not lines[0].endswith("left")


def test_the_importance_weighted_bound_tells_how_far_it_is(monkeypatch):
    lines, clock = [], Clock(3.0)
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(countdown, "time", clock)
    normal = tfd.MultivariateNormalDiag([0.0, 0.0])
    importance_weighted_bound(
        x=np.zeros((4, 2), np.float32),
        k=3,
        log_likelihood=lambda z, x: tfd.MultivariateNormalDiag(z, [0.5, 0.5]).log_prob(x),
        prior=normal,
        posterior=lambda x: tfd.BatchBroadcast(normal, x.shape[:1]),
        progress=lines.append,
    )
    assert any(re.fullmatch(r"  importance-weighted bound: [1-4] of 4, about \d+ s left", line) for line in lines), (
        lines
    )


def test_the_first_line_names_what_takes_longest():
    lines = []
    subject = vectors_of(num_samples=50, progress=lines.append)
    evaluate(subject, [Likelihood(), AnnealedImportanceSampling(**SMALL, num_simulated=0)])
    assert lines[0] == (
        "the slowest metric: annealed_importance_sampling, 640 passes of a network "
        "(4 examples × 2 chains × 40 temperatures × 2 leapfrogs)"
    )
    assert AnnealedImportanceSampling(**SMALL, num_simulated=3).work(subject).passes == 1600
    assert ImportanceWeightedBound(k=7, num_real=3).work(subject).passes == 21


def test_features_of_many_images_tell_how_far_they_are(clock):
    """In blocks, whose features are those of one pass."""
    images = np.random.default_rng(0).integers(0, 256, (80, 4, 4, 1), np.uint8)
    source, lines, clock.tick = ArraySource("noise", "test", images), [], 4.0
    extractor = CallableExtractor(lambda x: (x.reshape(len(x), -1)[:, :3], x[:, :2, 0, 0]), "pixels")
    subject = Subject(
        Replay(source), source, source, num_samples=70, batch_size=3, extractor=extractor, progress=lines.append
    )
    found = subject.extracted_samples
    features, probabilities = extractor.outputs(subject.samples, 3)
    np.testing.assert_array_equal(found.features, features)
    np.testing.assert_array_equal(found.probabilities, probabilities)
    assert any(line.startswith("  features: 60 of 70, about") for line in lines), lines
