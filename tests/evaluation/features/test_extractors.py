"""Extractors from Keras models and functions: known features, files, layers, the real SqueezeNet, refusals."""

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import SHARED
from tfade.errors import UsageError
from tfade.evaluation import CallableExtractor, Extractor, KerasExtractor, SqueezeNetExtractor
from tfade.evaluation.features.resize import resized
from tfade.networks.squeezenet import squeezenet

SQUEEZENET = SHARED / "squeezenet_imagenet" / "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3)).astype(np.uint8)


def small_model(shape=(16, 16, 3)):
    """The mean of each channel, four sums of it, and a softmax over those."""
    images = keras.Input(shape)
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(images)
    sums = keras.layers.Dense(4, name="sums")(pooled)
    return keras.Model(images, keras.layers.Softmax(name="shares")(sums), name="small")


def test_layer_preprocessing_and_probabilities():
    model = small_model()
    means = IMAGES.astype(np.float64).mean((1, 2))
    extractor = KerasExtractor(model, layer="pooled", probabilities="shares")
    features, probabilities = extractor.outputs(IMAGES, 3)
    np.testing.assert_allclose(features, means / 255, rtol=1e-5)
    kernel, bias = model.get_layer("sums").get_weights()
    shares = np.exp(means / 255 @ kernel + bias)
    np.testing.assert_allclose(probabilities, shares / shares.sum(1, keepdims=True), rtol=1e-4)
    assert (features.dtype, probabilities.dtype) == (np.float32, np.float64)
    for preprocessing, expected in (
        ("symmetric", means / 127.5 - 1),
        ("levels", means),
        ("imagenet", (means / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("imagenet_bgr", means[:, ::-1] - [103.939, 116.779, 123.68]),
    ):
        found = KerasExtractor(model, layer="pooled", preprocessing=preprocessing).outputs(IMAGES)
        np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-3)
        assert found[1] is None


def test_feature_maps_are_averaged_and_images_resized():
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.ReLU()(images))
    features, _ = KerasExtractor(model, resize="legacy_pytorch").outputs(IMAGES)
    expected = resized(IMAGES, (8, 8), "legacy_pytorch").numpy().mean((1, 2)) / 255
    np.testing.assert_allclose(features, expected, rtol=1e-5)


def test_protocol_tells_extractors_apart(tmp_path):
    model = small_model()
    extractor = KerasExtractor(model, layer="pooled")
    protocol = extractor.protocol
    assert isinstance(extractor, Extractor)
    assert protocol["extractor"] == "small"
    assert protocol["resize"] == "clean to 16×16"
    assert KerasExtractor(model, name="mine").protocol["extractor"] == "mine"
    fingerprint = protocol["extractor_fingerprint"]
    model.save(tmp_path / "it.keras")
    again = KerasExtractor(str(tmp_path / "it.keras"), layer="pooled")
    assert again.protocol == protocol
    np.testing.assert_array_equal(again.outputs(IMAGES)[0], extractor.outputs(IMAGES)[0])
    model.get_layer("sums").set_weights([np.ones((3, 4)), np.ones(4)])
    assert KerasExtractor(model, layer="pooled").protocol["extractor_fingerprint"] != fingerprint


def test_grey_images_and_grey_models():
    grey = IMAGES[..., :1]
    features = KerasExtractor(small_model(), layer="pooled").outputs(grey)[0]
    np.testing.assert_allclose(features, np.repeat(grey.mean((1, 2)), 3, axis=-1) / 255, rtol=1e-5)
    one = KerasExtractor(small_model((16, 16, 1)), layer="pooled")
    assert one.outputs(grey)[0].shape == (7, 1)
    with pytest.raises(UsageError, match="images have 3 channels; small takes 1"):
        one.outputs(IMAGES)


def test_refuses_models_and_settings(tmp_path):
    model = small_model()
    (tmp_path / "text.keras").write_text("no model")
    for arguments, message in (
        ({"model": "nowhere.keras"}, "model='nowhere.keras' does not exist"),
        ({"model": str(tmp_path / "text.keras")}, "does not hold a whole Keras model"),
        ({"model": keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])}, "it must take images"),
        ({"model": model, "layer": "absent"}, "unknown layer 'absent'; 'small' has .*pooled"),
        ({"model": model, "preprocessing": "caffe"}, "preprocessing='caffe' is not one of unit"),
        ({"model": model, "resize": "nearest"}, "resize='nearest'"),
        ({"model": model, "size": (8, 8)}, r"size=\(8, 8\) does not match the model's input size \(16, 16\)"),
        ({"model": small_model((8, 8, 1)), "preprocessing": "imagenet"}, "is for 3 channels"),
    ):
        with pytest.raises(UsageError, match=message):
            KerasExtractor(**arguments)


def test_refuses_images():
    extractor = KerasExtractor(small_model())
    for images, message in (
        (IMAGES / 255.0, "uint8"),
        (IMAGES.transpose(0, 3, 1, 2), "NCHW"),
        (IMAGES[:0], "at least one"),
    ):
        for each in (extractor, CallableExtractor(lambda images: images.mean((1, 2)), "means")):
            with pytest.raises(UsageError, match=message):
                each.outputs(images)
    with pytest.raises(UsageError, match="batch_size=0"):
        extractor.outputs(IMAGES, 0)


def test_any_function_is_an_extractor(subject_of, stacked):
    extractor = CallableExtractor(lambda images: (images.mean((1, 2)), np.full((len(images), 2), 0.5)), "means")
    features, probabilities = extractor.outputs(IMAGES, 3)
    np.testing.assert_allclose(features, IMAGES.mean((1, 2)), rtol=1e-6)
    assert (features.dtype, probabilities.dtype, probabilities.shape) == (np.float32, np.float64, (7, 2))
    assert isinstance(extractor, Extractor)
    subject = subject_of(None, extractor=extractor)
    assert subject.feature_extractor is extractor
    with pytest.raises(UsageError, match="give an extractor"):
        subject_of(None, extractor=lambda images: images)
    for bad in (lambda images: images, lambda images: images.mean((1, 2))[:-1]):
        with pytest.raises(UsageError, match=r"features must be \[N, D\]"):
            CallableExtractor(bad, "bad").outputs(IMAGES)
    with pytest.raises(UsageError, match="name=''"):
        CallableExtractor(lambda images: images, "")


@pytest.mark.skipif(not SQUEEZENET.is_file(), reason=f"needs {SQUEEZENET.name} of the shared data")
def test_squeezenet_is_the_network_of_its_file():
    """The same features by TensorFlow's operations, with weights found by their names in the file."""
    extractor = SqueezeNetExtractor(str(SQUEEZENET), size=(48, 48))
    features, probabilities = extractor.outputs(IMAGES, 4)
    x = resized(IMAGES, (48, 48), "clean")[..., ::-1] - tf.constant([103.939, 116.779, 123.68])
    with h5py.File(SQUEEZENET) as file:

        def convolve(x, name, strides=1, padding="SAME"):
            kernel, bias = (file[name][weight][()] for weight in file[name].attrs["weight_names"])
            return tf.nn.relu(tf.nn.conv2d(x, kernel, strides, padding) + bias)

        x = tf.nn.max_pool2d(convolve(x, "conv1", 2, "VALID"), 3, 2, "VALID")
        for fire in range(2, 10):
            x = convolve(x, f"fire{fire}/squeeze1x1")
            x = tf.concat([convolve(x, f"fire{fire}/expand1x1"), convolve(x, f"fire{fire}/expand3x3")], -1)
            if fire in (3, 5):
                x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    expected = tf.reduce_mean(x, (1, 2)).numpy()
    assert expected.shape == (7, 512)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4 * expected.max())
    assert probabilities is None
    assert extractor.protocol["extractor"] == "squeezenet_1.1_imagenet"
    assert extractor.protocol["resize"] == "clean to 48×48"
    assert squeezenet().count_params() == 722_496


def test_squeezenet_refuses_other_files(tmp_path):
    with pytest.raises(UsageError, match="path='nowhere.h5' does not exist"):
        SqueezeNetExtractor("nowhere.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_group("conv1").attrs["weight_names"] = []
    (tmp_path / "text.h5").write_text("no weights")
    for name in ("other.h5", "text.h5"):
        with pytest.raises(UsageError, match="does not hold the weights of SqueezeNet 1.1"):
            SqueezeNetExtractor(str(tmp_path / name))
