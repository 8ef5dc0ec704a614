"""Discriminators of pairs: an example together with its code."""

import gin
import keras
import tensorflow as tf

from tfade.errors import check_class, check_sizes
from tfade.networks.discriminators import MLPDiscriminator
from tfade.networks.layers import leaky_relu


@gin.register
class JointDiscriminator(keras.layers.Layer):
    """Pair (x, z) → value [batch, 1]: features h(x) beside z, then dense layers with leaky rectifiers of slope 0.2.

        T(x, z) = MLP([h(x), z]) + ½ ‖z‖² (where that is wanted)

    The gradient at a pair may be penalised if `encoder` does not normalise over the batch.

    Args:
        event_shape: of x, (H, W, C) or (D,).
        latent_size: dimension of z.
        encoder: class of h, called as `encoder(event_shape, features)`, such as `DCGANEncoder`; None: x itself, flat.
        features: outputs of h.
        width, depth: units of a hidden layer behind h, and how many there are.
        half_square: adds ½ ‖z‖², so that against a standard normal prior the network has to learn log q alone.

    Raises:
        UsageError: a size below 1, or what is not a class.

    Reference: Dumoulin et al. 2017 and Donahue et al. 2017 (pairs); Mescheder et al. 2017, their code (½ ‖z‖²).
    """

    def __init__(
        self,
        event_shape,
        latent_size: int,
        encoder=None,
        features: int = 128,
        width: int = 256,
        depth: int = 2,
        half_square: bool = False,
    ):
        super().__init__()
        check_class("JointDiscriminator.encoder", encoder, optional=True)
        check_sizes("JointDiscriminator", latent_size=latent_size, features=features, width=width, depth=depth)
        self.half_square = half_square
        if encoder is None:
            layers = [keras.layers.Flatten()]
        else:
            layers = [encoder(tuple(event_shape), features), leaky_relu()]
        self.features = keras.Sequential([keras.Input(tuple(event_shape)), *layers])
        self.head = MLPDiscriminator((self.features.output_shape[-1] + latent_size,), width, depth)
        self.built = True

    def call(self, pair, training=None):
        x, z = pair
        features = self.features(x, training=training)
        value = self.head(tf.concat([features, tf.cast(z, features.dtype)], -1), training=training)
        if self.half_square:
            value += 0.5 * tf.reduce_sum(tf.square(tf.cast(z, tf.float32)), -1, keepdims=True)
        return value
