"""What the suite asks of models: labels of conditional ones, and nothing that a model does not answer."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.contract import Contract
from tfade.data.digits import digits
from tfade.data.source import ArraySource
from tfade.evaluation import (
    ActiveUnits,
    ElboSurgery,
    Likelihood,
    NotApplicable,
    ReconstructionError,
    Subject,
    evaluate,
    select,
)
from tfade.evaluation.latents.codes import bounds
from tfade.spec import Spec

tfd = tfp.distributions
CLASSES, COUNT = 3, 60


def flat(split, seed):
    """Flat images whose level is 50 times their class; classes in the ratio 1 : 2 : 3."""
    labels = np.random.default_rng(seed).permutation(
        np.repeat(np.arange(CLASSES), (COUNT // 6, COUNT // 3, COUNT // 2))
    )
    images = np.broadcast_to(50 * labels[:, None, None, None], (COUNT, 4, 4, 1)).astype(np.uint8)
    return ArraySource("flat", split, images, labels, CLASSES)


class Conditional(Contract):
    """Every answer is right for the class that it was asked for, and wrong otherwise."""

    conditional = True
    likelihood = "lower_bound"
    latent_size = 2
    spec = dataclasses.replace(Spec.of_shape((4, 4, 1)), num_classes=CLASSES)

    def decode(self, z, labels=None):
        return tf.ones((len(z), 4, 4, 1)) * tf.reshape(tf.cast(labels, tf.float32) * 50 / 255, (-1, 1, 1, 1))

    def sample(self, n, temperature=1.0, seed=None, labels=None):
        return self.decode(np.zeros((n, 2)), labels)

    def prior(self, temperature=1.0):
        return tfd.MultivariateNormalDiag(tf.zeros(2), tf.ones(2))

    def encode(self, x, labels=None):
        mean = tf.stack([tf.cast(labels, tf.float32), -tf.cast(labels, tf.float32)], 1)
        return tfd.MultivariateNormalDiag(mean, 0.1 * tf.ones_like(mean))

    def log_prob(self, x, num_samples=1, labels=None):
        return -np.abs(np.asarray(x, np.float64)[:, 0, 0, 0] - 50 * np.asarray(labels))


class Levels:
    """A classifier of flat images, without training."""

    num_modes, protocol = CLASSES, {}

    def modes(self, images, batch_size):
        return images[:, 0, 0, 0] // 50


@pytest.fixture
def make():
    def subject(**settings):
        settings = {"num_samples": 600, "batch_size": 40, "progress": lambda line: None, **settings}
        return Subject(Conditional(), flat("test", 1), flat("train", 2), **settings)

    return subject


def test_samples_have_the_classes_of_the_training_data(make):
    subject = make()
    np.testing.assert_array_equal(subject.samples[:, 0, 0, 0], 50 * subject.sampler.labels)
    shares = np.bincount(subject.sampler.labels) / 600
    np.testing.assert_allclose(shares, [1 / 6, 2 / 6, 3 / 6], atol=0.06)
    fewer, other = make(num_samples=90), make(seed=1)
    np.testing.assert_array_equal(fewer.sampler.labels, subject.sampler.labels[:90])
    np.testing.assert_array_equal(fewer.samples, subject.samples[:90])
    assert (other.sampler.labels != subject.sampler.labels).any()


def test_questions_about_examples_come_with_their_labels(make):
    subject = make()
    subject.classifier = Levels()
    results = evaluate(subject, [ReconstructionError(), Likelihood(), ElboSurgery(100), ActiveUnits()]).results
    assert results["mean_absolute_error"].value < 1e-6
    assert results["same_label_share"].value == 1
    assert results["negative_log_likelihood"].value == 0
    assert results["negative_log_likelihood"].protocol["given"] == "labels"  # log p(x | y) is no log p(x)
    assert results["elbo"].value == 0
    assert results["active_units"].value == 2
    chosen = np.array([3, 50, 8])
    np.testing.assert_array_equal(bounds(subject, chosen), 0)
    for posteriors, source in ((subject.posteriors, subject.train), (subject.real_posteriors, subject.real)):
        np.testing.assert_array_equal(posteriors.means[:, 0], source.labels(np.arange(COUNT)))


def test_a_conditional_model_needs_labelled_data():
    bare = ArraySource("bare", "test", np.zeros((20, 4, 4, 1), np.uint8))
    subject = Subject(Conditional(), bare, bare, num_samples=5, progress=lambda line: None)
    with pytest.raises(NotApplicable, match="no labels to condition samples on"):
        _ = subject.samples


class Encoder(Contract):
    """A model that answers `encode` only."""

    def encode(self, x, labels=None):
        return tfd.Independent(tfd.Deterministic(tf.reshape(tf.cast(x, tf.float32), (len(x), -1))[:, :2]), 1)


@pytest.mark.parametrize("kind", [Contract, Encoder])
def test_what_a_model_does_not_answer_is_not_applicable(kind, cache_dir):
    """No metric fails, and only those of codes find something in a model that cannot sample."""
    subject = Subject(
        kind(), digits("test"), digits("train"), num_samples=30, cache_dir=cache_dir, progress=lambda line: None
    )
    report = evaluate(subject, select("all"))
    assert not report.failures
    measured = {outcome.metric for outcome in report.outcomes if outcome.not_applicable is None}
    assert measured == ({"active_units"} if kind is Encoder else set())
