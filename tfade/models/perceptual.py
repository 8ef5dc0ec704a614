"""The perceptual part of a reconstruction loss: the distance of features of a network that is not trained."""

import tensorflow as tf

from tfade.errors import check_finite
from tfade.models.base import GenerativeModel
from tfade.models.players import Weighted
from tfade.networks.perceptual import FeatureNetwork


class Perceptual:
    """The mean over a network's layers of E|F_l(x) - F_l(x̂)|, registered as the model's network "perceptual".

    The network's weights come from its file before the first step and lie in every checkpoint from then on, so that a
    run is continued and opened without the file.

    Args:
        model: that is trained by it.
        network: class of a `FeatureNetwork`, made without arguments.
        weight: λ_P ≥ 0.

    Raises:
        UsageError: a negative weight, not a class, or a network that does not take the model's images.
    """

    def __init__(self, model: GenerativeModel, network, weight: float):
        check_finite("perceptual_weight", weight)
        self.weight = weight
        self.network: FeatureNetwork = model.add_network("perceptual", network)
        self.network.check_shape(model.image_shape)

    def load(self) -> None:
        """Reads the weights from the file.

        Raises:
            UsageError: the file is missing or holds other weights.
        """
        self.network.load()

    def terms(self, x, decoded) -> dict[str, Weighted]:
        """{"perceptual": values [batch]} of images in [0, 1]; no gradient is sent to x."""
        real = [tf.stop_gradient(features) for features in self.network(x)]
        distances = [
            tf.reduce_mean(tf.abs(one - other), axis=(1, 2, 3)) for one, other in zip(real, self.network(decoded))
        ]
        return {"perceptual": Weighted(self.weight, tf.add_n(distances) / len(distances))}
