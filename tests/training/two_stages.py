"""A toy of two stages: an autoencoder, then a mixture by EM on its codes."""

import gin

from tfade.models.latent import Autoencoder
from tfade.models.players import Player
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.objectives.reconstruction import squared_error


@gin.register(module="tests")
class ToyAutoencoder(Autoencoder):
    """Squared error alone; the prior is fitted afterwards."""

    def __init__(self, spec, latent_size=4, encoder=DCGANEncoder, decoder=DCGANGenerator, prior=None):
        super().__init__(spec, latent_size, encoder, decoder, prior)

    def players(self):
        return (Player("autoencoder", self.encoder, self.decoder),)

    def losses(self, batch, seeds):
        x = self.network_input(batch.images)
        decoded = self.decoder(self.encoder(x, training=True), training=True)
        return {"autoencoder": {"reconstruction": squared_error(x, decoded)}}
