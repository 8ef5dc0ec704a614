"""Density ratios of Gaussians, where the ratio is known, and the study of many dimensions."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.integrate import quad
from scipy.stats import norm

from tfade.errors import NonFiniteError, UsageError
from tfade.evaluation import RatioClassifier, density_ratio_kl
from tfade.evaluation.latents.density_ratio import density_ratio
from tfade.evaluation.latents.gaussian_study import AffineGaussian, DensityRatioStudy, gaussian_kl, run
from tfade.evaluation.latents.ratio_classifier import Trainer

ONE = 0.5 * (0.25 + 1 - 1 - np.log(0.25))  # KL(N(1, ¼) ‖ N(0, 1))
SMALL = RatioClassifier(layers=2, width=32, steps=600, batch_size=1024, learning_rate=1e-3)


@pytest.fixture(scope="module")
def samples():
    generator = np.random.default_rng(0)
    return {"codes": 1 + 0.5 * generator.normal(size=(8000, 1)), "prior_latents": generator.normal(size=(6000, 1))}


@pytest.fixture(scope="module")
def result(samples):
    return density_ratio_kl(**samples, classifier=SMALL)


def test_near_the_closed_form(result):
    assert abs(result.value - ONE) < 0.35
    assert 0 < result.std < 0.03
    wanted = {"num_codes": 8000, "num_prior_latents": 6000, "num_held_out": 2000, "seed": 0}
    assert wanted.items() <= result.protocol.items()
    assert result.protocol["classifier"] == dataclasses.asdict(SMALL)


@pytest.mark.full("seconds of training")
def test_equal_seeds_give_equal_estimates(samples):
    few = dataclasses.replace(SMALL, steps=20, dropout=0.2, activation_noise=0.1)
    first, again, other = (density_ratio_kl(**samples, classifier=few, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first.value != other.value


def test_the_same_distribution_twice(samples):
    prior = samples["prior_latents"]
    few = dataclasses.replace(SMALL, steps=150)
    assert abs(density_ratio_kl(codes=prior[:3000], prior_latents=prior[3000:], classifier=few).value) < 0.1


def test_every_setting_reaches_the_network():
    """The layers that are asked for, in training only; and the penalty by its closed form on a linear classifier."""
    plain = [type(layer).__name__ for layer in SMALL.network(3).layers]
    assert plain == ["Dense", "LeakyReLU"] * 2 + ["Dense"]
    noisy = dataclasses.replace(SMALL, activation_noise=1.0, dropout=0.5).network(3)
    kinds = [type(layer).__name__ for layer in noisy.layers]
    assert kinds == ["Dense", "LeakyReLU", "GaussianNoise", "Dropout"] * 2 + ["Dense"]
    x = tf.ones((4, 3))
    assert np.ptp(noisy(x, training=False)) == 0 < np.ptp(noisy(x, training=True))
    assert SMALL.network(3).layers[1].negative_slope == pytest.approx(0.2)

    def linear(x, training):
        return 3.0 * tf.reduce_sum(x, -1, keepdims=True)

    penalised = dataclasses.replace(SMALL, gradient_penalty=2.0)
    losses = [float(settings.loss(linear, x, 2 * x, tf.zeros(4))) for settings in (SMALL, penalised)]
    assert losses[1] - losses[0] == pytest.approx(2 * (3 * np.sqrt(3) - 1) ** 2, rel=1e-5)
    assert losses[0] == pytest.approx(np.log1p(np.exp(-9)) + np.log1p(np.exp(18)), rel=1e-5)


def test_samples_of_the_same_step_are_not_reused(samples):
    """Every step draws anew: a classifier that saw one batch only would not come near the ratio."""
    seen = []

    def draw(step):
        seen.append(step)
        return tf.random.stateless_normal((8, 1), tf.stack([step, 0])), tf.zeros((8, 1))

    trainer = Trainer(SMALL, draw, 1)
    before = trainer.logits(np.ones((1, 1)))
    trainer.advance(0, 3)
    trainer.advance(3, 5)
    assert trainer.step == 5
    assert len(seen) == 1  # traced once, for both
    assert trainer.logits(np.ones((1, 1))) != before


def test_refusals(samples):
    for changed, message in (
        ({"layers": 0}, "RatioClassifier.layers=0"),
        ({"steps": 0}, "RatioClassifier.steps=0"),
        ({"dropout": 1.0}, "RatioClassifier.dropout=1.0"),
        ({"activation_noise": -1.0}, "RatioClassifier.activation_noise=-1.0"),
        ({"learning_rate": 0.0}, "RatioClassifier.learning_rate=0.0"),
    ):
        with pytest.raises(UsageError, match=message):
            dataclasses.replace(SMALL, **changed)
    for changed, message in (
        ({"held_out": 1.0}, "held_out=1.0"),
        ({"codes": samples["codes"][:3]}, "held_out=0.25 of 3 codes"),
        ({"prior_latents": np.ones((50, 2))}, "prior_latents have 2 dimensions and codes 1"),
        ({"codes": samples["codes"] * np.nan}, "codes holds"),
    ):
        with pytest.raises(UsageError, match=message):
            density_ratio_kl(**{**samples, **changed}, classifier=SMALL)
    diverging = dataclasses.replace(SMALL, learning_rate=1e30, steps=10)
    for estimate in (density_ratio, density_ratio_kl):
        with pytest.raises(NonFiniteError, match="lower learning_rate"):
            estimate(**samples, classifier=diverging)


def test_the_divergence_of_gaussians():
    first = AffineGaussian(np.array([[0.5]]), np.array([1.0]))
    standard = AffineGaussian.standard(1)
    assert gaussian_kl(first, standard) == pytest.approx(ONE)
    assert gaussian_kl(first, first) == pytest.approx(0, abs=1e-12)
    back = quad(lambda x: norm.pdf(x) * (norm.logpdf(x) - norm.logpdf(x, 1, 0.5)), -9, 9)[0]
    assert gaussian_kl(standard, first) == pytest.approx(back)
    one, other = (AffineGaussian.random(6, 1.0, 0.5, seed) for seed in (0, 1))
    covariances = [gaussian.matrix @ gaussian.matrix.T for gaussian in (one, other)]
    inverse, shift = np.linalg.inv(covariances[1]), one.shift - other.shift
    terms = np.trace(inverse @ covariances[0]) + shift @ inverse @ shift - 6
    truth = 0.5 * (terms + np.log(np.linalg.det(covariances[1]) / np.linalg.det(covariances[0])))
    assert gaussian_kl(one, other) == pytest.approx(truth, rel=1e-9)
    assert gaussian_kl(AffineGaussian(np.zeros((1, 1)), np.zeros(1)), standard) == np.inf


def test_one_dimension_is_estimated_and_learnt():
    study = DensityRatioStudy(dimensions=(1,), seeds=(0,), steps=600, reports=4, generator_rate=5e-3)
    curve = run(study, "estimation", 1, 0, SMALL)
    assert [point["step"] for point in curve] == [150, 300, 450, 600]
    known = gaussian_kl(study.target(1), AffineGaussian.standard(1))
    assert all(point["known"] == known for point in curve)
    assert abs(curve[-1]["estimate"] - known) < 0.25 * known
    learnt = run(study, "learning", 1, 0, SMALL)
    assert learnt[-1]["known"] < 0.1 * gaussian_kl(AffineGaussian.standard(1), study.target(1))
    assert abs(learnt[-1]["estimate"] - learnt[-1]["known"]) < 0.2


def test_a_run_that_diverges_ends_its_curve():
    study = DensityRatioStudy(dimensions=(2,), seeds=(0,), steps=6, reports=3)
    curve = run(study, "learning", 2, 0, dataclasses.replace(SMALL, learning_rate=1e30))
    assert len(curve) < 3
    assert None in curve[-1].values()


def test_studies_are_checked():
    for changed, message in (
        ({"dimensions": (0,)}, "DensityRatioStudy.dimensions"),
        ({"seeds": (1, 1)}, "DensityRatioStudy.seeds"),
        ({"modes": ("estimate",)}, "DensityRatioStudy.modes"),
        ({"steps": 0}, "DensityRatioStudy.steps"),
        ({"generator_rate": 0.0}, "DensityRatioStudy.generator_rate"),
    ):
        with pytest.raises(UsageError, match=message):
            DensityRatioStudy(**changed)
    assert DensityRatioStudy(steps=3, reports=20).report_steps() == [1, 2, 3]
