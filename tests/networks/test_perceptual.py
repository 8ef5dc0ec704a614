"""Weights of a perceptual network come from their file."""

import keras
import numpy as np
import tensorflow as tf

from tfade.networks.perceptual import VGG16Features


def test_vgg_takes_the_weights_of_its_file(tmp_path):
    whole = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg.weights.h5"
    whole.save_weights(path)
    features = VGG16Features(str(path), ("block1_conv1",))
    features.load()
    kernel = features.network.layers[-1].get_weights()[0]
    np.testing.assert_array_equal(kernel, whole.get_layer("block1_conv1").get_weights()[0])
    x = np.random.default_rng(0).random((1, 4, 4, 3)).astype(np.float32)
    levels = 255 * x[..., ::-1] - (103.939, 116.779, 123.68)
    expected = tf.nn.relu(tf.nn.conv2d(levels, kernel, 1, "SAME"))
    np.testing.assert_allclose(features(x)[0], expected, rtol=1e-3, atol=1e-3)
