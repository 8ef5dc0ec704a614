"""Inception from its graph file, against TensorFlow's importer of that file; what is refused."""

import hashlib
import io
import tarfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.inception_file import GraphFile, inception_file, run_by_importer
from tfade.errors import UsageError
from tfade.evaluation import InceptionExtractor
from tfade.evaluation.features.inception import GRAPH_FILE, GRAPH_SHA256, INCEPTION, _present, is_inception
from tfade.evaluation.features.inception_graph import load_graph_weights

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 40, 3)).astype(np.uint8)
IMAGES[0] = IMAGES[0, ..., :1]  # one of them is grey


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file with the published structure and random weights."""
    path = tmp_path_factory.mktemp("inception") / "graph.pb"
    inception_file(path)
    return path


@pytest.fixture(scope="module")
def extractor(path):
    return InceptionExtractor(str(path), sha256=None)


@pytest.fixture(scope="module")
def outputs(extractor):
    return extractor.outputs(IMAGES)


@pytest.mark.full("seconds of building; the structure is checked below, and of SqueezeNet the same by default")
def test_features_and_probabilities_are_the_importers(path, outputs):
    features, probabilities = outputs
    expected, logits = run_by_importer(path, IMAGES)
    assert expected.std() > 1
    np.testing.assert_allclose(features, expected, atol=1e-4)
    shares = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(probabilities, shares / shares.sum(1, keepdims=True), atol=1e-5)
    assert (features.dtype, probabilities.dtype) == (np.float32, np.float64)


@pytest.mark.full("seconds of building; the structure is checked below, and of SqueezeNet the same by default")
def test_it_has_the_published_number_of_weights(extractor):
    """23,868,176 with the biases of the 1,008 logits, which are not used."""
    assert extractor.network.count_params() + 1008 == 23_868_176


@pytest.mark.full("seconds of building; the structure is checked below, and of SqueezeNet the same by default")
def test_batch_size_and_repeated_grey_do_not_matter(extractor, outputs):
    for one, other in zip(extractor.outputs(IMAGES[1:], 1), outputs):
        np.testing.assert_allclose(one, other[1:], atol=2e-5)
    for one, other in zip(extractor.outputs(IMAGES[:1, ..., :1]), outputs):
        np.testing.assert_allclose(one, other[:1], atol=2e-5)


@pytest.mark.full("seconds of building; the structure is checked below, and of SqueezeNet the same by default")
def test_protocol_calls_other_weights_by_another_name(path, extractor):
    protocol = extractor.protocol
    assert protocol["extractor_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert protocol["extractor"] != INCEPTION
    assert protocol["resize"] == "legacy_tensorflow"
    assert not is_inception(protocol)
    assert is_inception({"extractor": INCEPTION, "extractor_sha256": GRAPH_SHA256})


@pytest.mark.full("seconds of building; the structure is checked below, and of SqueezeNet the same by default")
def test_refuses_images(extractor):
    for images, message in (
        (IMAGES / np.float32(255), "uint8"),
        (IMAGES.transpose(0, 3, 1, 2), "NCHW"),
        (IMAGES[0], r"\[N, H, W, C\]"),
        (IMAGES[..., :2], "1 or 3 channels"),
        (IMAGES[:0], "at least one"),
    ):
        with pytest.raises(UsageError, match=message):
            extractor.outputs(images)


def test_refuses_a_missing_or_other_file(path, tmp_path):
    with pytest.raises(UsageError, match="path='.*nowhere' does not exist; take classify_image_graph_def.pb"):
        InceptionExtractor(str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=f"has sha256 .*, but {GRAPH_SHA256} is expected; remove it, then take"):
        InceptionExtractor(str(path))
    short = tmp_path / "short.pb"
    short.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UsageError, match="1,000 bytes of 95,673,916: cut short"):
        InceptionExtractor(str(short))
    with pytest.raises(UsageError, match="resize='bilinear' is not one of"):
        InceptionExtractor(str(path), resize="bilinear")
    with pytest.raises(UsageError, match="batch_size=0"):
        InceptionExtractor(str(path), batch_size=0)


def changed(path, change):
    """A graph of one convolution, after a change of its nodes."""
    file = GraphFile()
    file.channels["images"] = 3
    file.conv("conv", "images", 32, 3, 3)
    change({node.name: node for node in file.graph.node})
    path.write_bytes(file.graph.SerializeToString())


def test_refuses_graphs_of_another_structure(tmp_path):
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(32, 3, use_bias=False, name="conv")])
    cases = (
        (lambda nodes: setattr(nodes["conv/batchnorm"], "name", "other"), "no node 'conv/batchnorm'"),
        (lambda nodes: setattr(nodes["conv/conv2d_params"], "name", "other"), "no node 'conv/conv2d_params'"),
        (lambda nodes: setattr(nodes["conv/batchnorm"].attr["variance_epsilon"], "f", 1e-5), "ε = 1e-05"),
        (
            lambda nodes: (
                nodes["conv/conv2d_params"]
                .attr["value"]
                .tensor.CopyFrom(tf.make_tensor_proto(np.zeros((5, 5, 3, 32), np.float32)))
            ),
            r"shapes \[\(5, 5, 3, 32\)\] at node 'conv'",
        ),
        (
            lambda nodes: (
                nodes["conv/batchnorm/beta"]
                .attr["value"]
                .tensor.CopyFrom(tf.make_tensor_proto(np.full(32, np.nan, np.float32)))
            ),
            "NaN or infinite weights in node 'conv/batchnorm/beta'",
        ),
    )
    for change, message in cases:
        changed(tmp_path / "changed.pb", change)
        with pytest.raises(UsageError, match=message):
            load_graph_weights(network, tmp_path / "changed.pb")
    (tmp_path / "text.pb").write_text("not a graph")
    with pytest.raises(UsageError, match="not a readable graph file"):
        load_graph_weights(network, tmp_path / "text.pb")


@pytest.mark.parametrize("packed", [False, True])
def test_fetches_the_file_or_its_archive_and_checks_it(tmp_path, packed):
    content = b"weights" * 1000
    digest, source, target = hashlib.sha256(content).hexdigest(), tmp_path / "source", tmp_path / "new" / GRAPH_FILE
    if packed:
        with tarfile.open(source, "w:gz") as archive:
            entry = tarfile.TarInfo(GRAPH_FILE)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    else:
        source.write_bytes(content)
    with pytest.raises(UsageError, match=f"gave 7,000 bytes with sha256 {digest}, but {GRAPH_SHA256}"):
        _present(target, source.as_uri(), GRAPH_SHA256)
    assert not target.exists()
    assert _present(target, source.as_uri(), digest) == digest
    assert target.read_bytes() == content
    assert _present(target, "file:///nowhere", digest) == digest  # nothing is fetched twice


def test_says_why_it_cannot_fetch(tmp_path):
    empty = tmp_path / "empty.tgz"
    with tarfile.open(empty, "w:gz"):
        pass
    for url in ((tmp_path / "absent").as_uri(), empty.as_uri(), "no address"):
        with pytest.raises(UsageError, match=r"url='.*' gave no classify_image_graph_def.pb \(.*\); take"):
            _present(tmp_path / "new.pb", url, GRAPH_SHA256)
