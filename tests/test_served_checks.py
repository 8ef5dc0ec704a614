"""A served model refuses what the live one refuses: it gave 16 numbers for one image, and images of NaN."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.models.toys import ConditionalAutoencoder
from tests.models.vaes import model_of
from tfade.errors import UsageError
from tfade.export import export
from tfade.models.vgh import VGHPlusPlus
from tfade.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from tfade.networks.discriminators import CodeDiscriminator
from tfade.spec import Spec

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1), np.uint8)
UNIT = IMAGES / np.float32(255)
WRONG = {
    "one image": UNIT[0],
    "levels as floats": IMAGES.astype(np.float32),
    "another size": UNIT[:, :8, :8],
    "another layout": UNIT.reshape(3, 8, 32, 1),
    "three channels": np.repeat(UNIT, 3, -1),
    "channels first": UNIT.transpose(0, 3, 1, 2),
    "signed": 2 * UNIT - 1,
    "NaN": np.where(UNIT > 0.5, np.nan, UNIT),
    "infinite": np.where(UNIT > 0.5, np.inf, UNIT),
}
QUESTIONS = ("encode", "reconstruct", "discriminate")


@pytest.fixture(scope="module")
def model():
    return VGHPlusPlus(
        (16, 16, 1),
        3,
        encoder=functools.partial(DCGANEncoder, width=2),
        generator=functools.partial(DCGANGenerator, width=2),
        discriminator=functools.partial(DCGANDiscriminator, width=2),
        code_discriminator=functools.partial(CodeDiscriminator, width=4),
    )


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "export"
    export(model, folder)
    return tf.saved_model.load(str(folder)).signatures


@pytest.mark.parametrize("kind", WRONG)
def test_images_that_the_live_model_refuses(model, served, kind):
    for question in QUESTIONS:
        with pytest.raises(UsageError, match="images"):
            getattr(model, question)(WRONG[kind])
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)images must be floats in \[0, 1\]|shape"):
            served[question](images=tf.constant(WRONG[kind], tf.float32))


@pytest.mark.parametrize("kind", ["one image", "another size", "another layout", "three channels"])
def test_levels_of_a_wrong_shape(served, kind):
    for question in QUESTIONS:
        with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible with expected shape"):
            served[f"{question}_uint8"](images=tf.constant(np.rint(255 * WRONG[kind]), tf.uint8))


def test_latents_of_a_wrong_shape(served):
    for shape in ((3,), (2, 4), (1, 1, 3)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible with expected shape"):
            served["sample_from_latents"](latents=tf.zeros(shape))


def test_what_is_right_is_answered(model, served):
    """A batch of one, and the ends of [0, 1] with their rounding."""
    rounded = np.clip(UNIT, 0, 1) * np.float32(1 + 1e-6)
    for images in (UNIT[:1], UNIT, rounded):
        codes = served["encode"](images=tf.constant(images))["latents"]
        assert codes.shape == (len(images), 3)
        np.testing.assert_allclose(codes, model.codes(images), atol=1e-5)


def test_served_nats_are_the_live_ones_to_a_hundred_thousandth(tmp_path):
    model = model_of()
    export(model, tmp_path / "export")
    served = tf.saved_model.load(str(tmp_path / "export")).signatures
    for images, name in ((UNIT, "log_prob"), (IMAGES, "log_prob_uint8")):
        np.testing.assert_allclose(
            served[name](images=tf.constant(images))["log_prob"], model.log_prob(images), rtol=1e-5
        )


def test_classes_that_a_conditional_model_has_not(tmp_path):
    spec = Spec("digits", "train", (16, 16, 1), "uint8", (0, 255), num_classes=4, num_examples=12)
    export(ConditionalAutoencoder(spec), tmp_path / "export")
    served = tf.saved_model.load(str(tmp_path / "export")).signatures
    latents, scalars = tf.zeros((2, 3)), {"temperature": tf.constant(1.0), "seed": tf.constant(0, tf.int64)}
    for labels, words in (([0, 4], "0 to 3"), ([-1, 0], "0 to 3"), ([1], "one for each"), ([1, 1, 1], "one for each")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            served["sample_from_latents"](latents=latents, labels=tf.constant(labels))
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            served["sample"](n=tf.constant(2), **scalars, labels=tf.constant(labels))
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            served["reconstruct"](images=tf.constant(UNIT[:2]), labels=tf.constant(labels))
    assert served["sample_from_latents"](latents=latents, labels=tf.constant([0, 3]))["images"].shape[0] == 2
