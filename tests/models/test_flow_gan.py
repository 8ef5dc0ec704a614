"""Flow-GAN: who moves what, by which losses; the likelihood stays exact whatever trains it."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.test_flow import IMAGE_FLOW
from tfade.data.loading import load
from tfade.errors import UsageError
from tfade.flows.coupling import Coupling
from tfade.flows.stack import Stack
from tfade.models.flow import FlowModel
from tfade.models.flow_gan import FlowGAN
from tfade.models.optimization import Optimization
from tfade.networks.discriminators import ConvDiscriminator, MLPDiscriminator
from tfade.networks.layers import BatchNorm
from tfade.objectives.divergences import Hellinger, Hinge, Wasserstein
from tfade.objectives.penalties import R1, GradientPenalty
from tfade.seeds import Seeds
from tfade.spec import Batch

DISCRIMINATOR = functools.partial(ConvDiscriminator, channels=(4, 4), dense=(16,))
FIVE = (("discriminator",) * 5, ("flow",))


@pytest.fixture
def images():
    """Eight grey scans of digits, uint8 [8, 16, 16, 1]."""
    return load("digits", "train").fetch(np.arange(8))


def model_of(optimizer=None, schedule=None, compiled=True, **arguments) -> FlowGAN:
    keras.utils.set_random_seed(5)
    model = FlowGAN((16, 16, 1), IMAGE_FLOW, **{"discriminator": DISCRIMINATOR, **arguments})
    if compiled:
        model.compile(
            optimizer or (lambda name: keras.optimizers.Adam(1e-3, 0.5, 0.9)), Optimization(schedule=schedule)
        )
    return model


def values(network) -> list[np.ndarray]:
    return [variable.numpy() for variable in network.trainable_variables]


def moved(network, before) -> bool:
    return any(np.any(old != new) for old, new in zip(before, values(network)))


def test_the_terms_are_those_of_the_paper(images):
    """Equations of the docstring, computed here in another way."""
    model = model_of(likelihood_weight=0.3)
    seeds = Seeds(0, 0)
    losses = model.losses(Batch(tf.constant(images)), seeds)
    y = (images.astype(np.float32) + seeds.uniform("dequantisation", (8, 16, 16, 1))) / 256
    fake = model.flow.bijector().forward(model.prior().sample(8, seed=seeds("prior")))
    np.testing.assert_allclose(losses["discriminator"]["real"], -model.discriminator(y)[:, 0], rtol=1e-4)
    np.testing.assert_allclose(losses["discriminator"]["fake"], model.discriminator(fake)[:, 0], rtol=1e-4)
    np.testing.assert_allclose(losses["flow"]["adversarial"], -model.discriminator(fake)[:, 0], rtol=1e-4)
    weight, nll = losses["flow"]["nll"]
    assert weight == 0.3
    np.testing.assert_allclose(nll, -model.log_density(y), rtol=1e-4)
    assert losses["discriminator"]["gradient_penalty"].weight == 10.0


def test_without_likelihood_the_adversary_alone_trains(images):
    model = model_of(likelihood_weight=0.0)
    assert set(model.losses(Batch(tf.constant(images)), Seeds(0, 0))["flow"]) == {"adversarial"}
    assert model.likelihood == "exact"
    assert np.isfinite(model.log_prob(images)).all()


def test_five_discriminator_steps_share_their_noise_if_asked(images):
    """The paper's code draws one z for the six updates of a step."""
    for fresh in (True, False):
        model = model_of(compiled=False)
        model.compile(lambda name: keras.optimizers.SGD(0.0), Optimization(schedule=FIVE, fresh_noise=fresh))
        drawn = [model._seeds(index).normal("prior", (4, 2)).numpy() for index in range(6)]
        assert all(np.array_equal(drawn[0], other) for other in drawn[1:]) != fresh
        assert model.passes == (("discriminator",),) * 5 + (("flow",),)


@pytest.mark.full("all pairs of them are those of test_gan.py")
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("divergence", "penalty", "term"),
    [(Wasserstein, GradientPenalty, "gradient_penalty"), (Hinge, R1, "r1"), (Hellinger, None, None)],
)
def test_other_divergences_and_penalties_train(divergence, penalty, term, images):
    """All pairs of them train in test_gan.py."""
    model = model_of(divergence=divergence, penalty=penalty)
    for _ in range(2):
        logs = model.train_step(tf.constant(images))
    assert all(np.isfinite(value) for value in logs.values()), logs
    assert {name for name in logs if name.startswith("discriminator/")} == {
        f"discriminator/{name}" for name in ("real", "fake", "gradient_norm", *([term] if term else []))
    }


@pytest.mark.full("that of a flow alone is lowered in test_flow.py")
def test_the_likelihood_of_a_hybrid_rises(images):
    """Though an adversary trains the same flow."""
    model = model_of(schedule=(("discriminator",) * 2, ("flow",)), likelihood_weight=1.0)
    model.initialise(Batch(tf.constant(images)))
    before = float(tf.reduce_mean(model.log_prob(images)))
    step = tf.function(model.train_step, autograph=False)
    for _ in range(40):
        step(tf.constant(images))
    assert float(tf.reduce_mean(model.log_prob(images))) > before + 5


def test_the_discriminator_s_values_are_public(images):
    model = model_of()
    assert model.discriminate(images).shape == (8,)
    with pytest.raises(NotImplementedError, match="FlowModel cannot discriminate"):
        FlowModel((16, 16, 1), IMAGE_FLOW).discriminate(images)


def test_a_discriminator_with_a_gradient_penalty_must_not_mix_examples():
    def normalising(shape):
        return keras.Sequential([keras.Input(shape), BatchNorm(), keras.layers.Flatten(), keras.layers.Dense(1)])

    with pytest.raises(UsageError, match=r"GradientPenalty with weight=10.0.*normalises over the batch"):
        model_of(discriminator=normalising)
    model_of(discriminator=normalising, penalty=None)


def test_weights_are_not_negative():
    with pytest.raises(UsageError, match="likelihood_weight=-1.0"):
        model_of(likelihood_weight=-1.0)


def test_shapes_of_discriminators():
    assert ConvDiscriminator((28, 28, 1), (1, 64), (1024,)).output_shape == (None, 1)
    assert MLPDiscriminator((8,), 16, 2).output_shape == (None, 1)
    with pytest.raises(UsageError, match="8×8 pixels 4 times"):
        ConvDiscriminator((8, 8, 1), (2, 2, 2, 2))


def test_vectors_have_discriminators_of_their_own():
    flow = functools.partial(Stack, (Coupling,))
    with pytest.raises(UsageError, match=r"shape \(2,\); for vectors use MLPDiscriminator"):
        FlowGAN((2,), flow)
    with pytest.raises(UsageError, match="depth=0"):
        MLPDiscriminator((2,), depth=0)
    model = FlowGAN((2,), flow, discriminator=functools.partial(MLPDiscriminator, width=8, depth=1))
    losses = model.losses(Batch(tf.zeros((3, 2))), Seeds(0, 0))
    assert losses["discriminator"]["gradient_penalty"].value.shape == (3,)


def test_layer_norm_keeps_examples_apart(images):
    discriminator = ConvDiscriminator((16, 16, 1), (4, 8), (), layer_norm=True)
    x = images / np.float32(255)
    np.testing.assert_allclose(discriminator(x)[:1], discriminator(x[:1]), rtol=1e-4, atol=1e-5)
