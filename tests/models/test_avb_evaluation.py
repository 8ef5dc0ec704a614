"""What evaluation makes of an implicit posterior, and likelihoods that do not depend on the discriminator."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.avb_toys import IMAGES, ONE_HOT, SMALL, VECTORS, mean_log_likelihood, part
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.implicit import ImplicitPosterior
from tfade.distributions.pixels import Bernoulli
from tfade.distributions.standard import StandardNormal
from tfade.evaluation import AnnealedImportanceSampling, ImportanceWeightedBound, Likelihood, Subject
from tfade.evaluation.latents.posterior_kinds import posteriors_of
from tfade.evaluation.likelihood.latent_model import latent_model
from tfade.models.avb import AVB
from tfade.models.latent_density import LatentDensity


def test_evaluation_takes_it_as_one_without_a_density():
    model, images = AVB((16, 16, 1), 3, **IMAGES), digits("train").fetch(np.arange(8))
    batches = [np.arange(0, 5), np.arange(5, 8)]
    posteriors = posteriors_of(lambda rows: model.encode(images[rows]), count=8, batches=batches)
    assert not posteriors.has_density
    assert posteriors.kind == "implicit"
    drawn = posteriors.draw(20)
    assert drawn.log_posterior is None
    assert drawn.codes.shape == (20, 3)
    np.testing.assert_array_equal(posteriors.draw(20).codes, drawn.codes)
    view = latent_model(model, images)
    proposal = view.posterior(view.x)
    assert np.isfinite(proposal.log_prob(proposal.mean())).all()
    assert "a bound only where it is optimal" in model.fit_protocol["log_ratio"]


class Wide(ImplicitPosterior):
    """Normal codes, about as wide as the prior."""

    def codes(self, noise, context):
        return 0.2 * context[..., :2] + 0.9 * noise[..., :2]


@pytest.mark.every(2, 1)
@pytest.mark.parametrize("adaptive_contrast", [False, True])
def test_estimates_of_the_likelihood_that_do_not_depend_on_the_discriminator(adaptive_contrast):
    """Importance weighting and annealing are bounds for any T, close to quadrature over codes; the model's own
    estimate is not, and is declared as one.
    """
    model = AVB(
        (2, 2, 1),
        2,
        posterior=part(Wide, noise_size=4, moments=64),
        pixels=Bernoulli,
        adaptive_contrast=adaptive_contrast,
        **VECTORS,
    )
    images = ArraySource("one-hot", "test", ONE_HOT)
    subject = Subject(model, images, images, num_samples=4, progress=lambda line: None)
    metric, last = (
        ImportanceWeightedBound(k=2000, num_real=4),
        model.networks["joint_discriminator"].trainable_variables[-1],
    )
    before, estimate = metric(subject)[-1], Likelihood()(subject)[-1]
    assert "normal with the moments" in before.protocol["proposal"]
    assert "log_ratio" not in before.protocol
    assert before.value == pytest.approx(mean_log_likelihood(model), abs=0.05)
    last.assign_add(tf.fill(last.shape, 50.0))
    annealing = {"num_real": 4, "num_simulated": 0, "chains": 500, "steps": 20, "leapfrogs": 3}
    annealed = AnnealedImportanceSampling(start="posterior", **annealing)(subject)[0]
    assert annealed.value == pytest.approx(mean_log_likelihood(model), abs=0.05)
    assert metric(subject)[-1].value == before.value
    assert Likelihood()(subject)[-1].value == pytest.approx(estimate.value + 50, abs=1e-3)


def test_its_estimate_is_declared_of_vectors_too():
    data = ArraySource("points", "test", np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32))
    model = AVB((3,), 2, posterior=SMALL, **VECTORS)
    (nats,) = Likelihood()(Subject(model, data, data, num_samples=4, progress=lambda line: None))
    assert "a bound only where it is optimal" in nats.protocol["log_ratio"]


@pytest.mark.parametrize("adaptive_contrast", [False, True])
def test_another_prior_has_a_bound_where_the_discriminator_does_not_know_the_first(adaptive_contrast):
    made = part(AVB, latent_size=2, posterior=SMALL, adaptive_contrast=adaptive_contrast, **VECTORS)
    model, x = LatentDensity((3,), made, DiagonalNormal), np.zeros((4, 3), np.float32)
    assert (model.likelihood, model.answers("log_prob")) == (
        ("lower_bound", True) if adaptive_contrast else (None, False)
    )
    assert model.decode(model.codes(x)).shape == (4, 3)


@pytest.mark.parametrize("prior", [DiagonalNormal, StandardNormal])
def test_of_another_prior_the_bound_needs_no_fit(prior):
    """The model has its own p(x | z), so none is assumed, although its discriminator knows another prior."""
    made = part(AVB, latent_size=2, posterior=part(Wide, noise_size=4, moments=64), pixels=Bernoulli, **VECTORS)
    model, images = LatentDensity((2, 2, 1), made, prior), ArraySource("one-hot", "test", ONE_HOT)
    assert model.likelihood is None

    def fit(*given):
        raise AssertionError("nothing is to be fitted")

    subject = Subject(model, images, images, num_samples=4, fit_bound=fit, progress=lambda line: None)
    nats = ImportanceWeightedBound(k=2000, num_real=4)(subject)[-1]
    assert nats.protocol["observation"] == "the model's p(x | z)"
    assert nats.value == pytest.approx(mean_log_likelihood(model), abs=0.1)
