"""The distance of decoded codes, and the likelihood of codes, over a model whose codes are the images themselves."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.contract import Contract
from tfade.data.source import ArraySource
from tfade.errors import UsageError
from tfade.evaluation import (
    CallableExtractor,
    CodeLikelihood,
    NotApplicable,
    ReconstructionFrechetDistance,
    Subject,
    frechet_distance,
)
from tfade.models.latent import deterministic
from tfade.spec import Spec

tfd = tfp.distributions


class Faithful(Contract):
    """Codes are pixels in [0, 1], with noise σ; the prior is N(0, I)."""

    latent_size, spec = 4, Spec.of_shape((2, 2, 1))

    def __init__(self, scale=None):
        self.scale = scale

    def encode(self, x, labels=None):
        codes = tf.reshape(tf.cast(x, tf.float32) / 255, (-1, 4))
        return (
            deterministic(codes) if self.scale is None else tfd.MultivariateNormalDiag(codes, self.scale * tf.ones(4))
        )

    def decode(self, z, labels=None):
        return tf.reshape(tf.clip_by_value(z, 0, 1), (-1, 2, 2, 1))

    def prior(self, temperature=1.0):
        return tfd.MultivariateNormalDiag(tf.zeros(4))


def images(split: str, seed: int) -> ArraySource:
    return ArraySource("noise", split, np.random.default_rng(seed).integers(40, 200, (60, 2, 2, 1)).astype(np.uint8))


def subject(model) -> Subject:
    features = CallableExtractor(lambda x: x.reshape(len(x), -1).astype(np.float32), "pixels")
    return Subject(model, images("test", 0), images("train", 1), 60, extractor=features, progress=lambda line: None)


def test_faithful_codes_have_the_distance_of_the_training_images():
    (result,) = ReconstructionFrechetDistance()(subject(Faithful()))
    real, train = (
        images(split, seed).fetch(np.arange(60)).reshape(60, -1) for split, seed in (("test", 0), ("train", 1))
    )
    assert result.name == "reconstruction_frechet_distance"
    assert result.value == pytest.approx(frechet_distance(real=real, fake=train).value)
    assert result.value == pytest.approx(result.real.value)
    assert result.protocol["codes"] == "samples"


def test_noise_of_the_posterior_is_in_samples_and_not_in_centres():
    noisy = subject(Faithful(scale=0.4))
    (drawn,), (centres,) = (ReconstructionFrechetDistance(codes)(noisy) for codes in ("samples", "centres"))
    assert centres.value == pytest.approx(centres.real.value)
    assert drawn.value > 3 * centres.value


def test_the_likelihood_of_codes_of_both_splits():
    test, train = CodeLikelihood()(subject(Faithful()))
    for result, source in ((test, images("test", 0)), (train, images("train", 1))):
        codes = source.fetch(np.arange(60)).reshape(60, -1) / 255
        nats = 0.5 * np.sum(codes**2, -1) + 2 * np.log(2 * np.pi)
        assert result.value == pytest.approx(nats.mean(), rel=1e-5)
        assert result.std == pytest.approx(nats.std(ddof=1) / np.sqrt(60), rel=1e-4)
        assert result.protocol["split"] == source.spec.split
    assert [result.name for result in (test, train)] == ["code_nll", "training_code_nll"]
    drawn = CodeLikelihood("samples")(subject(Faithful(scale=0.4)))[0]
    assert drawn.value == pytest.approx(test.value + 0.5 * 4 * 0.16, rel=0.05)


def test_models_without_codes_and_wrong_settings():
    class Nothing(Contract):
        spec = Spec.of_shape((2, 2, 1))

    for metric in (ReconstructionFrechetDistance, CodeLikelihood):
        with pytest.raises(NotApplicable, match="Nothing"):
            metric()(subject(Nothing()))
        with pytest.raises(UsageError, match="codes='all'"):
            metric("all")
