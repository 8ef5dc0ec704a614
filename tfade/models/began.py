"""BEGAN (Berthelot, Schumm and Metz 2017): a discriminator that reconstructs, and an equilibrium kept by control."""

import gin
import tensorflow as tf

from tfade.distributions.standard import StandardNormal
from tfade.errors import check_between, check_positive
from tfade.models.latent import LatentVariableModel
from tfade.models.players import Player, Weighted
from tfade.networks.autoencoding import AutoencodingDiscriminator
from tfade.networks.dcgan import DCGANGenerator
from tfade.numerics import replica_mean
from tfade.objectives.reconstruction import absolute_error
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class BEGAN(LatentVariableModel):
    """Boundary equilibrium GAN: a discriminator D that reconstructs data well and samples badly.

    With L(v) = mean |D(v) - v| over the dimensions of an example, z ~ p(z) and k₀ = 0:

        generator      L(G(z))
        discriminator  L(x) - k L(G(z)),   k ← clip(k + λ (γ L(x) - L(G(z))), 0, 1) after every step

    γ = E L(G(z)) / E L(x) is what the control aims at; a small one gives sharper samples of less diversity. The
    convergence measure L(x) + |γ L(x) - L(G(z))|, with means over the batch, is reported as
    "discriminator/convergence". `discriminate` returns -L(x): the larger, the more an image looks like data.

    Args:
        spec: what the data look like, or the bare shape of an example.
        latent_size: dimension of z.
        diversity: γ in (0, 1); the paper takes 0.3 to 0.7.
        gain: λ > 0 of the control.
        generator, discriminator: network classes, called as `generator(image_shape, latent_size)` and
            `discriminator(image_shape)`; the second returns a reconstruction. Neither normalises over the batch in the
            paper.
        prior: class of p(z), a `DistributionLayer`; it stays as it is made.

    Raises:
        UsageError: γ or λ out of range, or a latent size below 1.

    Reference: Berthelot et al. 2017, section 3.4; the measure is in section 3.4.1.
    """

    decoder_name = "generator"

    def __init__(
        self,
        spec,
        latent_size: int = 64,
        diversity: float = 0.5,
        gain: float = 1e-3,
        generator=DCGANGenerator,
        discriminator=AutoencodingDiscriminator,
        prior=StandardNormal,
    ):
        super().__init__(spec, latent_size, prior)
        check_between("diversity", diversity, 0.0, 1.0)
        check_positive("gain", gain)
        self.diversity, self.gain = diversity, gain
        self.generator = self.add_network("generator", generator, self.image_shape, latent_size)
        self.discriminator = self.add_network("discriminator", discriminator, self.image_shape)
        self.balance = self.add_weight(
            name="balance", shape=(), initializer="zeros", trainable=False, aggregation="only_first_replica"
        )

    def players(self):
        return Player("generator", self.generator), Player("discriminator", self.discriminator)

    def losses(self, batch: Batch, seeds: Seeds):
        real = self.network_input(batch.images)
        fake = self.generator(self.prior_sample(seeds, batch.size), training=True)
        on_real, on_fake = self._error(real), self._error(fake)
        return {
            "generator": {"reconstruction": on_fake},
            "discriminator": {
                "real": on_real,
                "fake": Weighted(-self.balance.value, on_fake),
                "convergence": Weighted(0.0, self._convergence(on_real, on_fake)),
            },
        }

    def _error(self, examples) -> tf.Tensor:
        """L(v) in training, [batch]."""
        return absolute_error(examples, self.discriminator(examples, training=True))

    def _convergence(self, on_real, on_fake) -> tf.Tensor:
        real, fake = (replica_mean(tf.reduce_mean(each)) for each in (on_real, on_fake))
        return real + tf.abs(self.diversity * real - fake)

    def after_step(self, reported):
        surplus = self.diversity * reported["discriminator/real"] - reported["discriminator/fake"]
        self.balance.assign(tf.clip_by_value(self.balance.value + self.gain * surplus, 0.0, 1.0))

    def discriminate(self, x, labels=None):
        self.checked_labels(labels)
        examples = self.network_input(x)
        return -absolute_error(examples, self.network("discriminator")(examples, training=False))
