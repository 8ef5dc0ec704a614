"""VEEGAN (Srivastava et al. 2017): a GAN with a reconstructor of its latents, against mode collapse."""

import gin

from tfade.distributions.standard import StandardNormal
from tfade.errors import check_finite
from tfade.models.latent import Autoencoder
from tfade.models.players import Player, Weighted
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.joint import JointDiscriminator
from tfade.objectives.divergences import LogRatio
from tfade.objectives.reconstruction import squared_error
from tfade.questions import unanswered
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class VEEGAN(Autoencoder):
    """A generator G, a reconstructor F of its latents, and a discriminator D of pairs (x, F(x)) and (G(z), z).

        generator            log(1 - D(G(z), z)) - log D(G(z), z) + λ ‖z - F(G(z))‖²
        reconstructor        λ ‖z - F(G(z))‖², and in the other reading log D(x, F(x)) - log(1 - D(x, F(x)))
        joint_discriminator  -log D(x, F(x)) - log(1 - D(G(z), z))

    The error is one of latents, not of images: where G leaves modes out, F does not know them, and D sees that data
    are mapped to codes that do not look like the prior. D is the probability that a pair is of data; the paper's
    discriminator has the other sign.

    Args:
        spec: what the data look like, or the bare shape of an example.
        latent_size: dimension of z.
        reconstruction_weight: λ ≥ 0; 1 in the paper.
        reconstructor_fools_discriminator: the reconstructor minimises the adversarial term on its pairs, too, as in the
            authors' Julia code and in ports; algorithm 1 gives it the error alone (the default).
        gaussian_codes: F is stochastic, N(μ(x), σ²(x)) by reparameterisation. The error makes its variance small.
        together: D sees both kinds of pairs in one batch; it matters where D normalises over the batch.
        encoder, generator, joint_discriminator: network classes of F, G and D, called as `encoder(image_shape,
            outputs)`, `generator(image_shape, latent_size)` and `joint_discriminator(image_shape, latent_size)`.
        prior: class of p(z), a `DistributionLayer`; it stays as it is made.
        divergence, penalty: classes of the losses and of the penalty (None for none), see `tfade.objectives`.

    Raises:
        UsageError: a negative weight, a latent size below 1, or a penalty that is incompatible with the discriminator.

    Reference: Srivastava et al. 2017, equation 5 and algorithm 1.
    """

    decoder_name = "generator"

    def __init__(
        self,
        spec,
        latent_size: int = 32,
        reconstruction_weight: float = 1.0,
        reconstructor_fools_discriminator: bool = False,
        gaussian_codes: bool = True,
        together: bool = False,
        encoder=DCGANEncoder,
        generator=DCGANGenerator,
        joint_discriminator=JointDiscriminator,
        prior=StandardNormal,
        divergence=LogRatio,
        penalty=None,
    ):
        check_finite("reconstruction_weight", reconstruction_weight)
        super().__init__(spec, latent_size, encoder, generator, prior, gaussian_codes)
        self.reconstruction_weight = reconstruction_weight
        self.reconstructor_fools_discriminator, self.together = reconstructor_fools_discriminator, together
        self.adversary = self.add_adversary(
            "joint_discriminator", joint_discriminator, divergence, penalty, [self.image_shape, latent_size]
        )

    def players(self):
        return (
            Player("reconstructor", self.encoder),
            Player("generator", self.decoder),
            Player("joint_discriminator", self.adversary.network),
        )

    def losses(self, batch: Batch, seeds: Seeds):
        # 1. Latents through the generator and back
        z = self.prior_sample(seeds, batch.size)
        generated = self.decoder(z, training=True)
        error = squared_error(z, self.code_sample(generated, seeds, "reconstruction"), reduction="sum")
        # 2. Pairs of data against pairs of the generator
        x = self.network_input(batch.images)
        code = self.code_sample(x, seeds)
        adversarial, discriminator = self.adversary.terms(
            (x, code), {"generated": (generated, z)}, seeds, train_real_side=True, together=self.together
        )
        reconstruction = Weighted(self.reconstruction_weight, error)
        reconstructor = {"reconstruction": reconstruction}
        if self.reconstructor_fools_discriminator:
            reconstructor["adversarial"] = adversarial["real"]
        return {
            "reconstructor": reconstructor,
            "generator": {"reconstruction": reconstruction, "adversarial": adversarial["generated"]},
            "joint_discriminator": discriminator,
        }

    @unanswered("an adversary matches joint distributions, and no density is defined")
    def log_prob(self, x, num_samples=1, labels=None): ...
