"""Adversarially learned inference: BiGAN (Donahue et al. 2017) and ALI (Dumoulin et al. 2017)."""

import gin

from tfade.distributions.standard import StandardNormal
from tfade.models.latent import Autoencoder
from tfade.models.players import Player
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.joint import JointDiscriminator
from tfade.objectives.divergences import CrossEntropy
from tfade.questions import unanswered
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class BiGAN(Autoencoder):
    """A GAN of pairs: the discriminator tells (x, E(x)) of data from (G(z), z) of the prior.

        autoencoder          -log(1 - D(x, E(x))) - log D(G(z), z)
        joint_discriminator  -log D(x, E(x)) - log(1 - D(G(z), z))

    Encoder and generator minimise the discriminator's loss with swapped labels, which is the non-saturating form. At
    the optimum both joint distributions are one, and a deterministic E inverts G. With `gaussian_codes` the encoder is
    N(μ(x), σ²(x)), by reparameterisation, which is ALI.

    No term asks for G(E(x)) = x: short of the optimum, reconstructions are images of the same kind at best.

    Args:
        spec: what the data look like, or the bare shape of an example.
        latent_size: dimension of z.
        gaussian_codes: codes are Gaussian (ALI), otherwise deterministic (BiGAN).
        together: D sees both kinds of pairs in one batch, as in ALI's code; it matters where D normalises over the
            batch.
        encoder, generator, joint_discriminator: network classes, called as `encoder(image_shape, outputs)`,
            `generator(image_shape, latent_size)` and `joint_discriminator(image_shape, latent_size)`.
        prior: class of p(z), a `DistributionLayer`; it stays as it is made.
        divergence, penalty: classes of the losses and of the penalty (None for none), see `tfade.objectives`; a penalty
            is on the gradient with respect to both parts of a pair.

    Raises:
        UsageError: a latent size below 1, or a penalty that is incompatible with the discriminator.

    Reference: Donahue et al. 2017, equation 3; Dumoulin et al. 2017, equation 3 and algorithm 1.
    """

    decoder_name = "generator"

    def __init__(
        self,
        spec,
        latent_size: int = 50,
        gaussian_codes: bool = False,
        together: bool = True,
        encoder=DCGANEncoder,
        generator=DCGANGenerator,
        joint_discriminator=JointDiscriminator,
        prior=StandardNormal,
        divergence=CrossEntropy,
        penalty=None,
    ):
        super().__init__(spec, latent_size, encoder, generator, prior, gaussian_codes)
        self.together = together
        self.adversary = self.add_adversary(
            "joint_discriminator", joint_discriminator, divergence, penalty, [self.image_shape, latent_size]
        )

    def players(self):
        return (
            Player("autoencoder", self.encoder, self.decoder),
            Player("joint_discriminator", self.adversary.network),
        )

    def losses(self, batch: Batch, seeds: Seeds):
        x = self.network_input(batch.images)
        z = self.prior_sample(seeds, batch.size)
        inferred, generated = (x, self.code_sample(x, seeds)), (self.decoder(z, training=True), z)
        adversarial, discriminator = self.adversary.terms(
            inferred, {"generated": generated}, seeds, train_real_side=True, together=self.together
        )
        return {
            "autoencoder": {
                "inferred_adversarial": adversarial["real"],
                "generated_adversarial": adversarial["generated"],
            },
            "joint_discriminator": discriminator,
        }

    @unanswered("an adversary matches joint distributions, and no density is defined")
    def log_prob(self, x, num_samples=1, labels=None): ...
