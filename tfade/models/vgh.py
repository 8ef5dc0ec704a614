"""VAE–GAN hybrids without a likelihood: VGH and VGH++ (Rosca, Lakshminarayanan and Mohamed 2018)."""

import gin

from tfade.errors import check_choice, check_class, check_finite
from tfade.models.latent import Autoencoder
from tfade.models.players import Player, Weighted
from tfade.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from tfade.networks.discriminators import CodeDiscriminator
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.reconstruction import REDUCTIONS, absolute_error
from tfade.questions import unanswered
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class VGH(Autoencoder):
    """Variational GAN hybrid: both terms of the variational bound are replaced by adversaries.

    With codes ẑ = E(x), reconstructions x̂ = G(ẑ), z ~ N(0, I), data discriminator D and code discriminator C, and every
    adversarial loss in its non-saturating form:

        encoder             λ_E ‖x - x̂‖₁ - log C(ẑ)
        generator           λ_G ‖x - x̂‖₁ - log D(x̂)
        discriminator       -log D(x) - log(1 - D(x̂))
        code_discriminator  -log C(z) - log(1 - C(ẑ))

    Args:
        spec: what the data look like, or the bare shape (H, W, C).
        latent_size: dimension of the code.
        encoder_weight: λ_E ≥ 0; the paper sweeps 1, 5, 10, 50.
        generator_weight: λ_G ≥ 0; the paper sweeps 1, 5, 10, 50.
        reconstruction_reduction: ‖·‖₁ as the "mean" over pixels (alpha-GAN's code) or the "sum"; the paper does not
            say, and the scale of λ depends on it. Images are in [-1, 1] here.
        gaussian_codes: codes N(μ(x), σ²(x)) by reparameterisation. The paper leaves it open for these models and
            reports that the variance collapses in the AAE, so the default is a deterministic code.
        encoder_fools_discriminator: the other reading of the paper. Its appendix F gives the encoder no loss of the
            data discriminator (the default); in section 5.1 both encoder and decoder minimise it on reconstructions.
        encoder, generator, discriminator, code_discriminator: network classes, called as `encoder(image_shape,
            outputs)`, `generator(image_shape, latent_size)`, `discriminator(image_shape)` and
            `code_discriminator(latent_size)`.
        divergence, penalty: classes of the data discriminator's losses and penalty (None for none), see
            `tfade.objectives`.
        code_divergence, code_penalty: those of the code discriminator.

    Raises:
        UsageError: a weight that is negative, a latent size below 1, or a penalty that does not suit a discriminator.

    Reference: Rosca et al. 2018, section 5 and appendix F (VGH: equations 8, 13, 14; VGH++: equation 9).
    """

    decoder_name = "generator"
    discriminates_samples = False

    def __init__(
        self,
        spec,
        latent_size: int = 64,
        encoder_weight: float = 10.0,
        generator_weight: float = 10.0,
        reconstruction_reduction: str = "mean",
        gaussian_codes: bool = False,
        encoder_fools_discriminator: bool = False,
        encoder=DCGANEncoder,
        generator=DCGANGenerator,
        discriminator=DCGANDiscriminator,
        code_discriminator=CodeDiscriminator,
        divergence=CrossEntropy,
        penalty=None,
        code_divergence=CrossEntropy,
        code_penalty=None,
    ):
        for name, value in (("encoder_weight", encoder_weight), ("generator_weight", generator_weight)):
            check_finite(name, value)
        check_class("code_divergence", code_divergence)
        check_class("code_penalty", code_penalty, optional=True)
        check_choice("reconstruction_reduction", reconstruction_reduction, list(REDUCTIONS))
        super().__init__(spec, latent_size, encoder, generator, gaussian_codes=gaussian_codes)
        self.encoder_weight, self.generator_weight = encoder_weight, generator_weight
        self.reconstruction_reduction = reconstruction_reduction
        self.encoder_fools_discriminator = encoder_fools_discriminator
        self.adversary = self.add_adversary("discriminator", discriminator, divergence, penalty, [self.image_shape])
        self.discriminator = self.adversary.network
        self.code_adversary = self.add_adversary(
            "code_discriminator", code_discriminator, code_divergence, code_penalty, [latent_size]
        )
        self.generator, self.code_discriminator = self.decoder, self.code_adversary.network

    def players(self):
        return (
            Player("encoder", self.encoder),
            Player("generator", self.generator),
            Player("discriminator", self.discriminator),
            Player("code_discriminator", self.code_discriminator),
        )

    def losses(self, batch: Batch, seeds: Seeds):
        # 1. Reconstruction
        x = self.network_input(batch.images)
        code, z = self.code_sample(x, seeds), self.prior_sample(seeds, batch.size)
        reconstruction = self.decoder(code, training=True)
        error = absolute_error(x, reconstruction, reduction=self.reconstruction_reduction)
        # 2. Codes against the prior
        code_terms, code_discriminator = self.code_adversary.terms(z, {"code": code}, seeds)
        # 3. Images against reconstructions, and samples
        fakes = {"reconstruction": reconstruction}
        if self.discriminates_samples:
            fakes["sample"] = self.decoder(z, training=True)
        adversarial, discriminator = self.adversary.terms(x, fakes, seeds)

        encoder = {
            "reconstruction": Weighted(self.encoder_weight, error),
            "code_adversarial": code_terms["code"],
        }
        if self.encoder_fools_discriminator:
            encoder["reconstruction_adversarial"] = adversarial["reconstruction"]
        generator = {
            "reconstruction": Weighted(self.generator_weight, error),
            **{f"{name}_adversarial": values for name, values in adversarial.items()},
        }
        return {
            "encoder": encoder,
            "generator": generator,
            "discriminator": discriminator,
            "code_discriminator": code_discriminator,
        }

    @unanswered("adversaries replace both terms of its bound, so no density is defined")
    def log_prob(self, x, num_samples=1, labels=None): ...


@gin.register
class VGHPlusPlus(VGH):
    """VGH whose data discriminator sees samples as well as reconstructions.

    With `LogRatio` as both divergences it is α-GAN (gin/alpha_gan.gin).

    Adds -log D(G(z)) to the generator's loss and -log(1 - D(G(z))) to the discriminator's, z ~ N(0, I) being the draw
    that the code discriminator sees too.

    Reference: Rosca et al. 2018, appendix F, equation 9: data are real, reconstructions and samples are fake.
    """

    discriminates_samples = True
