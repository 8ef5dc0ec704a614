"""The bound of a model without a likelihood: an inference network around its frozen generator."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal

from tfade.data.source import ArraySource
from tfade.distributions.gaussian import standard_normal
from tfade.errors import UsageError
from tfade.evaluation import Likelihood
from tfade.evaluation.result import NotApplicable
from tfade.evaluation.subject import Subject
from tfade.models.gan import GAN
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.sngan import SNGANDiscriminator
from tfade.training.inference_bound import inference_bound

ENCODER = functools.partial(DCGANEncoder, width=4, initial_scale=None)


class LinearGAN(GAN):
    """A GAN whose images are linear in the code, so that the density with noise is known: x = ½ + W z."""

    def __init__(self, weights):
        super().__init__(
            (8, 8, 1),
            2,
            functools.partial(DCGANGenerator, width=2),
            functools.partial(SNGANDiscriminator, width=2),
        )
        self.linear = weights

    def decode(self, z):
        return tf.reshape(0.5 + tf.cast(z, tf.float32) @ self.linear, (-1, 8, 8, 1))


@pytest.fixture
def gan():
    weights = np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32) * 0.05
    return LinearGAN(tf.constant(weights))


@pytest.fixture
def source(gan):
    """Samples of the GAN with noise of deviation 0.05, as uint8 images."""
    generator = np.random.default_rng(1)
    images = gan.decode(generator.normal(size=(512, 2))) + 0.05 * generator.normal(size=(512, 8, 8, 1))
    return ArraySource("linear", "train", np.clip(np.round(255 * images), 0, 255).astype(np.uint8))


@pytest.mark.every(2)
def test_the_bound_approaches_the_likelihood_from_below(gan, source):
    before = [variable.numpy() for variable in gan.variables]
    lines = []
    bound = inference_bound(
        gan,
        source,
        steps=400,
        batch_size=32,
        learning_rate=5e-3,
        encoder=ENCODER,
        context_size=16,
        progress=lines.append,
    )
    images = source.fetch(np.arange(100))
    exact = multivariate_normal(
        np.full(64, 0.5), gan.linear.numpy().T @ gan.linear.numpy() + 0.05**2 * np.eye(64)
    ).logpdf((images.reshape(100, 64) + 0.5) / 256)
    np.testing.assert_allclose(bound.networks["pixels"].scale(), 0.05, rtol=0.15)
    gap = np.mean(exact) - np.mean(bound.log_prob(images, num_samples=10))
    assert -1.0 < gap < 6.0
    for old, variable in zip(before, gan.variables):
        np.testing.assert_array_equal(old, variable.numpy())
    assert len(lines) == 5


def test_the_metric_says_whose_likelihood_it_is(gan, source):
    subject = functools.partial(Subject, gan, source, source, num_samples=10, progress=lambda line: None)
    with pytest.raises(NotApplicable, match="--bound"):
        Likelihood()(subject())
    fit = functools.partial(inference_bound, steps=2, batch_size=8, encoder=ENCODER, progress=lambda line: None)
    results = {result.name: result for result in Likelihood()(subject(fit_bound=fit))}
    assert results["bits_per_dim"].protocol["inference"].startswith("fitted around the frozen generator")
    protocol = results["bits_per_dim"].protocol
    assert protocol["likelihood"] == "lower_bound"
    assert protocol["dequantisation"] == "noise by image, draw 0"
    assert (protocol["inference_steps"], protocol["inference_batch_size"]) == (2, 8)
    encoder = ENCODER((8, 8, 1), protocol["inference_context_size"])
    assert protocol["inference_encoder_parameters"] == encoder.count_params()


def test_bad_requests_are_refused(gan, source, monkeypatch):
    for name, value in (("steps", 0), ("steps", 2e3), ("batch_size", 0), ("learning_rate", -1e-3)):
        with pytest.raises(UsageError, match=f"inference_bound.{name}={value!r} must be a"):
            inference_bound(gan, source, **{name: value})
    monkeypatch.setattr(gan, "prior", lambda: standard_normal(2, 1.1))
    with pytest.raises(UsageError, match=r"not N\(0, I\)"):
        inference_bound(gan, source)
