"""SqueezeNet 1.1 of ImageNet as an extractor: 3 MB of weights. Its Fréchet distance is not an FID."""

import gin

from tfade.evaluation.features.extractors import KerasExtractor
from tfade.evaluation.features.resize import CLEAN
from tfade.networks.squeezenet import load_squeezenet, squeezenet


@gin.register
class SqueezeNetExtractor(KerasExtractor):
    """The 512 features of SqueezeNet 1.1 after its last fire module, averaged over places.

    Args:
        path: weights without the top in the Keras layout (.h5): layers conv1, fire2/squeeze1x1, … fire9/expand3x3.
        size: (height, width) that images are brought to; the network was trained on 227×227 and takes 32×32 and more.
        resize: "legacy_tensorflow", "legacy_pytorch" or "clean"; see `tfade.evaluation.features.resize`.

    Raises:
        UsageError: the file is missing or holds other weights.

    Reference: Iandola et al. 2016, "SqueezeNet", and the authors' version 1.1, which pools earlier.
    """

    def __init__(self, path: str, size: tuple[int, int] = (227, 227), resize: str = CLEAN):
        network = squeezenet()
        load_squeezenet(network, path, "SqueezeNetExtractor.path")
        super().__init__(
            network, name="squeezenet_1.1_imagenet", preprocessing="imagenet_bgr", size=size, resize=resize
        )
