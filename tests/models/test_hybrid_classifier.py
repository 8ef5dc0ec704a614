"""Hybrid classifiers: what is trained, pairs' likelihoods, and a toy whose best accuracy is known."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfade.data.source import ArraySource
from tfade.errors import UsageError
from tfade.flows.actnorm import ActNorm
from tfade.flows.coupling import Coupling
from tfade.flows.stack import Stack
from tfade.models.hybrid_classifier import HybridClassifier
from tfade.networks.conditioner import MLPConditioner
from tfade.seeds import Seeds
from tfade.spec import Batch, Spec
from tfade.training.strategy import make_strategy

part = functools.partial
FLOW = part(Stack, (part(Stack, (ActNorm, part(Coupling, conditioner=part(MLPConditioner, width=16))), 2),))
SPEC = Spec("pairs", "train", (2,), "float32", None, num_classes=2, num_examples=4000)
APART = 1.2  # of each class's mean from the line between: the Bayes rate is Φ(1.2)


def pairs(count: int, seed: int = 0):
    """Two normal clusters of equal size, their labels, and log p(x, c)."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=count)
    means = APART * np.array([[0.6, 0.8], [-0.6, -0.8]])
    x = means[labels] + generator.normal(size=(count, 2))
    log_joint = np.log(0.5) + stats.norm.logpdf(x - means[labels]).sum(1)
    return x.astype(np.float32), labels.astype(np.int32), log_joint


def model_of(flow=FLOW, **arguments) -> HybridClassifier:
    keras.utils.set_random_seed(1)
    return HybridClassifier(SPEC, flow, **arguments)


def test_a_toy_of_known_bayes_rate():
    """λ = 1 is the likelihood of pairs: it nears the true one, and accuracy the Bayes rate."""
    x, labels, _ = pairs(4000)
    with make_strategy(devices=1).scope():
        model = model_of(density_weight=1.0)
        model.compile(lambda player: keras.optimizers.Adam(5e-3))
    data = tf.data.Dataset.from_tensor_slices({"images": x, "labels": labels}).shuffle(4000, seed=0).repeat().batch(200)
    model.fit(data, steps_per_epoch=400, verbose=0)
    test, classes, log_joint = pairs(4000, seed=1)
    found = model.log_joint(test, classes).numpy()
    log_classes = model.classify(test).numpy()
    chosen = log_classes[np.arange(4000), classes]
    np.testing.assert_allclose(found, model.log_prob(test) + chosen, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.exp(log_classes).sum(1), 1, rtol=1e-5)
    gap = log_joint - found
    assert -0.01 < gap.mean() < 0.15
    bayes = stats.norm.cdf(APART)
    assert np.mean(log_classes.argmax(1) == classes) == pytest.approx(bayes, abs=0.02)
    # A density of pairs: it sums to 1 over the plane and the classes.
    edge = np.linspace(-8, 8, 161, dtype=np.float32)
    grid = np.stack(np.meshgrid(edge, edge), -1).reshape(-1, 2)
    mass = sum(np.exp(model.log_joint(grid, np.full(len(grid), c))).sum() for c in range(2)) * 0.01
    assert mass == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("labels", [[0.0, 1.0], [0, 2], [-1, 0], [0]])
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(UsageError, match="labels (are|lie in)"):
        model_of().log_joint(np.zeros((2, 2), np.float32), labels)


@pytest.mark.parametrize(("weight", "expected"), [(0.0, 0.0), (None, 0.5), (1.0, 1.0), (0.25, 0.25)])
def test_the_weight_of_the_density(weight, expected):
    """Terms by hand; λ = 0 leaves the density out, None is 1/D."""
    model = model_of(density_weight=weight)
    x, labels, _ = pairs(8)
    terms = model.losses(Batch(tf.constant(x), tf.constant(labels)), Seeds(0, 0))["flow"]
    chosen = model.classify(x).numpy()[np.arange(8), labels]
    np.testing.assert_allclose(terms["cross_entropy"], -chosen, rtol=1e-5)
    assert model.density_weight == expected
    if not expected:
        assert set(terms) == {"cross_entropy"}
        return
    assert terms["nll"].weight == expected
    np.testing.assert_allclose(terms["nll"].value, -model.log_prob(x), rtol=1e-5)


def test_validation_reports_both():
    model, (x, labels, _) = model_of(), pairs(50)
    terms = model.validate(Batch(tf.constant(x), tf.constant(labels)))
    right = model.classify(x).numpy().argmax(1) == labels
    np.testing.assert_array_equal(terms["accuracy"], right.astype(np.float32))
    assert set(terms) == {"cross_entropy", "accuracy", "nll"}


@pytest.mark.parametrize(
    ("make_wrong", "message"),
    [
        (lambda: model_of(density_weight=-0.1), "density_weight=-0.1 must be a finite number ≥ 0"),
        (lambda: model_of(density_weight="1/D"), "density_weight='1/D' must be a finite number"),
        (lambda: HybridClassifier((2,), FLOW), "has no classes; give labelled data, or use FlowModel"),
        (lambda: HybridClassifier(ArraySource("toy", "train", np.zeros((4, 2), np.float32)).spec, FLOW), "data='toy'"),
    ],
)
def test_invalid_input_is_rejected(make_wrong, message):
    with pytest.raises(UsageError, match=message):
        make_wrong()
