"""Models as estimators see them: VAEs with their own p(x | z), decoders with assumed noise, and what has neither."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.stats import multivariate_normal

from tests.models.vaes import model_of, probabilistic_pca
from tfade.contract import Contract
from tfade.data.loading import load
from tfade.distributions.gaussian import standard_normal
from tfade.errors import UsageError
from tfade.evaluation import NotApplicable, annealed_importance_sampling, importance_weighted_bound, latent_model
from tfade.evaluation.likelihood.latent_model import dequantised

tfd = tfp.distributions


class Linear(Contract):
    """Images ½ + W z without noise, of a GAN."""

    latent_size = 2

    def __init__(self):
        self.weights = 0.05 * np.random.default_rng(0).normal(size=(2, 16)).astype(np.float32)

    def prior(self, temperature=1.0):
        return standard_normal(2, temperature)

    def decode(self, z):
        return tf.reshape(0.5 + tf.matmul(z, self.weights), (-1, 4, 4, 1))


class Encoding(Linear):
    """With an encoder: of points, or of normals."""

    def __init__(self, stochastic):
        super().__init__()
        self._stochastic = stochastic

    def encode(self, x):
        mean = tf.zeros((tf.shape(x)[0], 2))
        return tfd.MultivariateNormalDiag(mean, tf.ones(2)) if self._stochastic else tfd.Independent(
            tfd.Deterministic(mean), 1
        )  # fmt: skip


@pytest.fixture
def squares():
    """Five images of Linear with noise of deviation 0.1, uint8 [5, 4, 4, 1]."""
    generator = np.random.default_rng(1)
    images = Linear().decode(generator.normal(size=(5, 2)).astype(np.float32)) + 0.1 * generator.normal(
        size=(5, 4, 4, 1)
    )
    return np.clip(np.round(255 * images), 0, 255).astype(np.uint8)


@pytest.fixture
def images():
    return load("digits", "train").fetch(np.arange(3))


def test_images_are_dequantised_as_for_the_likelihood(images):
    y = dequantised(images)
    np.testing.assert_array_equal(np.floor(256 * y), images)
    np.testing.assert_array_equal(y[1:2], dequantised(images[1:2]))
    np.testing.assert_array_equal(y, model_of().to_observation(images)[0])
    np.testing.assert_allclose(y, dequantised(images.astype(np.float32) / 255), atol=1e-6)
    vectors = np.linspace(-3, 3, 6).reshape(3, 2)
    np.testing.assert_allclose(dequantised(vectors), vectors, rtol=1e-6)


def test_the_likelihood_of_a_vae_is_found():
    """Probabilistic PCA as a VAE with a scaling flow: its own p(x | z), its log-determinant, its encoder."""
    model, weights, bias, _, scale = probabilistic_pca(0.5)
    (scale_of_flow,) = model.networks["flow"].trainable_variables[:1]
    scale_of_flow.assign(np.full(scale_of_flow.shape, 0.2))
    images = np.random.default_rng(2).integers(256, size=(4, 3, 3, 1)).astype(np.uint8)
    view = latent_model(model, images)
    factor = float(view.x[0, 0, 0, 0] / dequantised(images)[0, 0, 0, 0])
    np.testing.assert_allclose(view.log_det, 9 * np.log(factor), rtol=1e-5)
    marginal = multivariate_normal(bias, weights @ weights.T + scale**2 * np.eye(9))
    exact = np.mean(marginal.logpdf(view.x.reshape(4, 9)) + view.log_det)
    parts = {"log_likelihood": view.log_likelihood, "prior": view.prior, "log_det": view.log_det}
    annealed = annealed_importance_sampling(x=view.x, steps=100, jit_compile=False, **parts)
    assert abs(annealed.value - exact) < 4 * annealed.diagnostics["monte_carlo_error"] < 0.3
    weighted = importance_weighted_bound(x=view.x, k=300, posterior=view.posterior, **parts)
    assert abs(weighted.value - exact) < 0.4
    bound = model.log_prob(images, num_samples=300)
    assert weighted.value == pytest.approx(float(tf.reduce_mean(bound)), abs=0.4)


def test_the_likelihood_of_a_generator_with_noise_is_found(squares):
    model = Linear()
    view = latent_model(model, squares, 0.1)
    assert view.posterior is None
    assert view.protocol["sigma_standard_deviation"] == 0.1
    assert view.protocol["variance"] == pytest.approx(0.01)
    marginal = multivariate_normal(np.full(16, 0.5), model.weights.T @ model.weights + 0.01 * np.eye(16))
    exact = marginal.logpdf(dequantised(squares).reshape(5, 16)).mean()
    result = annealed_importance_sampling(
        x=view.x, steps=60, log_likelihood=view.log_likelihood, prior=view.prior, jit_compile=False
    )
    assert abs(result.value - exact) < 4 * result.diagnostics["monte_carlo_error"] < 0.4
    assert view.simulate(tf.zeros((1, 2)), (0, 1)).shape == (1, 4, 4, 1)


def test_only_an_encoder_with_a_density_is_a_posterior(squares):
    assert latent_model(Encoding(False), squares, 0.1).posterior is None
    assert latent_model(Encoding(True), squares, 0.1).posterior(squares / np.float32(256)).batch_shape == [5]


@pytest.mark.parametrize("sigma", [None, 0.0, -1.0, np.nan, np.inf])
def test_a_generator_without_noise_needs_some(squares, sigma):
    with pytest.raises(UsageError, match="sigma="):
        latent_model(Linear(), squares, sigma)


def test_refuses(images, squares):
    with pytest.raises(UsageError, match=r"sigma=0\.1, but VAE has its own p"):
        latent_model(model_of(), images, 0.1)
    with pytest.raises(NotApplicable, match="Contract has no decoder"):
        latent_model(Contract(), images)

    class Blind(Linear):
        decode = Contract.decode

    with pytest.raises(NotApplicable, match="Blind has no decoder"):
        latent_model(Blind(), squares, 0.1)

    class Conditional(Linear):
        conditional = True

    with pytest.raises(NotApplicable, match="Conditional is conditional"):
        latent_model(Conditional(), squares, 0.1)


@pytest.mark.parametrize("question", ["prior", "decode", "encode"])
def test_an_error_within_a_model_is_no_answer(squares, question):
    """A bug in an answer must not make the model one that does not answer."""

    class Broken(Encoding):
        pass

    def broken(self, *arguments):
        return self.no_such_attribute

    setattr(Broken, question, broken)

    def asked():
        view = latent_model(Broken(True), squares, 0.1)
        return view.log_likelihood(np.zeros((1, 2), np.float32), view.x[:1])

    with pytest.raises(AttributeError, match="no_such_attribute"):
        asked()


def test_no_noise_is_assumed_around_a_model_with_a_bound(squares):
    class Bounded(Encoding):
        likelihood = "lower_bound"

    for sigma in (None, 0.1):
        with pytest.raises(NotApplicable, match="Bounded has a bound but does not answer `observation`"):
            latent_model(Bounded(True), squares, sigma)
