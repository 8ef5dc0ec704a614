"""The extractor that makes an FID an FID: the Inception of 2015-12-05, from its own file."""

import hashlib
import io
import tarfile
import urllib.request
from pathlib import Path

import gin
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError, check_whole
from tfade.evaluation.batched import Batched
from tfade.evaluation.features.extractors import in_batches, three_channels
from tfade.evaluation.features.inception_graph import SIDE, inception_network, load_graph_weights
from tfade.evaluation.features.probabilities import softmax
from tfade.evaluation.features.resize import LEGACY_TENSORFLOW, check_resize, resized
from tfade.files import write_atomically

INCEPTION = "inception_2015_12_05"
GRAPH_FILE = "classify_image_graph_def.pb"
GRAPH_BYTES = 95_673_916
GRAPH_SHA256 = "009d6814d1bc560d4e7b236e170e9b2d5ca6f4b57bd8037f6db05776204415c6"


@gin.register
class InceptionExtractor:
    """The 2,048 pool_3 features and 1,008 class probabilities of the Inception of 2015-12-05.

        uint8 → grey repeated to 3 channels → 299×299 → (x − 128)/128 → network; softmax of the logits without bias

    Args:
        path: of classify_image_graph_def.pb. Where it does not exist and a `url` is given, it is fetched to there.
        url: of that file, or of the .tgz archive inception-2015-12-05.tgz that TensorFlow's authors publish and that
            holds it; None for no download.
        sha256: of the file, which is rejected if it differs; None to take any file of the same structure, whose
            distances are then not called FID.
        resize: "legacy_tensorflow" as in the FID paper, "legacy_pytorch" or "clean"; see `features.resize`.
        batch_size: most images at a time: 64 take about 1 GB, and a caller's larger batches are cut.

    Raises:
        UsageError: the file is missing, damaged or another one, or it cannot be fetched; an unknown resize.

    Reference: Heusel et al. 2017, section "FID"; Salimans et al. 2016, section 4, whose code leaves the biases out.
    """

    def __init__(
        self,
        path: str,
        url: str | None = None,
        sha256: str | None = GRAPH_SHA256,
        resize: str = LEGACY_TENSORFLOW,
        batch_size: int = 64,
    ):
        self.resize = check_resize("InceptionExtractor.resize", resize)
        self.batch_size = check_whole("InceptionExtractor.batch_size", batch_size)
        self.sha256 = _present(Path(path), url, sha256)
        self.network = inception_network()
        load_graph_weights(self.network, path)
        forward = tf.function(
            lambda images: self.network((resized(images, (SIDE, SIDE), self.resize) - 128.0) / 128.0, training=False),
            input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)],
            autograph=False,
        )
        self._forward = Batched(forward, traced=True)

    @property
    def protocol(self) -> dict:
        """The protocol of results that depend on these features."""
        return {
            "extractor": INCEPTION if self.sha256 == GRAPH_SHA256 else "inception of unknown weights",
            "extractor_fingerprint": self.sha256[:16],
            "extractor_sha256": self.sha256,
            "extractor_layer": "pool_3",
            "extractor_grey": "repeated to 3 channels",
            "resize": self.resize,
        }

    def outputs(self, images, batch_size: int = 500) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [N, 2048] and probabilities float64 [N, 1008] of uint8 images [N, H, W, 1 or 3].

        Raises:
            UsageError: not uint8 images with 1 or 3 channels last, or none of them.
        """
        features, logits = in_batches(self._forward, three_channels(images), min(batch_size, self.batch_size))
        return features, softmax(logits)


def is_inception(protocol: dict) -> bool:
    """Whether features with this protocol were made by the network that FID is defined by."""
    return protocol.get("extractor") == INCEPTION and protocol.get("extractor_sha256") == GRAPH_SHA256


def _present(path: Path, url: str | None, sha256: str | None) -> str:
    """Fetches the file where it is missing, checks it, and returns its sha256."""
    if not path.is_file():
        if url is None:
            raise UsageError(f"InceptionExtractor.path={str(path)!r} does not exist; {_instructions()}")
        _fetch(path, url, sha256)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and digest != sha256:
        size = path.stat().st_size
        short = f", {size:,} bytes of {GRAPH_BYTES:,}: cut short" if size < GRAPH_BYTES else ""
        raise UsageError(
            f"InceptionExtractor.path={str(path)!r} has sha256 {digest}{short}, but {sha256} is expected; "
            f"remove it, then {_instructions()}"
        )
    return digest


def _fetch(path: Path, url: str, sha256: str | None) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            content = answer.read()
        if content[:2] == b"\x1f\x8b":
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                content = archive.extractfile(GRAPH_FILE).read()
    except (OSError, ValueError, EOFError, KeyError, tarfile.TarError) as error:
        raise UsageError(
            f"InceptionExtractor.url={url!r} gave no {GRAPH_FILE} ({type(error).__name__}: {error}); {_instructions()}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if sha256 is not None and digest != sha256:
        raise UsageError(
            f"InceptionExtractor.url={url!r} gave {len(content):,} bytes with sha256 {digest}, but {sha256} is "
            f"expected; {_instructions()}"
        )
    write_atomically(path, lambda file: file.write(content))


def _instructions() -> str:
    return (
        f"take {GRAPH_FILE} ({GRAPH_BYTES:,} bytes) from the archive inception-2015-12-05.tgz of TensorFlow's models, "
        "copy it to a place of your own and name that by InceptionExtractor.path, or on a machine with network give "
        "the archive's address by InceptionExtractor.url"
    )
