"""Aggregate posteriors: the density of the mixture by two other ways, and the invariances that it must have."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from tfade.distributions.flow_densities import IAFDensity, MAFDensity, RealNVPDensity
from tfade.distributions.gaussian import DiagonalNormal
from tfade.errors import UsageError
from tfade.evaluation.latents.posterior_kinds import (
    DiagonalPosteriors,
    DistributionPosteriors,
    PointPosteriors,
    is_deterministic,
    posteriors_of,
)

tfd = tfp.distributions
GENERATOR = np.random.default_rng(0)
MEANS, SCALES = GENERATOR.normal(size=(70, 3)), np.exp(GENERATOR.normal(size=(70, 3)) - 1)
CODES = GENERATOR.normal(size=(41, 3))


@pytest.fixture
def diagonal():
    return DiagonalPosteriors(means=MEANS, scales=SCALES)


def expected(means=MEANS, scales=SCALES, codes=CODES):
    return logsumexp(norm.logpdf(codes[:, None], means, scales).sum(-1), axis=1) - np.log(len(means))


def test_the_mixture_of_normals(diagonal):
    np.testing.assert_allclose(diagonal.log_mixture(CODES), expected(), atol=1e-12)


@pytest.mark.parametrize("block", [1, 7, 64, 2**21])
def test_blocks_do_not_matter(diagonal, block):
    np.testing.assert_allclose(diagonal.log_mixture(CODES, block=block), expected(), atol=1e-9)


def test_neither_does_the_order(diagonal):
    order, codes = GENERATOR.permutation(70), GENERATOR.permutation(41)
    shuffled = DiagonalPosteriors(means=MEANS[order], scales=SCALES[order])
    np.testing.assert_allclose(shuffled.log_mixture(CODES[codes]), diagonal.log_mixture(CODES)[codes], atol=1e-9)


@pytest.mark.parametrize(("scale", "shift"), [(1e-7, 0.0), (1e-4, 1e6), (1e4, 0.0)])
def test_narrow_and_distant_posteriors_are_exact_too(scale, shift):
    """Expanded squares would be off by nats for the narrow ones, and by more without taking the centre off."""
    means, scales = MEANS + shift, np.full_like(SCALES, scale)
    codes = means[:41] + scale * CODES
    posteriors = DiagonalPosteriors(means=means, scales=scales)
    np.testing.assert_allclose(posteriors.log_mixture(codes), expected(means, scales, codes), rtol=1e-9, atol=1e-6)


def test_far_codes_do_not_underflow(diagonal):
    found = diagonal.log_mixture(CODES + 1e4)
    assert (found < -1e6).all()
    np.testing.assert_allclose(found, expected(codes=CODES + 1e4), rtol=1e-9)


def test_draws_are_stratified_and_know_their_density(diagonal):
    drawn = diagonal.draw(200, seed=3)
    counts = np.bincount(drawn.indices, minlength=70)
    assert set(counts.tolist()) == {2, 3}
    own = norm.logpdf(drawn.codes, MEANS[drawn.indices], SCALES[drawn.indices]).sum(1)
    np.testing.assert_allclose(drawn.log_posterior, own, atol=1e-9)
    again, other = diagonal.draw(200, seed=3), diagonal.draw(200, seed=4)
    np.testing.assert_array_equal(again.codes, drawn.codes)
    assert (other.codes != drawn.codes).all()
    standard = (diagonal.draw(70_000).codes.reshape(-1, 3).mean(0) - MEANS.mean(0)) / MEANS.std(0)
    assert np.abs(standard).max() < 0.02


def test_full_covariances_by_tfp():
    factors = np.tril(0.3 * GENERATOR.normal(size=(70, 3, 3))) + np.eye(3)
    posteriors = DistributionPosteriors(
        lambda rows: tfd.MultivariateNormalTriL(MEANS[rows], factors[rows]), count=70, examples=9
    )
    log_densities = [
        multivariate_normal(mean, factor @ factor.T).logpdf(CODES) for mean, factor in zip(MEANS, factors, strict=True)
    ]
    truth = logsumexp(log_densities, axis=0) - np.log(70)
    for block in (600, 2**21):
        np.testing.assert_allclose(posteriors.log_mixture(CODES, block=block), truth, atol=1e-9)
    drawn = posteriors.draw(150, seed=1)
    own = [log_densities_of(MEANS[n], factors[n], z) for n, z in zip(drawn.indices, drawn.codes, strict=True)]
    np.testing.assert_allclose(drawn.log_posterior, own, atol=1e-9)


def log_densities_of(mean, factor, code):
    return multivariate_normal(mean, factor @ factor.T).logpdf(code)


@pytest.mark.parametrize("kind", [RealNVPDensity, MAFDensity, IAFDensity])
def test_flow_posteriors(kind):
    """Every pair of an example and a code, against the flow called for each example alone."""
    layer = kind(layers=1, base=DiagonalNormal)
    layer.build((3,), 5)
    for variable in layer.trainable_variables:  # flows begin as the identity, whatever the context
        variable.assign(tf.random.stateless_normal(variable.shape, (1, 2), stddev=0.2))
    context = tf.random.stateless_normal((3, 5), (0, 0))
    posteriors = DistributionPosteriors(lambda rows: layer.distribution(tf.gather(context, rows)), count=3, examples=2)
    codes = CODES[:4].astype(np.float32)
    alone = [np.asarray(layer.distribution(context[n : n + 1]).log_prob(codes), np.float64) for n in range(3)]
    assert np.std(alone, axis=0).min() > 1e-3
    np.testing.assert_allclose(posteriors.log_mixture(codes), logsumexp(alone, axis=0) - np.log(3), atol=1e-5)
    drawn = posteriors.draw(6)
    own = layer.distribution(tf.gather(context, drawn.indices)).log_prob(drawn.codes.astype(np.float32))
    np.testing.assert_allclose(drawn.log_posterior, own, atol=1e-4)


@pytest.mark.parametrize(
    ("distribution", "form"),
    [
        (lambda m, s: tfd.Independent(tfd.Normal(m, s), 1), DiagonalPosteriors),
        (lambda m, s: tfd.MultivariateNormalDiag(m, s), DiagonalPosteriors),
        (lambda m, s: tfd.Independent(tfd.Deterministic(m), 1), PointPosteriors),
        (lambda m, s: tfd.Independent(tfd.Laplace(m, s), 1), DistributionPosteriors),
    ],
)
def test_the_form_is_chosen_by_the_distribution(distribution, form):
    batches = [np.arange(0, 30), np.arange(30, 60), np.arange(60, 70)]
    found = posteriors_of(lambda rows: distribution(MEANS[rows], SCALES[rows]), count=70, batches=batches)
    assert type(found) is form
    assert (found.count, found.dimensions) == (70, 3)
    if found.means is not None:
        np.testing.assert_array_equal(found.means, MEANS)
    drawn = found.draw(140)
    assert sorted(set(drawn.indices.tolist())) == list(range(70))
    assert (drawn.log_posterior is None) == (form is PointPosteriors)


def test_points_are_known_however_wrapped():
    points, normal = tfd.Deterministic(MEANS), tfd.Normal(MEANS, SCALES)
    for wrapped in (points, tfd.Independent(tfd.Independent(points, 1), 1), tfd.BatchBroadcast(points, (2, 70, 3))):
        assert is_deterministic(wrapped)
    assert not is_deterministic(tfd.Independent(normal, 1))


def test_points_have_no_density():
    posteriors = PointPosteriors(codes=MEANS)
    assert (posteriors.distinct(20), posteriors.distinct(20_000)) == (20, len(MEANS))
    np.testing.assert_array_equal(posteriors.draw(70).codes, MEANS[posteriors.draw(70).indices])
    with pytest.raises(UsageError, match="posteriors are deterministic"):
        posteriors.log_mixture(CODES)


def test_refusals(diagonal):
    with pytest.raises(UsageError, match="scales reach down to 0"):
        DiagonalPosteriors(means=MEANS, scales=0 * SCALES)
    with pytest.raises(UsageError, match=r"scales have shape \[69, 3\]"):
        DiagonalPosteriors(means=MEANS, scales=SCALES[1:])
    with pytest.raises(UsageError, match="means holds"):
        DiagonalPosteriors(means=np.full((2, 3), np.nan), scales=SCALES[:2])
    with pytest.raises(UsageError, match="codes have 2 dimensions"):
        diagonal.log_mixture(CODES[:, :2])
    with pytest.raises(UsageError, match="num_samples=1"):
        diagonal.draw(1)
