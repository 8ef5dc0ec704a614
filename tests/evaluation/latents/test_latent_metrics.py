"""The metrics of codes over models whose posteriors, prior and decoder are known."""

import dataclasses
import functools
import json

import gin
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from PIL import Image

from tfade.contract import Contract
from tfade.data.source import ArraySource
from tfade.errors import NonFiniteError, UsageError
from tfade.evaluation import (
    ActiveUnits,
    ElboSurgery,
    LatentMap,
    LowPosteriorSamples,
    MarginalKL,
    NotApplicable,
    RatioClassifier,
    Subject,
    evaluate,
    select,
)
from tfade.evaluation.latents.marginal_kl import fit_mixture
from tfade.evaluation.settings import settings_of
from tfade.reporting.comparison import Run, find_columns
from tfade.training.fit_density import fit_density  # noqa: F401 — so that gin knows it

tfd = tfp.distributions
NAMES = "marginal_kl,elbo_surgery,active_units,low_posterior_samples,latent_map"


class Linear(Contract):
    """Codes of an image are (mean of its left half, of its right half) · 4 - 2, with noise σ; and a third, of the prior.

    The decoder paints the halves. `likelihood` and the form of the posterior are arguments.
    """

    image_shape = (4, 4, 1)

    def __init__(self, scale=0.1, likelihood="lower_bound", form=None, size=3):
        self.scale, self.likelihood, self.size = scale, likelihood, size
        self._form = form or (lambda mean, scale: tfd.Independent(tfd.Normal(mean, scale), 1))

    def codes(self, x):
        unit = np.asarray(x, np.float32) / (255 if np.asarray(x).dtype == np.uint8 else 1)
        halves = unit.reshape(-1, 4, 2, 2).mean((1, 3)) * 4 - 2
        return tf.constant(np.pad(halves, ((0, 0), (0, self.size - 2))), tf.float32)

    def encode(self, x):
        mean = self.codes(x)
        scale = np.full(mean.shape, self.scale, np.float32)
        scale[:, 2:] = 1
        return self._form(mean, scale)

    def prior(self, temperature=1.0):
        return tfd.MultivariateNormalDiag(tf.zeros(self.size), tf.fill([self.size], temperature))

    def decode(self, z):
        halves = tf.clip_by_value((z[:, :2] + 2) / 4, 0, 1)
        return tf.repeat(tf.repeat(halves[:, None], 4, axis=1), 2, axis=2)[..., None]

    def log_prob(self, x, num_samples=1):
        return tf.reduce_sum(self.codes(x), -1) - 7.0


@pytest.fixture(scope="module")
def sources():
    """Images of two flat halves, of levels that are uniform on 64 … 128: half a code's range, off the prior's centre."""
    generator = np.random.default_rng(0)

    def split(name, count):
        halves = generator.integers(64, 129, size=(count, 1, 2, 1), dtype=np.uint8)
        images = halves.repeat(4, axis=1).repeat(2, axis=2)
        return ArraySource("halves", name, images, labels=(halves[:, 0, 0, 0] > 96).astype(int), num_classes=2)

    return split("train", 300), split("test", 120)


@pytest.fixture
def subject_of(sources):
    def make(model, **settings):
        settings = {"progress": lambda line: None, **settings}
        return Subject(model, real=sources[1], train=sources[0], **settings)

    return make


@pytest.fixture
def quick():
    """A classifier that takes no time, and few codes, as a user would bind them."""
    with gin.unlock_config():
        gin.parse_config(
            "RatioClassifier.steps = 150\nRatioClassifier.width = 16\nMarginalKL.num_codes = 1200\n"
            "MarginalKL.num_samples = 600\nElboSurgery.num_samples = 600\nLatentMap.num_codes = 40\n"
            "LatentMap.perplexity = 5.0\nLowPosteriorSamples.num_samples = 500\nLowPosteriorSamples.shown = 9\n"
            "GaussianMixture.components = 3\n"
        )
    yield
    gin.clear_config()


def in_words(report):
    return {outcome.metric: outcome.not_applicable for outcome in report.outcomes}


def test_every_metric_of_a_model_with_normal_posteriors(subject_of, quick, tmp_path):
    gin.parse_config("MarginalKL.methods = ('monte_carlo', 'density_ratio', 'density_model')")
    report = evaluate(subject_of(Linear()), select(NAMES))
    assert set(in_words(report).values()) == {None}
    results = report.results
    exact, bound = results["marginal_kl"], results["marginal_kl_density_model"]
    assert exact.value == pytest.approx(results["elbo_marginal_kl"].value, abs=1e-12)
    assert results["average_kl"].value == pytest.approx(results["mutual_information"].value + exact.value, abs=1e-9)
    assert exact.value > 1
    mixture = {"seed": 0, "restarts": 5, "iterations": 200, "components": 3, "covariance": "diagonal"}
    assert bound.protocol["fit"] == {"name": "fit_mixture", **mixture}
    assert bound.protocol["density"] == "GaussianMixture"
    assert bound.value < exact.value + 8 * (exact.std + bound.std)
    assert bound.value == pytest.approx(exact.value, rel=0.2)
    assert 0.4 < results["marginal_kl_density_ratio"].value / exact.value < 1.5
    assert results["active_units"].value == 2
    means = np.asarray(Linear().codes(subject_of(None).train.fetch(np.arange(300))), np.float64)
    elbo = results["elbo"]
    assert abs(elbo.value - (means.sum(1).mean() - 7)) < 1e-5  # each of 300 images is drawn twice
    assert results["elbo_reconstruction"].value == pytest.approx(elbo.value + results["average_kl"].value)
    assert 0.5 < results["low_posterior_share"].value <= 1
    for name, result in results.items():
        wanted = {"data": "halves", "split": "train", "seed": 0}
        assert wanted.items() <= result.protocol.items(), name
        assert "temperature" not in result.protocol, name
    report.save(tmp_path)
    pictures = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert pictures == {"low_posterior_samples", "low_posterior_histograms", "latent_map"}
    for path in (tmp_path / "figures").iterdir():
        assert np.asarray(Image.open(path).convert("L")).std() > 1


def test_deterministic_codes_have_no_density_and_the_other_methods(subject_of, quick):
    model = Linear(likelihood=None, form=lambda mean, scale: tfd.Independent(tfd.Deterministic(mean), 1), size=2)
    report = evaluate(subject_of(model), select("marginal_kl,elbo_surgery,active_units,low_posterior_samples"))
    words = in_words(report)
    assert "deterministic" in words["elbo_surgery"]
    assert words["marginal_kl"] is None
    results = report.results
    assert "marginal_kl" not in results
    share = results["low_posterior_share"]
    assert share.value > 0.3
    assert share.std > np.sqrt(share.value * (1 - share.value) / 499)  # the threshold is an estimate, too
    assert share.protocol["log_mixture"] == "log p(z) + density ratio"
    assert share.protocol["num_ratio_codes"] == 300  # each once: those held out were not trained on
    settings = dataclasses.asdict(RatioClassifier(steps=150, width=16))
    assert share.protocol["classifier"] == results["marginal_kl_density_ratio"].protocol["classifier"] == settings
    assert results["active_units"].value == 2
    with pytest.raises(NotApplicable, match="Linear are deterministic"):
        MarginalKL(methods=("monte_carlo",))(subject_of(model))


def test_posteriors_of_any_kind(subject_of, quick):
    """Correlated ones go the slow way, and what the model has no bound for is said."""
    factor = np.eye(3, dtype=np.float32) + np.float32([[0, 0, 0], [0.5, 0, 0], [0, 0, 0]])
    model = Linear(
        likelihood=None, form=lambda mean, scale: tfd.MultivariateNormalTriL(mean, scale[..., None] * factor)
    )
    lines = []
    report = evaluate(subject_of(model, progress=lines.append), [ElboSurgery(100), ActiveUnits()])
    assert "elbo" not in report.results
    assert "  elbo_surgery: elbo not applicable: Linear has no bound" in lines
    assert report.results["average_kl"].diagnostics["posterior"] == "MultivariateNormalTriL"
    assert report.results["active_units"].value == 2


@pytest.mark.full("columns are those of test_comparison.py")
def test_the_same_number_of_unlike_models_is_one_column(subject_of, quick, tmp_path):
    """VGH, VGH++ and a VAE: what does not apply to one of them is told, and not part of the others' protocol."""

    class Deterministic(Linear):
        pass

    class Stochastic(Linear):
        pass

    points = Deterministic(likelihood=None, form=lambda mean, scale: tfd.Independent(tfd.Deterministic(mean), 1))
    lines, runs = [], []
    for model in (points, Stochastic(likelihood=None), Linear()):
        report = evaluate(subject_of(model, progress=lines.append), [MarginalKL(num_codes=200), ElboSurgery(100)])
        runs.append(Run(type(model).__name__, tmp_path, report.outcomes))
    columns = [(column.name, sorted(column.values)) for column in find_columns(runs)]
    assert len({name for name, _ in columns}) == len(columns)
    assert dict(columns)["marginal_kl_density_ratio"] == ["Deterministic", "Linear", "Stochastic"]
    assert dict(columns)["marginal_kl"] == dict(columns)["average_kl"] == ["Linear", "Stochastic"]
    assert dict(columns)["elbo"] == ["Linear"]
    (told,) = [line for line in lines if "monte_carlo not applicable" in line]
    assert "codes of Deterministic are deterministic" in told


def test_codes_without_a_finite_density_have_no_share(subject_of, quick):
    """A diverged classifier ends the evaluation; where q(z) is 0 there is nothing to rank."""
    box = Linear(form=lambda mean, scale: tfd.Independent(tfd.Uniform(mean - scale, mean + scale), 1))
    with pytest.raises(NotApplicable, match=r"log q\(z\) is not finite at \d+ of 1000 codes"):
        LowPosteriorSamples(500, 4)(subject_of(box))
    gin.parse_config("RatioClassifier.steps = 5\nRatioClassifier.learning_rate = 1e30")
    points = Linear(form=lambda mean, scale: tfd.Independent(tfd.Deterministic(mean), 1))
    with pytest.raises(NonFiniteError, match="lower learning_rate"):
        LowPosteriorSamples(500, 4)(subject_of(points))


def test_a_wider_posterior_covers_the_prior_better(subject_of, quick):
    shares = [LowPosteriorSamples(500, 4)(subject_of(Linear(scale)))[0].value for scale in (0.05, 1.0)]
    assert shares[0] > shares[1] + 0.3


def test_results_do_not_depend_on_the_batch_size(subject_of):
    values = [
        [
            result.value
            for metric in (ElboSurgery(100), ActiveUnits())
            for result in metric(subject_of(Linear(), batch_size=size))
        ]
        for size in (500, 7)
    ]
    np.testing.assert_allclose(*values, rtol=1e-9)


def test_models_without_an_encoder_or_a_prior(subject_of):
    class Bare(Contract):
        def encode(self, x):
            raise NotImplementedError("GAN cannot encode: it has no encoder")

    report = evaluate(subject_of(Bare()), select(NAMES))
    assert set(in_words(report)) == set(NAMES.split(","))
    assert in_words(report)["active_units"] == "GAN cannot encode: it has no encoder"
    assert all(in_words(report).values())
    with pytest.raises(NotApplicable, match="Contract cannot encode: it has no encoder"):
        ActiveUnits()(subject_of(Contract()))


def test_a_fit_can_be_given(subject_of):
    seen = []

    def fit(codes):
        seen.append(codes)
        return tfd.MultivariateNormalDiag(codes.mean(0), codes.std(0))

    (result,) = MarginalKL(("density_model",), num_codes=400, fit=fit)(subject_of(Linear()))
    assert seen[0].shape == (300, 3)
    assert result.protocol["num_held_out"] == 100
    assert result.protocol["density"] == "MultivariateNormalDiag"
    assert result.protocol["num_codes"] == 400
    assert result.protocol["fit"] == {"name": "fit"}


def test_the_settings_of_a_fit_are_known(quick):
    """Numbers of unlike fits are not comparable: those of gin's references, in a scope or not, and of a partial."""
    gin.parse_config("few/fit_density.steps = 4\nfit_density.method = 'em'\nfit_density.steps = 6\n")
    for reference, steps in (("@few/fit_density", 4), ("@fit_density", 6)):
        gin.parse_config(f"MarginalKL.fit = {reference}")
        said = settings_of(select("marginal_kl")[0].fit)
        wanted = {"name": "fit_density", "steps": steps, "method": "em", "seed": 0, "batch_size": 256}
        assert {name: said[name] for name in wanted} == wanted
        assert said["distribution"]["name"] == "GaussianMixture"
        assert said["distribution"]["components"] == 3
        assert "progress" not in said
        assert json.loads(json.dumps(said)) == said
    partial = functools.partial(fit_mixture, restarts=1)
    assert settings_of(partial) == {"name": "fit_mixture", "seed": 0, "restarts": 1, "iterations": 200}


def test_settings_are_checked_and_nothing_is_quick_by_default():
    for make, message in (
        (lambda: MarginalKL(methods=("exact",)), "MarginalKL.methods"),
        (lambda: LowPosteriorSamples(shown=0), "LowPosteriorSamples.shown=0"),
        (lambda: LatentMap(num_codes=1), "LatentMap.num_codes=1"),
    ):
        with pytest.raises(UsageError, match=message):
            make()
    assert not {metric.name for metric in select()} & set(NAMES.split(","))
    assert isinstance(RatioClassifier(), RatioClassifier)
