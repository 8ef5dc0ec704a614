"""The comparison of estimators on a linear flow, and the metrics of likelihood that take minutes, made small."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.stats import multivariate_normal

from tests.models.vaes import model_of
from tfade.contract import Contract
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.distributions.pixels import Bernoulli, DiscretizedLogistic, IsotropicNormal
from tfade.errors import UsageError
from tfade.evaluation import (
    AnnealedImportanceSampling,
    ImportanceWeightedBound,
    LikelihoodComparison,
    NotApplicable,
    ParzenLogLikelihood,
    Subject,
    bits_per_dim,
    evaluate,
    latent_model,
    select,
)
from tfade.evaluation.choice import chosen
from tfade.evaluation.likelihood.parzen import log_densities
from tfade.models.density import DensityModel

NAMES = {
    "importance_weighted_bound",
    "annealed_importance_sampling",
    "parzen_log_likelihood",
    "likelihood_comparison",
}
SMALL = {"chains": 2, "steps": 2, "leapfrogs": 2, "jit_compile": False}


class LinearFlow(Contract):
    """x = b + W z, z ~ N(0, I): vectors, or images of two pixels."""

    likelihood = "exact"
    weights = np.array([[0.15, 0.05], [0.0, 0.1]], np.float32)

    def __init__(self, shape=(2,)):
        self._shape = shape

    def prior(self, temperature=1.0):
        return tfp.distributions.MultivariateNormalDiag(tf.zeros(2), temperature * tf.ones(2))

    def decode(self, z):
        return tf.reshape(0.5 + tf.matmul(tf.cast(z, tf.float32), self.weights), (-1, *self._shape))

    def sample(self, n, temperature=1.0, seed=None):
        return self.decode(self.prior(temperature).sample(n, seed=(0, seed)))

    def log_prob(self, x, num_samples=1):
        return self.density().logpdf(np.reshape(x, (-1, 2)))

    def density(self, noise=0.0):
        return multivariate_normal([0.5, 0.5], self.weights.T @ self.weights + noise**2 * np.eye(2))


@pytest.fixture(scope="module")
def subject():
    """A VAE over grey digits."""
    return subject_of(model_of())


def subject_of(model, **settings):
    settings = {"num_samples": 50, "seed": 3, "progress": lambda line: None, **settings}
    return Subject(model, real=digits("test"), train=digits("train"), **settings)


def test_three_estimates_of_one_density():
    lines = []
    subject = vectors_of(num_samples=4000, progress=lines.append)
    flow, real = subject.model, subject.real.fetch(np.arange(80))
    metric = LikelihoodComparison(
        num_real=80, num_validation=80, sigma=0.1, steps=30, simulated=False, step_size=0.3, jit_compile=False
    )
    results = metric(subject)
    exact, annealed, parzen = results
    assert [result.name for result in results] == [
        "comparison_exact_log_likelihood",
        "comparison_annealed_importance_sampling",
        "comparison_parzen_log_likelihood",
    ]
    assert exact.value == pytest.approx(flow.density().logpdf(real).mean(), rel=1e-5)
    assert exact.std == pytest.approx(flow.density().logpdf(real).std(ddof=1) / np.sqrt(80), rel=1e-3)
    noisy = flow.density(0.1).logpdf(real).mean()  # what is annealed has the noise of the observation model
    assert abs(annealed.value - noisy) < 4 * annealed.diagnostics["monte_carlo_error"] < 0.1
    assert abs(parzen.value - exact.value) < 0.1
    assert abs(annealed.value - exact.value) > 0.02
    assert {result.protocol["num_real"] for result in results} == {80}
    assert annealed.protocol["variance"] == pytest.approx(0.01)
    told = [line.split()[0] for line in lines if not any(word in line for word in ("temperature", "samples:"))]
    assert told == ["exact", "annealed", "kernels"]


def test_the_comparison_needs_an_exact_likelihood_and_a_decoder():
    metric = LikelihoodComparison(num_real=4, num_validation=4, simulated=False, **SMALL)
    with pytest.raises(NotApplicable, match="Contract has no exact likelihood"):
        metric(vectors_of(model=Contract()))
    with pytest.raises(NotApplicable, match="DensityModel has no decoder"):
        metric(vectors_of(model=DensityModel((2,))))
    for argument in ("batch_size", "sigma"):
        with pytest.raises(UsageError, match=f"{argument}=0"):
            LikelihoodComparison(num_real=4, num_validation=4, **{**SMALL, argument: 0})(vectors_of())


def test_the_metric_compares_a_flow_on_images():
    generator = np.random.default_rng(0)
    images = [generator.integers(40, 215, (60, 1, 2, 1)).astype(np.uint8) for _ in range(2)]
    train, test = (ArraySource("pairs", split, part) for split, part in zip(("train", "test"), images))
    subject = Subject(LinearFlow((1, 2, 1)), test, train, num_samples=50, progress=lambda line: None)
    results = LikelihoodComparison(num_real=20, num_validation=30, simulated=False, **SMALL)(subject)
    values = [result.value for result in results]
    assert all(np.isfinite(values))
    assert {result.protocol["num_real"] for result in results} == {20}
    assert results[2].protocol["num_fake"] == 50
    assert results[2].protocol["bandwidth_chosen_on"] == "train split"


def test_expensive_metrics_are_asked_for_by_name():
    assert not NAMES & {metric.name for metric in select()}
    assert {metric.name for metric in select(",".join(NAMES))} == NAMES


def test_the_bound_is_the_models_own(subject):
    bits, nats = ImportanceWeightedBound(k=3, num_real=20)(subject)
    examples = chosen(subject.real, 20, 3)
    own = np.asarray(subject.model.log_prob(examples, num_samples=3))
    assert nats.value == pytest.approx(own.mean(), rel=1e-5)
    assert nats.std == pytest.approx(own.std(ddof=1) / np.sqrt(20), rel=1e-4)
    expected = bits_per_dim(log_prob=own, dimensions=256)
    assert bits.name == "importance_weighted_bound_bits_per_dim"
    assert (bits.value, bits.std) == (pytest.approx(expected.value, rel=1e-5), pytest.approx(expected.std, rel=1e-4))
    wanted = {"k": 3, "num_real": 20, "split": "test", "dequantisation": "noise by image, draw 0", "seed": 3}
    for result in (bits, nats):
        assert wanted.items() <= result.protocol.items()


@pytest.mark.full("that likelihood is found in test_latent_model.py")
def test_annealing_a_vae(subject, tmp_path):
    metric = AnnealedImportanceSampling(num_real=2, num_simulated=1, start="posterior", **SMALL)
    report = evaluate(subject, [metric])
    bits, nats, gap = report.results.values()
    assert nats.value == pytest.approx(float(np.mean(subject.model.log_prob(chosen(subject.real, 2, 3)))), rel=0.2)
    assert bits.value == pytest.approx(-nats.value / (256 * np.log(2)) + 8)
    assert gap.name == "annealed_importance_sampling_gap"
    assert gap.value == nats.diagnostics["bidirectional_gap"]
    assert nats.protocol["observation"] == "the model's p(x | z)"
    (path,) = report.save(tmp_path)
    assert len(json.loads(path.read_text())["results"]) == 3


@pytest.mark.every(3)
@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (IsotropicNormal, {"dequantisation": "noise by image, draw 0"}),
        (Bernoulli, {"binarisation": "binarised with p(1) = x, noise by image, draw 0"}),
        (DiscretizedLogistic, {}),
    ],
)
def test_only_densities_are_of_dequantised_images(pixels, said):
    subject = subject_of(model_of(pixels=pixels))
    bound = ImportanceWeightedBound(k=1, num_real=2)(subject)[-1].protocol
    annealed = latent_model(subject.model, chosen(subject.real, 2, 3)).protocol
    for protocol in (bound, annealed):
        assert {key: protocol[key] for key in ("dequantisation", "binarisation") if key in protocol} == said


def test_the_noise_of_images_is_none_of_the_seed():
    """As the protocol says: the same image has the same noise in every run."""
    images = digits("test").fetch(np.arange(4))
    views = [latent_model(model_of(), part).x for part in (images, images[::-1])]
    np.testing.assert_array_equal(views[0], views[1][::-1])


def test_kernels_around_samples(subject):
    (result,) = ParzenLogLikelihood(num_real=30, num_validation=40, bandwidths=[0.1, 0.2, 0.4])(subject)
    middles = (subject.samples.reshape(50, -1) + 0.5) / 256
    real = latent_model(subject.model, chosen(subject.real, 30, 3)).x.reshape(30, -1)
    expected = log_densities(real.astype(float), middles, np.array([result.diagnostics["bandwidth"]]))
    assert result.value == pytest.approx(expected.mean(), rel=1e-6)
    wanted = {"num_real": 30, "num_validation": 40, "num_fake": 50, "bandwidth_chosen_on": "train split"}
    assert wanted.items() <= result.protocol.items()


def vectors_of(**settings):
    """A flow, and splits of its own vectors."""
    flow, generator = LinearFlow(), np.random.default_rng(0)
    splits = {
        name: ArraySource("points", name, flow.density().rvs(80, random_state=generator).astype(np.float32))
        for name in ("train", "validation", "test")
    }
    subject = Subject(flow, splits["test"], splits["train"], num_samples=300, seed=1, progress=lambda line: None)
    subject.validation = splits["validation"]
    for name, value in settings.items():
        setattr(subject, name, value)
    return subject


GRID = (0.01, 0.03, 0.1, 0.3)


def test_the_bandwidth_of_vectors_is_chosen_on_validation_data():
    subject = vectors_of()
    (result,) = ParzenLogLikelihood(num_real=60, num_validation=70, bandwidths=GRID)(subject)
    validation = chosen(subject.validation, 70, 1).astype(float)
    means = log_densities(validation, subject.sampled_vectors, np.array(GRID)).mean(1)
    assert result.diagnostics["validation_log_likelihood"] == pytest.approx(means.max())
    wanted = {"bandwidth_chosen_on": "validation split", "num_fake": 300, "num_real": 60, "num_validation": 70}
    assert wanted.items() <= result.protocol.items()
    bandwidth = np.array([GRID[int(means.argmax())]])
    expected = log_densities(chosen(subject.real, 60, 1).astype(float), subject.sampled_vectors, bandwidth)
    assert result.value == pytest.approx(expected.mean())
    exact = subject.model.density().logpdf(chosen(subject.real, 60, 1)).mean()
    assert abs(result.value - exact) < 0.5
    (fallback,) = ParzenLogLikelihood(num_real=60, num_validation=70, bandwidths=GRID)(vectors_of(validation=None))
    assert fallback.protocol["bandwidth_chosen_on"] == "train split"


def test_the_comparison_takes_vectors_and_validation_data():
    metric = LikelihoodComparison(num_real=20, num_validation=30, simulated=False, bandwidths=GRID, **SMALL)
    subject = vectors_of()
    exact, annealed, parzen = metric(subject)
    real = chosen(subject.real, 20, 1)
    assert exact.value == pytest.approx(subject.model.density().logpdf(real).mean(), rel=1e-5)
    assert parzen.protocol["bandwidth_chosen_on"] == "validation split"
    assert "bandwidth_chosen_on" not in exact.protocol
    assert parzen.protocol["num_fake"] == 300
    assert annealed.protocol["num_real"] == 20


def test_test_data_are_no_validation_data():
    """Up to a tenth may be shared, as sets hold some examples twice; a single bandwidth needs no choice."""

    def sharing(count):
        subject = vectors_of()
        mixed = np.concatenate([subject.validation.fetch(np.arange(80 - count)), subject.real.fetch(np.arange(count))])
        subject.validation = ArraySource("points", "validation", mixed)
        return subject

    assert ParzenLogLikelihood(80, 80)(sharing(8))
    subject = sharing(9)
    for metric in (ParzenLogLikelihood(80, 80), LikelihoodComparison(80, 80, simulated=False, **SMALL)):
        with pytest.raises(UsageError, match="validation: 9 of 80 examples of the validation split"):
            metric(subject)
    (result,) = ParzenLogLikelihood(80, 80, bandwidths=[0.1])(subject)
    assert result.diagnostics["bandwidth"] == 0.1


def test_models_without_what_is_needed():
    flow = subject_of(LinearFlow((16, 16, 1)))
    with pytest.raises(NotApplicable, match="exact and needs no bound"):
        ImportanceWeightedBound()(flow)

    class Still(LinearFlow):
        likelihood = None

        def decode(self, z):
            return tf.zeros((len(z), 16, 16, 1)) + z[:, :1, None, None]

    with pytest.raises(NotApplicable, match="Still has no encoder with a density"):
        ImportanceWeightedBound()(subject_of(Still()))
    with pytest.raises(NotApplicable, match="Still has no encoder with a density where chains could start"):
        AnnealedImportanceSampling(start="posterior")(subject_of(Still()))
    with pytest.raises(NotApplicable, match="no exact likelihood"):
        LikelihoodComparison()(subject_of(Still()))
    with pytest.raises(NotApplicable, match="no decoder"):
        AnnealedImportanceSampling()(subject_of(Contract()))


def test_refuses_settings():
    with pytest.raises(UsageError, match="start='encoder'"):
        AnnealedImportanceSampling(start="encoder")
    with pytest.raises(UsageError, match="num_real"):
        AnnealedImportanceSampling(num_real=0)(subject_of(model_of()))


def test_the_choice_of_examples_does_not_depend_on_the_metric():
    source = digits("test")
    few, more = chosen(source, 5, 3), chosen(source, 50, 3)
    assert all(any((image == other).all() for other in more) for image in few)
    assert len(chosen(source, 10**6, 3)) == source.spec.num_examples
