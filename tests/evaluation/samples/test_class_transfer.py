"""Decoders that use their class, ignore it, or do so for some codes: the shares are known."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from tfade.contract import Contract
from tfade.data.source import ArraySource
from tfade.evaluation import NotApplicable, Subject, evaluate, select
from tfade.spec import Spec

CLASSES, COUNT, STEP = 5, 60, 40


def flat(split, shift=0):
    """Flat images whose level is 40 times their class, of `shift` classes further in the last sixth of them."""
    labels = np.arange(COUNT) % CLASSES
    levels = STEP * np.where(np.arange(COUNT) < COUNT * 5 // 6, labels, (labels + shift) % CLASSES)
    images = np.broadcast_to(levels[:, None, None, None], (COUNT, 4, 4, 1)).astype(np.uint8)
    return ArraySource("flat", split, images, labels, CLASSES)


class Model(Contract):
    """Codes are the levels of images, and decoders return one or the class that they are given."""

    conditional = True
    latent_size = 1
    spec = dataclasses.replace(Spec.of_shape((4, 4, 1)), num_classes=CLASSES)

    def __init__(self, ignores):
        self._ignores = ignores

    def codes(self, x, labels=None):
        return tf.cast(tf.reshape(x, (len(x), -1))[:, :1], tf.float32) / STEP

    def decode(self, z, labels=None):
        shown = tf.where(self._ignores(z[:, 0]), z[:, 0], tf.cast(labels, tf.float32))
        return tf.ones((len(z), 4, 4, 1)) * shown[:, None, None, None] * STEP / 255


def measured(model, real, batch_size=60):
    subject = Subject(model, real, flat("train"), batch_size=batch_size, progress=lambda line: None)
    subject.classifier = types.SimpleNamespace(
        modes=lambda images, batch_size: np.rint(images[:, 0, 0, 0] / STEP).astype(int),
        protocol={"classifier": "level"},
    )
    report = evaluate(subject, select("class_transfer"))
    return report.results or report.outcomes[0].not_applicable


@pytest.mark.parametrize("ignored", [0, 2, 5])  # so many of the five classes
@pytest.mark.parametrize("batch_size", [60, 7])  # as it is written, and in a graph
def test_shares_by_hand(ignored, batch_size):
    results = measured(Model(lambda code: code < ignored - 0.5), flat("test"), batch_size)
    assert list(results) == ["class_transfer", "class_retained"]
    np.testing.assert_allclose(results["class_transfer"].value, 1 - ignored / CLASSES)
    np.testing.assert_allclose(results["class_retained"].value, ignored / CLASSES)
    error = np.sqrt(ignored * (CLASSES - ignored) / COUNT) / CLASSES
    np.testing.assert_allclose(results["class_transfer"].std, error, atol=1e-12)
    assert results["class_transfer"].real.value == 1
    assert results["class_transfer"].protocol["classifier"] == "level"


def test_real_images_that_do_not_show_their_class():
    results = measured(Model(lambda code: code < -1), flat("test", shift=2))
    np.testing.assert_allclose(results["class_transfer"].value, 1)
    np.testing.assert_allclose(results["class_transfer"].real.value, 5 / 6)


def test_only_conditional_autoencoders_of_labelled_data():
    unconditional = Model(lambda code: code < 2)
    unconditional.conditional = False
    assert "is not conditional" in measured(unconditional, flat("test"))
    generator = type("Generator", (Contract,), {"conditional": True, "spec": Model.spec})()
    assert "codes" in measured(generator, flat("test"))
    bare = ArraySource("bare", "test", np.zeros((20, 4, 4, 1), np.uint8))
    with pytest.raises(NotApplicable, match="no labels"):
        select("class_transfer")[0](Subject(unconditional.__class__(None), bare, bare, progress=lambda line: None))
