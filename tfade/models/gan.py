"""Generative adversarial networks (Goodfellow et al. 2014), with any divergence, penalty and pair of networks."""

import gin
import tensorflow as tf

from tfade import numerics
from tfade.distributions.gaussian import standard_normal
from tfade.errors import check_whole
from tfade.models.adversary import Adversary
from tfade.models.base import GenerativeModel
from tfade.models.players import Player
from tfade.networks.sngan import SNGANDiscriminator, SNGANGenerator
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.penalties import R1
from tfade.seeds import Seeds, as_seed


@gin.register
class GAN(GenerativeModel):
    """A generator G of images from codes z ~ N(0, I), and a discriminator D that tells them from data.

        generator      -log D(G(z))
        discriminator  -log D(x) - log(1 - D(G(z))) + ½ γ ‖∇D(x)‖²

    with the cross entropy in its non-saturating form and R1's penalty, γ = 1; others are arguments. The networks see
    images in [-1, 1].

    Args:
        image_shape: (H, W, C).
        latent_size: dimension of the code.
        generator, discriminator: network classes, called as `generator(image_shape, latent_size)` and
            `discriminator(image_shape)`. A discriminator whose slope is penalised must not normalise across examples.
        divergence: class of the losses, see `tfade.objectives.divergences`.
        penalty: class of the penalty, see `tfade.objectives.penalties`; None for none.
        dequantise: adds noise of one level to data, x = (levels + u) / 128 - 1, as SNGAN's code does, so that the
            discriminator cannot tell data by their being quantised.

    Raises:
        UsageError: a latent size below 1, or a penalty that does not go with the discriminator.

    Reference: Goodfellow et al. 2014, equation 1 and section 3; Mescheder et al. 2018, equation 9.
    """

    def __init__(
        self,
        image_shape,
        latent_size: int = 128,
        generator=SNGANGenerator,
        discriminator=SNGANDiscriminator,
        divergence=CrossEntropy,
        penalty=R1,
        dequantise: bool = False,
    ):
        super().__init__(image_shape)
        check_whole("latent_size", latent_size)
        self.latent_size, self.dequantise = latent_size, dequantise
        self.generator = self.add_network("generator", lambda: generator(self.image_shape, latent_size))
        self.discriminator = self.add_network("discriminator", lambda: discriminator(self.image_shape))
        self.adversary = Adversary(self.discriminator, divergence, penalty)

    def players(self):
        return Player("generator", self.generator), Player("discriminator", self.discriminator)

    def losses(self, x, seeds: Seeds):
        rows = tf.shape(x)[0]
        real = self._signed(x, lambda: seeds.uniform("dequantisation", (rows, *self.image_shape)))
        z = seeds.rows("prior", rows, standard_normal(self.latent_size).sample)
        generator, discriminator = self.adversary.terms(real, {"fake": self.generator(z, training=True)}, seeds)
        return {"generator": {"adversarial": generator["fake"]}, "discriminator": discriminator}

    def _signed(self, x, noise) -> tf.Tensor:
        """Images in [-1, 1]; with dequantisation, `noise()` in [0, 1) puts each level into its bin."""
        unit = numerics.checked_unit(x, self.image_shape)
        return 2.0 * numerics.dequantised(unit, noise()) - 1.0 if self.dequantise else numerics.to_signed(unit)

    def prior(self, temperature=1.0):
        """N(0, temperature² I) over codes."""
        return standard_normal(self.latent_size, temperature)

    def sample(self, n, temperature=1.0, seed=None):
        return self.decode(self.prior(temperature).sample(n, seed=as_seed(seed)))

    def decode(self, z):
        return numerics.from_signed(self.network("generator")(z, training=False))

    def discriminate(self, x):
        """The discriminator's values [batch] on images; with dequantisation, at the middles of their bins."""
        return tf.squeeze(self.network("discriminator")(self._signed(x, lambda: 0.5), training=False), -1)
