"""Networks of translation: published shapes, receptive fields, reflections, normalisation of each example alone."""

import inspect
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfade.networks.layers import norm_layers
from tfade.networks.translation import PatchDiscriminator, ReflectionPadding, ResidualTranslator


def kernels(network) -> list[tuple[int, ...]]:
    return [tuple(v.shape) for v in network.trainable_variables if v.name == "kernel"]


def test_the_published_networks():
    """c7s1-64, d128, d256, nine R256, u128, u64, c7s1-3; C64-C128-C256-C512 (Zhu et al. 2017, section 7.2)."""
    defaults = inspect.signature(ResidualTranslator).parameters
    assert [defaults[name].default for name in ("width", "blocks", "halvings", "initial_scale")] == [64, 9, 2, 0.02]
    translator = ResidualTranslator((256, 256, 3), (256, 256, 3), width=4, blocks=2)
    up = [(3, 3, 8, 16), (3, 3, 4, 8)]  # transposed: outputs before inputs
    assert kernels(translator) == [(7, 7, 3, 4), (3, 3, 4, 8), (3, 3, 8, 16), *[(3, 3, 16, 16)] * 4, *up, (7, 7, 4, 3)]
    defaults = inspect.signature(PatchDiscriminator).parameters
    assert [defaults[name].default for name in ("width", "halvings", "initial_scale")] == [64, 3, 0.02]
    discriminator = PatchDiscriminator((256, 256, 3), width=4)
    assert kernels(discriminator) == [(4, 4, *pair) for pair in itertools.pairwise((3, 4, 8, 16, 32, 1))]
    assert discriminator.output_shape == (None, 30, 30, 1)


@pytest.mark.parametrize(("halvings", "field"), [(1, 16), (2, 34), (3, 70)])
def test_a_value_sees_a_patch(halvings, field):
    network = PatchDiscriminator((96, 96, 1), width=1, halvings=halvings, normalization=None, initial_scale=None)
    for variable in network.trainable_variables:
        variable.assign(tf.ones_like(variable))  # nothing is rectified away
    image = tf.ones((1, 96, 96, 1))
    with tf.GradientTape() as tape:
        tape.watch(image)
        values = network(image)
        middle = values[0, values.shape[1] // 2, values.shape[2] // 2, 0]
    seen = np.argwhere(tape.gradient(middle, image)[0, :, :, 0].numpy())
    assert (seen.max(0) - seen.min(0) + 1).tolist() == [field, field]


@pytest.mark.parametrize("shapes", [((16, 16, 1), (16, 16, 3)), ((8, 12, 3), (8, 12, 1))])
def test_translators_between_channels_and_of_oblong_images(shapes):
    network = ResidualTranslator(*shapes, width=2, blocks=1, halvings=2 if shapes[0][0] == 16 else 1)
    images = network(np.random.default_rng(0).normal(size=(2, *shapes[0])))
    assert images.shape == (2, *shapes[1])
    assert np.abs(images).max() <= 1


def test_reflections_repeat_no_border():
    row = np.arange(4.0).reshape(1, 4, 1, 1) * np.ones((1, 1, 4, 1))
    padded = ReflectionPadding(3)(row).numpy()[0, :, 0, 0]
    assert padded.tolist() == [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]


def test_instance_normalisation_by_hand():
    x = np.random.default_rng(1).normal(2.0, 3.0, (3, 5, 4, 2)).astype(np.float32)
    centred = x - x.mean((1, 2), keepdims=True)
    expected = centred / np.sqrt((centred**2).mean((1, 2), keepdims=True) + 1e-5)
    (layer,) = norm_layers("instance")
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


def test_a_translator_ignores_the_contrast_that_instance_normalisation_takes_away():
    """And an image is translated alike in any company."""
    keras.utils.set_random_seed(1)
    network = ResidualTranslator((8, 8, 1), (8, 8, 1), width=2, blocks=1, halvings=1, initial_scale=None)
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 1)).astype(np.float32)
    translated = network(x)
    np.testing.assert_allclose(network(5 * x + 3), translated, atol=1e-3)
    np.testing.assert_allclose(network(x[:2], training=True), translated[:2], atol=1e-5)
