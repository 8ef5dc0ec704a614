"""Feature maps of networks, and an encoder that hands them on."""

import functools

import keras
import numpy as np
import pytest

from tfade.errors import UsageError
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.discriminators import CodeDiscriminator
from tfade.networks.sngan import SNGANDiscriminator, SNGANGenerator
from tfade.networks.topdown import BottomUpEncoder, feature_maps


@pytest.mark.parametrize(
    ("network", "shapes"),
    [
        (lambda: DCGANGenerator((16, 16, 1), 5, width=4), [(4, 4, 8), (8, 8, 4)]),
        (lambda: DCGANGenerator((28, 28, 1), 5, width=4), [(7, 7, 8), (14, 14, 4)]),
        (lambda: DCGANEncoder((16, 16, 3), 5, width=4), [(8, 8, 4), (4, 4, 8)]),
        (lambda: SNGANGenerator((16, 16, 1), 5, width=2), [(4, 4, 8), (8, 8, 4), (16, 16, 2)]),
        (lambda: SNGANDiscriminator((16, 16, 1), width=2), [(16, 16, 2), (8, 8, 4), (4, 4, 8)]),
        (lambda: CodeDiscriminator(5, width=4), []),
    ],
)
def test_feature_maps_are_the_last_of_every_side(network, shapes):
    made = network()
    assert list(feature_maps(made).values()) == shapes
    positions = list(feature_maps(made))
    assert positions == sorted(positions)
    for position, shape in feature_maps(made).items():
        after = made.layers[position + 1].output.shape[1:]
        assert tuple(made.layers[position].output.shape[1:]) == shape
        assert tuple(after[:2]) != shape[:2] or made.layers[position + 1] in made.layers[-2:]


def test_the_encoder_is_its_network_with_maps():
    network = functools.partial(DCGANEncoder, width=4, initial_scale=None)
    encoder = BottomUpEncoder((16, 16, 1), 7, network)
    x = np.random.default_rng(0).normal(size=(3, 16, 16, 1)).astype(np.float32)
    context, maps = encoder(x, training=False)
    np.testing.assert_allclose(context, encoder.network(x, training=False), atol=1e-6)
    assert [tuple(features.shape[1:]) for features in maps] == list(encoder.map_shapes) == [(4, 4, 8), (8, 8, 4)]
    for features, layer in zip(maps, (encoder.network.layers[4], encoder.network.layers[1])):
        of_layer = keras.Model(encoder.network.inputs[0], layer.output)
        np.testing.assert_allclose(features, of_layer(x, training=False), atol=1e-6)


def test_the_encoder_normalises_over_the_batch_in_training_only():
    encoder = BottomUpEncoder((16, 16, 1), 7, functools.partial(DCGANEncoder, width=4, initial_scale=None))
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 1)).astype(np.float32)
    statistics = [variable.numpy() for variable in encoder.non_trainable_variables]
    alone, together = (encoder(x[:size], training=False)[0][:1] for size in (1, 4))
    np.testing.assert_allclose(alone, together, atol=1e-6)
    assert all(np.array_equal(old, new) for old, new in zip(statistics, encoder.non_trainable_variables))
    encoder(x, training=True)
    assert not any(np.array_equal(old, new) for old, new in zip(statistics, encoder.non_trainable_variables))


def test_networks_without_maps_are_rejected():
    with pytest.raises(UsageError, match="no feature maps"):
        BottomUpEncoder((16, 16, 1), 7, lambda shape, outputs: CodeDiscriminator(5, width=outputs))
    with pytest.raises(UsageError, match=r"not a keras\.Sequential"):
        feature_maps(keras.layers.Dense(3))
