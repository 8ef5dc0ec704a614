"""The independent Wasserstein critic against known distances; overfitting; what is refused."""

import dataclasses
import functools

import numpy as np
import pytest

from tests.evaluation.replay import Replay
from tfade.errors import NonFiniteError, UsageError
from tfade.evaluation import IndependentWassersteinCritic, Subject, evaluate, independent_wasserstein_critic, select
from tfade.evaluation.samples.wasserstein_critic import _examples
from tfade.networks.dcgan import DCGANDiscriminator
from tfade.networks.discriminators import ConvDiscriminator, MLPDiscriminator

SMALL = {"network": functools.partial(MLPDiscriminator, width=32, depth=2), "steps": 150, "learning_rate": 3e-3}
TINY = {**SMALL, "network": functools.partial(MLPDiscriminator, width=4, depth=1), "steps": 2}


def normal(seed, count=2000, size=2):
    return np.random.default_rng(seed).normal(size=(count, size))


def distance(real, fake, **settings):
    return independent_wasserstein_critic(real=real, fake=fake, **{**SMALL, **settings})[0]


def test_shift():
    """W₁ of a shift by (3, 4) is 5, after division by the slope 1 + W₁/2λ = 1.25 that the penalty leaves."""
    fake = normal(1) + [3, 4]
    result = distance(normal(0), fake, test=normal(2))
    assert abs(result.value - 5) < 0.25
    assert 0 < result.std < 0.1
    assert abs(result.diagnostics["mean_gradient_norm"] - 1.25) < 0.04


@pytest.mark.full("a shift is measured")
def test_scaling_in_one_dimension():
    """W₁ of N(0, 1) and N(0, 9) is 2·E|x|: a linear critic cannot tell it, and the two-sided penalty stops there."""
    result = distance(normal(0, 4000, 1), 3 * normal(1, 4000, 1))
    assert abs(result.value - 2 * np.sqrt(2 / np.pi)) < 0.25


@pytest.mark.full("vectors of known distances are measured below")
def test_images_of_two_brightnesses():
    """Levels apart by 51 on 8×8 pixels: 0.4 in [-1, 1] for each, so W₁ = 0.4·8; undivided, 1 + W₁/2λ times that."""
    levels = np.random.default_rng(0).integers(100, 120, (300, 1, 1, 1)) * np.ones((1, 8, 8, 1), int)
    real, fake = levels[:150].astype(np.uint8), (levels[150:] + 51).astype(np.uint8)
    results = independent_wasserstein_critic(real=real, fake=fake, steps=100, batch_size=16, normalize=False)
    assert abs(results[0].value - 3.2 * 1.16) < 0.4
    assert results[0].protocol["network"] == "SNGANDiscriminator"
    assert results[0].protocol["space"] == "pixels in [-1, 1]"
    for floats in (real / 255, real / np.float32(255)):
        np.testing.assert_array_equal(_examples("real", floats, (0, 1)), real)


def test_equal_distributions_are_near_0():
    result = distance(normal(0), normal(1), one_sided=False)
    assert abs(result.value) < 0.12
    assert result.protocol["one_sided"] is False
    assert result.diagnostics["mean_gradient_norm"] > 0.95  # the two-sided penalty wants slopes of 1, of whatever use


@pytest.mark.full("the distance itself is tested by default")
def test_overfitting_of_generator_and_critic():
    """In 20 dimensions: samples that repeat 40 training points, for a critic that sees 60 others; and neither."""
    train, test = normal(0, 40, 20), normal(1, 400, 20)
    memorised = np.concatenate([train] * 10)
    settings = {**SMALL, "test": test, "train": train}
    found = independent_wasserstein_critic(real=normal(2, 60, 20), fake=memorised, **settings)
    names = [result.name.removeprefix("independent_wasserstein_critic") for result in found]
    assert names == ["", "_gap", "_overfitting"]
    np.testing.assert_allclose(found[2].value, found[0].value, atol=0.6)  # samples are the training data
    many = independent_wasserstein_critic(real=normal(5, 3000, 20), fake=normal(6, 3000, 20), **settings)
    assert found[2].value > 0.6
    assert found[1].value > 0.4
    assert max(abs(many[1].value), abs(many[2].value)) < 0.3


@pytest.mark.full("its metric is part of whole evaluations")
def test_equal_seeds_equal_results_and_halves_are_held_out():
    real, fake = normal(0, 101), normal(1, 60)
    first, again = (independent_wasserstein_critic(real=real, fake=fake, **TINY) for _ in range(2))
    assert first == again
    assert independent_wasserstein_critic(real=real, fake=fake, **TINY, seed=1)[0].value != first[0].value
    protocol = first[0].protocol
    assert [protocol[key] for key in ("num_real", "num_critic", "num_fake", "num_critic_fake")] == [51, 50, 30, 30]
    wanted = {"steps": 2, "penalty": 10.0, "learning_rate": 3e-3, "network": "MLPDiscriminator", "critic_seed": 0}
    assert wanted.items() <= protocol.items()


def test_refusals():
    real = normal(0, 50)
    images = np.zeros((8, 8, 8, 1), np.uint8)
    for arguments, message in (
        ({"real": real[0]}, "real has shape"),
        ({"real": real[:3]}, "real has 3 example"),
        ({"fake": np.where(real > 0, np.nan, real)}, "fake holds .* NaN"),
        ({"fake": real[:, :1]}, r"fake has examples of shape \[1\] and real of \[2\]"),
        ({"test": images}, r"test has examples of shape \[8, 8, 1\]"),
        ({"train": real[:2]}, "train has 2 example"),
        ({"real": images / 255, "fake": images}, "real has dtype float64 and value_range=None"),
        ({"real": images.transpose(0, 3, 1, 2), "fake": images}, "real has shape .* looks like NCHW"),
        ({"steps": 0}, "steps=0 must be an integer"),
        ({"batch_size": 0}, "batch_size=0 must be an integer"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be a finite number > 0"),
        ({"penalty": -1.0}, "penalty=-1.0 must be a finite number"),
        (
            {
                "real": images.repeat(2, 1).repeat(2, 2),
                "fake": images.repeat(2, 1).repeat(2, 2),
                "network": DCGANDiscriminator,
            },
            "normalises over the batch",
        ),
    ):
        with pytest.raises(UsageError, match=message):
            independent_wasserstein_critic(**{"real": real, "fake": real, **TINY, **arguments})
    with pytest.raises(TypeError):
        independent_wasserstein_critic(real, real)
    with pytest.raises(NonFiniteError, match="not finite|loss nan"):
        independent_wasserstein_critic(real=1e30 * real, fake=-1e30 * real, **TINY)


def test_metric(stacked):
    train, test = stacked
    lines, name = [], "independent_wasserstein_critic"
    settings = {
        "network": functools.partial(ConvDiscriminator, channels=(4,), dense=()),
        "steps": 30,
        "learning_rate": 3e-3,
    }
    subject = Subject(Replay(test), test, train, num_samples=200, progress=lines.append)
    subject.samples = np.zeros_like(subject.samples)  # black images
    results = evaluate(subject, [IndependentWassersteinCritic(**settings)]).results
    assert list(results) == [name, f"{name}_gap", f"{name}_overfitting"]
    protocol = results[name].protocol
    assert (protocol["fake"], protocol["num_real"], protocol["num_fake"]) == ("samples", 100, 100)
    assert {"data": "color_digits", "temperature": 1.0, "steps": 30}.items() <= protocol.items()
    assert results[name].real.protocol["fake"] == "train split"
    assert results[name].value > results[name].real.value + 1
    assert any("Wasserstein critic: step 30 of 30" in line for line in lines)
    assert protocol["critic_learnt_from"] == "half of the test split"
    validated = dataclasses.replace(subject, validation=subject.train)
    result = IndependentWassersteinCritic(**{**settings, "reference": False})(validated)[0]
    assert result.protocol["critic_learnt_from"] == "train split"
    assert result.protocol["num_real"] == len(subject.real_images)
    with pytest.raises(UsageError, match="steps=0"):
        IndependentWassersteinCritic(steps=0)
    assert name not in [each.name for each in select()]
