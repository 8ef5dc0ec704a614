"""BEGAN's discriminator, which is an autoencoder."""

import gin
import keras

from tfade.errors import check_class, check_sizes
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator


@gin.register
class AutoencodingDiscriminator(keras.layers.Layer):
    """Image or vector → its reconstruction, of the same shape and range.

    Args:
        event_shape: (H, W, C) or (D,).
        hidden_size: dimension of the code in between.
        encoder, decoder: network classes, called as `encoder(event_shape, hidden_size)` and `decoder(event_shape,
            hidden_size)`; in the paper the decoder is the generator's architecture.

    Raises:
        UsageError: a size below 1, or what is not a class.

    Reference: Berthelot et al. 2017, section 3.5.
    """

    def __init__(self, event_shape, hidden_size: int = 64, encoder=DCGANEncoder, decoder=DCGANGenerator):
        super().__init__()
        check_sizes("AutoencodingDiscriminator", hidden_size=hidden_size)
        check_class("AutoencodingDiscriminator.encoder", encoder)
        check_class("AutoencodingDiscriminator.decoder", decoder)
        self.encoder, self.decoder = encoder(tuple(event_shape), hidden_size), decoder(tuple(event_shape), hidden_size)
        self.built = True

    def call(self, inputs, training=None):
        return self.decoder(self.encoder(inputs, training=training), training=training)
