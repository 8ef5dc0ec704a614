"""Metrics of codes and likelihood on a tiny hierarchical VAE, whose densities of codes all go through its decoder."""

import functools

import numpy as np
import pytest
from scipy.special import logsumexp

from tests.models.test_hvae import TOP, model_of
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.errors import UsageError
from tfade.evaluation import (
    AnnealedImportanceSampling,
    ElboSurgery,
    Figure,
    ImportanceWeightedBound,
    LowPosteriorSamples,
    MarginalKL,
    NotApplicable,
    Redraws,
    Result,
    Subject,
    latent_model,
    variance_shares,
)
from tfade.evaluation.choice import chosen
from tfade.evaluation.latents import aggregate_posterior, posterior_kinds
from tfade.evaluation.latents import codes as latent_codes

EXAMPLES, CODES = 7, 10


@pytest.fixture(scope="module")
def model():
    return model_of("sum")


@pytest.fixture
def subject(model):
    splits = [ArraySource("scans", split, digits(split).fetch(np.arange(EXAMPLES))) for split in ("test", "train")]
    return Subject(model, *splits, num_samples=20, batch_size=4, progress=lambda line: None)


def test_the_terms_of_the_bound_against_every_pair_alone(subject):
    results = {result.name: result.value for result in ElboSurgery(CODES)(subject)}
    drawn = subject.posteriors.draw(CODES, subject.seed)
    codes, images = drawn.codes.astype(np.float32), subject.train.fetch(np.arange(EXAMPLES))
    alone = [np.asarray(subject.model.encode(images[n : n + 1]).log_prob(codes), np.float64) for n in range(EXAMPLES)]
    mixture = logsumexp(alone, axis=0) - np.log(EXAMPLES)
    own = np.array(alone)[drawn.indices, np.arange(CODES)]
    prior = np.asarray(subject.model.prior().log_prob(codes), np.float64)
    assert results["mutual_information"] == pytest.approx((own - mixture).mean(), abs=1e-3)
    assert results["elbo_marginal_kl"] == pytest.approx((mixture - prior).mean(), rel=1e-4)
    assert results["average_kl"] == pytest.approx((own - prior).mean(), rel=1e-4)
    bound = np.asarray(subject.model.log_prob(images), np.float64)[drawn.indices].mean()
    assert results["elbo"] == pytest.approx(bound, rel=1e-4)


def test_too_many_pairs_are_refused_with_their_cost(subject):
    """Ten codes with seven images each fit into 70 pairs, not into 69; low_posterior_samples takes two kinds of codes."""
    (result,) = MarginalKL(("monte_carlo",), CODES, max_pairs=70)(subject)
    assert result.diagnostics["posterior"] == "TopDownLatents"
    message = r"log q\(z\) of {} codes decodes .* {} pairs or about [0-9.]+ (s|min|h); set num_samples to at most {}, or max_pairs"
    fresh = functools.partial(Subject, subject.model, subject.real, subject.train, progress=lambda line: None)
    for metric, numbers in (
        (MarginalKL(("monte_carlo",), CODES, max_pairs=69), (10, 70, 9)),
        (ElboSurgery(CODES, max_pairs=69), (10, 70, 9)),
        (LowPosteriorSamples(CODES, 4, max_pairs=139), (20, 140, 9)),
        (ElboSurgery(300_000), ("300,000", "2,100,000", "285,714")),
    ):
        with pytest.raises(NotApplicable, match=message.format(*numbers)):
            metric(fresh())


def passes_of(decoder, monkeypatch):
    """A list that receives how many codes go through the decoder together."""
    passes, call = [], type(decoder).call

    def counted(self, z, *arguments, **settings):
        passes.append(len(z))
        return call(self, z, *arguments, **settings)

    monkeypatch.setattr(type(decoder), "call", counted)
    return passes


@pytest.mark.full("a bound of memory; the pairs are those above")
def test_the_decoder_bounds_the_pairs_that_are_decoded_together(subject, monkeypatch):
    """Every pass stays below the given numbers of its layers, and no density depends on that."""
    wanted = subject.posteriors.log_mixture(subject.posteriors.draw(CODES).codes)
    codes = subject.posteriors.draw(CODES).codes
    prior = subject.model.prior()
    log_prior = aggregate_posterior.log_prior(prior, codes)
    decoder = subject.model.decoder
    numbers = subject.model.encode(subject.train.fetch(np.arange(1))).activations
    layers = sum(int(np.prod(layer.output.shape[1:])) for layer in decoder.network.layers)
    assert numbers > layers == prior.activations > 16 * 16
    monkeypatch.setattr(posterior_kinds, "DECODED", 3 * numbers)
    monkeypatch.setattr(aggregate_posterior, "DECODED", 3 * layers)
    passes = passes_of(decoder, monkeypatch)
    fresh = Subject(subject.model, subject.real, subject.train, batch_size=4, progress=lambda line: None)
    np.testing.assert_allclose(fresh.posteriors.log_mixture(codes), wanted, rtol=1e-4)
    np.testing.assert_allclose(aggregate_posterior.log_prior(prior, codes), log_prior, rtol=1e-4)
    assert max(passes) == 3
    assert sum(passes) >= EXAMPLES * CODES


def test_codes_of_the_prior_are_drawn_in_parts(subject, monkeypatch):
    monkeypatch.setattr(latent_codes, "PRIOR_CHUNK", 3)
    passes = passes_of(subject.model.decoder, monkeypatch)
    codes = latent_codes.prior_latents(subject, 7, 0)
    assert passes == [3, 3, 1]
    assert codes.shape == (7, subject.model.latent_size)
    assert len(np.unique(codes[:, 0])) == 7
    np.testing.assert_array_equal(latent_codes.prior_latents(subject, 6, 0), codes[:6])
    assert (latent_codes.prior_latents(subject, 6, 1) != codes[:6]).all()


@pytest.mark.full("that of other models is tested in test_latent_model.py")
def test_the_view_for_annealing(subject):
    """Its density is the model's, its posterior is over whole codes, and chains of few steps come near the bound."""
    images = subject.real.fetch(np.arange(2))
    view = latent_model(subject.model, images)
    z = view.prior.sample(2, seed=(0, 1))
    np.testing.assert_allclose(
        view.log_likelihood(z, view.x) + view.log_det, subject.model.log_likelihood(images, z), rtol=1e-5
    )
    assert view.posterior(view.x).sample(3, seed=(0, 1)).shape == (3, 2, subject.model.latent_size)
    metric = AnnealedImportanceSampling(
        num_real=2, num_simulated=0, start="posterior", chains=2, steps=2, leapfrogs=2, jit_compile=False
    )
    nats = metric(subject)[1]
    own = np.asarray(subject.model.log_prob(chosen(subject.real, 2, subject.seed), num_samples=20)).mean()
    assert nats.value == pytest.approx(own, rel=0.1)


def test_the_bound(subject):
    bits, nats = ImportanceWeightedBound(k=5, num_real=4)(subject)
    own = np.asarray(subject.model.log_prob(chosen(subject.real, 4, subject.seed), num_samples=5), np.float64)
    assert nats.value == pytest.approx(own.mean(), rel=1e-4)
    assert bits.value == pytest.approx(-own.mean() / (256 * np.log(2)) + 8, rel=1e-4)


def test_redraws_keep_the_levels_above(model):
    """Of whole vectors of latents: those kept are the same, the others are draws of the prior given them."""
    prior = model.prior()
    latents = prior.sample(6, seed=(1, 2))
    first = int(np.prod(prior.levels[0]))
    for kept, same in ((0, TOP), (1, TOP + first)):
        again = prior.redrawn(latents, kept, (3, 4)).numpy()
        np.testing.assert_array_equal(again[:, :same], latents[:, :same])
        assert np.all(again[:, same:] != latents[:, same:])
    one, other = (prior.redrawn(latents, kept, (3, 4)) for kept in (0, 0))
    np.testing.assert_array_equal(one, other)


@pytest.mark.full("the shares and the redraws are tested apart")
def test_shares_of_variance_of_redrawn_images(subject):
    """Rising from the pixels to everything; figures for each stage, with a name that a file can have."""
    found = Redraws(sources=6, redraws=5)(subject)
    results = {result.name: result.value for result in found if isinstance(result, Result)}
    assert all(0 < result.std < result.value for result in found if isinstance(result, Result))
    figures = [result.name for result in found if isinstance(result, Figure)]
    assert list(results) == [f"redrawn_{part}_variance" for part in ("pixels", "8x8", "4x4")]
    shares = list(results.values())
    assert 0 < shares[0] < shares[1] < 1.1 * shares[2] < 1.5
    (scale,) = subject.model.network("pixels").trainable_variables
    trained = scale.numpy()
    scale.assign(trained - 9.0)  # of a logarithm: p(x | z) is narrower than half a level
    try:
        still = Redraws(sources=6, redraws=5)(subject)[0]
    finally:
        scale.assign(trained)
    assert still.name == "redrawn_pixels_variance"
    assert still.value < 0.01
    assert figures == ["redrawn_pixels", "redrawn_8x8", "redrawn_4x4", "redrawn_everything"]
    generator = np.random.default_rng(0)
    sources = generator.normal(size=(1, 400, 1, 2, 2, 1))
    inner = generator.normal(size=(2, 400, 5, 2, 2, 1))
    images = np.stack([sources[0] + 0.5 * inner[0], 2 * inner[1]])  # of variance 1 + 1/4 = 5/4, and 4
    shares, _ = variance_shares(redraws=images, fresh=images[0, :, 0])
    np.testing.assert_allclose(shares, [0.2, 3.2], rtol=0.15)
    with pytest.raises(UsageError, match="all alike"):
        variance_shares(redraws=images, fresh=np.ones((3, 2, 2, 1)))
    with pytest.raises(UsageError, match="a variance needs 2"):
        variance_shares(redraws=images[:, :, :1], fresh=images[0, :, 0])
    with pytest.raises(UsageError, match="sources=1, .* a variance needs 2"):
        variance_shares(redraws=images[:, :1], fresh=images[0, :, 0])


def test_standard_errors_of_shares_are_their_spread():
    """Over 400 draws, of sources that differ in their variance; few of these, few fresh images, or neither."""
    generator = np.random.default_rng(1)
    for sources, fresh in ((8, 500), (400, 20), (30, 60)):
        found = []
        for _ in range(400):
            scale = generator.uniform(0, 2, (1, sources, 1, 1, 1, 1))
            inner = scale * generator.normal(size=(1, sources, 3, 2, 1, 1))
            found.append(variance_shares(redraws=inner, fresh=2 * generator.normal(size=(fresh, 2, 1, 1))))
        shares, errors = np.squeeze(np.transpose(found, (1, 0, 2)), -1)
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(shares.std(), rel=0.15)
