"""Generative adversarial networks (Goodfellow et al. 2014), with any divergence, penalty and pair of networks."""

import gin
import tensorflow as tf

from tfade.models.latent import LatentVariableModel
from tfade.models.players import Player
from tfade.networks.sngan import SNGANDiscriminator, SNGANGenerator
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.penalties import R1
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class GAN(LatentVariableModel):
    """A generator G of images from latents z ~ N(0, I), and a discriminator D that tells them from data.

        generator      -log D(G(z))
        discriminator  -log D(x) - log(1 - D(G(z))) + ½ γ ‖∇D(x)‖²

    with the cross entropy in its non-saturating form and R1's penalty, γ = 1; both can be replaced. The networks see
    images in [-1, 1].

    Args:
        spec: what the data look like, or the bare shape (H, W, C).
        latent_size: dimension of z.
        generator, discriminator: network classes, called as `generator(image_shape, latent_size)` and
            `discriminator(image_shape)`. A discriminator with a gradient penalty must not normalise across examples.
        divergence: class of the losses, see `tfade.objectives.divergences`.
        penalty: class of the penalty, see `tfade.objectives.penalties`; None for none.
        dequantise: adds noise of one level to data, x = (levels + u) / 128 - 1, as SNGAN's code does, so that the
            discriminator cannot recognise data by their quantisation.

    Raises:
        UsageError: a latent size below 1, or a penalty that is incompatible with the discriminator.

    Reference: Goodfellow et al. 2014, equation 1 and section 3; Mescheder et al. 2018, equation 9.
    """

    decoder_name = "generator"

    def __init__(
        self,
        spec,
        latent_size: int = 128,
        generator=SNGANGenerator,
        discriminator=SNGANDiscriminator,
        divergence=CrossEntropy,
        penalty=R1,
        dequantise: bool = False,
    ):
        super().__init__(spec, latent_size)
        self.dequantise = dequantise
        self.generator = self.add_network("generator", generator, self.image_shape, latent_size)
        self.adversary = self.add_adversary("discriminator", discriminator, divergence, penalty, [self.image_shape])
        self.discriminator = self.adversary.network

    def players(self):
        return Player("generator", self.generator), Player("discriminator", self.discriminator)

    def losses(self, batch: Batch, seeds: Seeds):
        real = self.network_input(batch.images, self.uniform_noise(seeds))
        fake = self.generator(self.prior_sample(seeds, batch.size), training=True)
        generator, discriminator = self.adversary.terms(real, {"fake": fake}, seeds)
        return {"generator": {"adversarial": generator["fake"]}, "discriminator": discriminator}

    def network_input(self, x, noise=0.5) -> tf.Tensor:
        """Images in [-1, 1]; with `dequantise` noise is added, by default that of the middles of the bins."""
        return super().network_input(x, noise if self.dequantise else None)
