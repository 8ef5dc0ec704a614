"""CycleGAN: its losses by hand, what each term reaches, its domains, and what it refuses."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.cycle_gan import CycleGAN
from tfade.models.players import Weighted
from tfade.networks.translation import PatchDiscriminator, ResidualTranslator
from tfade.seeds import Seeds
from tfade.spec import Batch, Spec

NETWORKS = {
    "translator": functools.partial(ResidualTranslator, width=2, blocks=1, halvings=1, initial_scale=None),
    "discriminator": functools.partial(PatchDiscriminator, width=2, halvings=1, initial_scale=None),
}
PAIRS = ("discriminator", "other_discriminator")
# term → the networks that its gradient reaches
REACHED = {
    "translators/adversarial": {"translator", "other_discriminator"},
    "translators/adversarial_back": {"translator_back", "discriminator"},
    "translators/cycle": {"translator", "translator_back"},
    "translators/cycle_back": {"translator", "translator_back"},
    "translators/identity": {"translator"},
    "translators/identity_back": {"translator_back"},
    **{f"{player}/{term}": {player} for player in PAIRS for term in ("real", "fake")},
}


def translator_of(layer, **arguments):
    """A user's own class of translators, which does not look at the shape that it is to return."""
    return lambda image_shape, output_shape: keras.Sequential([keras.Input(image_shape), layer(**arguments)])


class Halved(keras.layers.Layer):
    """A translator that is a layer of its own, and returns images of half the size."""

    def __init__(self, image_shape, output_shape):
        super().__init__()
        self.convolution = keras.layers.Conv2D(output_shape[-1], 3, strides=2, padding="same")
        self.convolution.build((None, *image_shape))

    def call(self, inputs, training=None):
        return self.convolution(inputs)


def spec_of(shape=(8, 8, 3), other=(8, 8, 3)) -> Spec:
    second = None if other is None else dataclasses.replace(Spec.of_shape(other), name="second")
    return dataclasses.replace(Spec.of_shape(shape), name="first", other=second)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(2)
    return CycleGAN(spec_of(), identity_weight=5.0, pool_size=9, **NETWORKS)


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 8, 3), np.uint8)
    return Batch(tf.constant(images[0]), other=tf.constant(images[1]))


def terms_of(losses) -> dict:
    return {f"{player}/{name}": term for player, terms in losses.items() for name, term in terms.items()}


def test_the_losses_by_hand(model, batch):
    """The translators minimise (D - 1)² and the discriminators half of their squares, on old images after nine."""
    x, y = ((each.numpy() / 127.5 - 1).astype(np.float32) for each in (batch.images, batch.other))
    there, back = model.translator(x), model.translator_back(y)
    for step in range(2):
        terms = terms_of(model.losses(batch, Seeds(7, step)))
    values = {name: term.value if isinstance(term, Weighted) else term for name, term in terms.items()}
    weights = {name.partition("/")[2]: term.weight for name, term in terms.items() if isinstance(term, Weighted)}
    expected = {"cycle": 10.0, "cycle_back": 10.0, "identity": 5.0, "identity_back": 5.0}
    assert weights == {**expected, "adversarial": 2.0, "adversarial_back": 2.0}

    def mean(values):
        return np.mean(values, (1, 2, 3))

    judged, other_judged = model.adversary.network, model.other_adversary.network
    by_hand = {
        "translators/cycle": mean(np.abs(model.translator_back(there) - x)),
        "translators/cycle_back": mean(np.abs(model.translator(back) - y)),
        "translators/identity": mean(np.abs(model.translator(y) - y)),
        "translators/identity_back": mean(np.abs(model.translator_back(x) - x)),
        "translators/adversarial": mean((other_judged(there) - 1.0) ** 2) / 2,
        "translators/adversarial_back": mean((judged(back) - 1.0) ** 2) / 2,
        "discriminator/real": mean((judged(x) - 1.0) ** 2) / 2,
        "other_discriminator/real": mean((other_judged(y) - 1.0) ** 2) / 2,
    }
    for name, value in by_hand.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    # The same six images were translated in both steps, so the discriminator is shown them in another order.
    for name, fakes, network in (("discriminator", back, judged), ("other_discriminator", there, other_judged)):
        each = mean(network(fakes) ** 2) / 2
        assert {int(np.argmin(np.abs(each - value))) for value in values[f"{name}/fake"].numpy()} <= set(range(6))
        np.testing.assert_allclose(np.min(np.abs(each[:, None] - values[f"{name}/fake"]), 0), 0, atol=1e-6)
        assert np.any(np.abs(each - values[f"{name}/fake"]) > 1e-5)
    assert int(model.pool.count) == int(model.other_pool.count) == 9


def test_what_each_term_reaches(model, batch):
    with tf.GradientTape(persistent=True) as tape:
        losses = terms_of(model.losses(batch, Seeds(1, 5)))
        values = {name: getattr(term, "value", term) for name, term in losses.items()}
    assert values.keys() == REACHED.keys()
    for term, networks in REACHED.items():
        for name, network in model.networks.items():
            reached = [gradient is not None for gradient in tape.gradient(values[term], network.trainable_variables)]
            assert reached == [name in networks] * len(reached), (term, name)


def test_validation_is_the_cycle_loss(model, batch):
    """In its units, images in [-1, 1], and unweighted; in those of the public contract, [0, 1], it is half of that."""
    found, losses = model.validate(batch), model.losses(batch, Seeds(1, 0))["translators"]
    assert found.keys() == {"cycle", "cycle_back"}
    for name, values in found.items():
        np.testing.assert_allclose(values, losses[name].value, rtol=1e-5, err_msg=name)
    there_and_back = model.translate_back(model.translate(batch.images))
    x = batch.images.numpy() / 255.0
    np.testing.assert_allclose(found["cycle"], 2 * np.abs(there_and_back - x).mean((1, 2, 3)), rtol=1e-4)


def test_domains_of_unlike_channels():
    model = CycleGAN(spec_of((8, 8, 1), (8, 8, 3)), **NETWORKS)
    grey, colour = np.zeros((2, 8, 8, 1), np.uint8), np.zeros((2, 8, 8, 3), np.uint8)
    assert model.translate(grey).shape == (2, 8, 8, 3)
    assert model.translate_back(colour).shape == (2, 8, 8, 1)
    for ask, images in ((model.translate, colour), (model.translate_back, grey)):
        with pytest.raises(UsageError, match="images have shape"):
            ask(images)


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        (spec_of(other=None), {}, "data='first' is one; set other_data = NAME"),
        (spec_of((5,)), {}, "data='first' holds vectors"),
        (spec_of(other=(5,)), {}, "data='second' holds vectors"),
        (spec_of((8, 8, 1)), {"identity_weight": 5.0}, "identity_weight=5.0 compares .* use 0, or one load.channels"),
        (spec_of((8, 8, 1), (16, 16, 1)), {}, "of one height and width: set load.image_size"),
        (spec_of((9, 9, 1), (9, 9, 1)), {}, "halvings=1 does not suit images of shape"),
        (spec_of(), {"pool_size": -1}, "pool_size=-1"),
        (spec_of(), {"cycle_weight": -1.0}, "cycle_weight=-1.0"),
        (spec_of(), {"identity_weight": "x"}, "identity_weight='x'"),
        (spec_of(), {"adversarial_weight": np.inf}, "adversarial_weight=inf"),
        (spec_of(), {"discriminator": functools.partial(PatchDiscriminator, halvings=2)}, "needs images of 12 pixels"),
        (
            spec_of((8, 8, 1)),  # there it fits, and not on the way back
            {"translator": translator_of(keras.layers.Conv2D, filters=3, kernel_size=1)},
            r"translator made Sequential, which turns images of shape \(8, 8, 3\) into \(8, 8, 3\), .* are of shape "
            r"\(8, 8, 1\); give a class whose networks return the output_shape",
        ),
        (spec_of(), {"translator": Halved}, r"Halved, which turns images of shape \(8, 8, 3\) into \(4, 4, 3\)"),
        (spec_of(), {"translator": translator_of(keras.layers.GlobalMaxPool2D)}, r"into \(3,\), and"),
        (
            spec_of(),
            {"translator": lambda *shapes: keras.Sequential([keras.layers.Reshape((8, 8, 1))])},
            r"Sequential, which does not take images of shape \(8, 8, 3\) \(.*\); give a class whose",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(spec, arguments, message):
    with pytest.raises(UsageError, match=message) as raised:
        CycleGAN(spec, **{**NETWORKS, **arguments})
    assert "\n" not in str(raised.value)
