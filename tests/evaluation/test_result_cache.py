"""Results of data alone are computed once, and whatever is wrong with the cache costs time only."""

import functools

import numpy as np
import pytest

from tests.evaluation.replay import Replay
from tfade.evaluation import IndependentWassersteinCritic, Subject
from tfade.evaluation.result import Result
from tfade.evaluation.result_cache import cached_result
from tfade.evaluation.samples import wasserstein_critic
from tfade.networks.discriminators import ConvDiscriminator

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def compute():
    """Makes another result at each call; its calls are counted."""

    def made():
        made.calls += 1
        return Result("distance", float(made.calls), 0.5, {"steps": 3}, {"norm": 1.5})

    made.calls = 0
    return made


def test_equal_settings_and_data_are_computed_once(tmp_path, compute):
    first = cached_result(tmp_path, "distance", {"steps": 3}, [X], compute)
    assert cached_result(tmp_path, "distance", {"steps": 3}, [X.copy()], compute) == first
    assert compute.calls == 1
    for settings, array in (
        ({"steps": 4}, X),
        ({"steps": 3}, X + 1),
        ({"steps": 3}, X.T),
        ({"steps": 3}, X.astype(int)),
    ):
        assert cached_result(tmp_path, "distance", settings, [array], compute) != first
    assert compute.calls == 5
    assert cached_result(None, "distance", {"steps": 3}, [X], compute).value == 6


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "distance"}', "null", "\x00"])
def test_a_damaged_file_is_computed_again(tmp_path, compute, text):
    cached_result(tmp_path, "distance", {}, [X], compute)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with pytest.warns(UserWarning, match="is damaged .* it is computed again"):
        assert cached_result(tmp_path, "distance", {}, [X], compute).value == 2
    assert cached_result(tmp_path, "distance", {}, [X], compute).value == 2


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path, compute):
    (tmp_path / "file").write_text("")
    for value in (1, 2):
        with pytest.warns(UserWarning, match="is not cached"):
            assert cached_result(tmp_path / "file", "distance", {}, [X], compute).value == value


@pytest.mark.full("the cache is tested by cheap results")
@pytest.mark.usefixtures("eager")
def test_the_critic_of_training_images_is_trained_once(tmp_path, monkeypatch, stacked):
    """Of a seed, with the default network. The numbers are those without a cache."""
    train, test = stacked
    trained = []
    train_critic = wasserstein_critic.train_critic
    monkeypatch.setattr(
        wasserstein_critic, "train_critic", lambda *given, **more: (trained.append(1), train_critic(*given, **more))
    )

    def evaluated(cache, seed=0, **network):
        metric = IndependentWassersteinCritic(steps=2, batch_size=4, **network)
        settings = {"num_samples": 20, "seed": seed, "cache_dir": cache, "progress": lambda line: None}
        return [result.to_json() for result in metric(Subject(Replay(test), test, train, **settings))]

    without = evaluated(None)
    assert [evaluated(tmp_path), evaluated(tmp_path)] == [without, without]
    assert len(trained) == 2 + 2 + 1
    evaluated(tmp_path, seed=1)
    assert len(trained) == 5 + 2
    network = functools.partial(ConvDiscriminator, channels=(2,), dense=())
    for _ in range(2):
        evaluated(tmp_path, network=network)
    assert len(trained) == 7 + 4
