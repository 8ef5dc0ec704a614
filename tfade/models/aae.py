"""The adversarial autoencoder (Makhzani et al. 2016), which is the Wasserstein autoencoder WAE-GAN at other weights."""

import gin

from tfade.distributions.standard import StandardNormal
from tfade.errors import check_choice, check_finite
from tfade.models.latent import Autoencoder
from tfade.models.players import Player, Weighted
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.discriminators import CodeDiscriminator
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.reconstruction import REDUCTIONS, squared_error
from tfade.questions import unanswered
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class AAE(Autoencoder):
    """An autoencoder whose codes are matched to the prior by a discriminator, in place of the KL term of a VAE.

    With codes ẑ = E(x), reconstructions x̂ = G(ẑ) and z ~ p(z):

        autoencoder         λ_R ‖x - x̂‖² + λ_A (-log C(ẑ));   the second term reaches the encoder alone
        code_discriminator  -log C(z) - log(1 - C(ẑ))

    with the cross entropy in its non-saturating form, which can be replaced. An optimal C estimates the divergence of
    the aggregate posterior q(z) = E_x q(z | x) from p(z).

    WAE-GAN (Tolstikhin et al. 2018, algorithm 1) is the same model. Its cost is 0.05 Σ (x - x̂)² of images in [0, 1]:
    `reconstruction_weight = 0.0125` and `reconstruction = "sum"` here, where they are in [-1, 1]. Its λ is
    `adversarial_weight`.

    Args:
        spec: what the data look like, or the bare shape of an example.
        latent_size: dimension of the code.
        reconstruction_weight: λ_R ≥ 0.
        adversarial_weight: λ_A ≥ 0. (WAE's code has λ on the discriminator's loss, too; Adam does not notice.)
        reconstruction: ‖·‖² as the "mean" over the dimensions of an example, or their "sum". Images are in [-1, 1].
        gaussian_codes: codes N(μ(x), σ²(x)) by reparameterisation, otherwise deterministic ones. Rosca et al. 2018
            report that the variance collapses.
        encoder, decoder, code_discriminator: network classes, called as `encoder(image_shape, outputs)`,
            `decoder(image_shape, latent_size)` and `code_discriminator(latent_size)`.
        prior: class of p(z), a `DistributionLayer`; it stays as it is made.
        divergence, penalty: classes of the code discriminator's losses and penalty (None for none), see
            `tfade.objectives`.

    Raises:
        UsageError: a weight that is negative, an unknown reduction, a latent size below 1, or a penalty that does not
            go with the discriminator.

    Reference: Makhzani et al. 2016, section 2; Tolstikhin et al. 2018, equation 4 and algorithm 1.
    """

    validation_error = staticmethod(squared_error)

    def __init__(
        self,
        spec,
        latent_size: int = 8,
        reconstruction_weight: float = 1.0,
        adversarial_weight: float = 1.0,
        reconstruction: str = "mean",
        gaussian_codes: bool = False,
        encoder=DCGANEncoder,
        decoder=DCGANGenerator,
        code_discriminator=CodeDiscriminator,
        prior=StandardNormal,
        divergence=CrossEntropy,
        penalty=None,
    ):
        check_finite("reconstruction_weight", reconstruction_weight)
        check_finite("adversarial_weight", adversarial_weight)
        check_choice("reconstruction", reconstruction, list(REDUCTIONS))
        super().__init__(spec, latent_size, encoder, decoder, prior, gaussian_codes)
        self.reconstruction_weight, self.adversarial_weight = reconstruction_weight, adversarial_weight
        self.reconstruction = reconstruction
        self.code_adversary = self.add_adversary(
            "code_discriminator", code_discriminator, divergence, penalty, [latent_size]
        )

    def players(self):
        return (
            Player("autoencoder", self.encoder, self.decoder),
            Player("code_discriminator", self.code_adversary.network),
        )

    def losses(self, batch: Batch, seeds: Seeds):
        # 1. Reconstruction
        x = self.network_input(batch.images)
        code, z = self.code_sample(x, seeds), self.prior_sample(seeds, batch.size)
        error = squared_error(x, self.decoder(code, training=True), reduction=self.reconstruction)
        # 2. Codes against the prior
        adversarial, discriminator = self.code_adversary.terms(z, {"code": code}, seeds)
        return {
            "autoencoder": {
                "reconstruction": Weighted(self.reconstruction_weight, error),
                "adversarial": Weighted(self.adversarial_weight, adversarial["code"]),
            },
            "code_discriminator": discriminator,
        }

    @unanswered("an adversary replaces the KL term of its bound, so no density is defined")
    def log_prob(self, x, num_samples=1, labels=None): ...
