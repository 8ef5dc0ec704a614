"""VAE–GAN hybrids without a likelihood: VGH and VGH++ (Rosca, Lakshminarayanan and Mohamed 2018)."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.distributions.gaussian import diagonal_normal, standard_normal
from tfade.errors import UsageError, check_finite, check_whole
from tfade.models.base import GenerativeModel
from tfade.models.players import Player, Weighted
from tfade.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from tfade.networks.mlp import CodeDiscriminator
from tfade.objectives import adversarial
from tfade.objectives.reconstruction import absolute_error
from tfade.seeds import Seeds, as_seed


@gin.register
class VGH(GenerativeModel):
    """Variational GAN hybrid: both terms of the variational bound are replaced by adversaries.

    With codes ẑ = E(x), reconstructions x̂ = G(ẑ), z ~ N(0, I), data discriminator D and code discriminator C, and every
    adversarial loss in its non-saturating form:

        encoder             λ_E ‖x - x̂‖₁ - log C(ẑ)
        generator           λ_G ‖x - x̂‖₁ - log D(x̂)
        discriminator       -log D(x) - log(1 - D(x̂))
        code_discriminator  -log C(z) - log(1 - C(ẑ))

    Args:
        image_shape: (H, W, C).
        latent_size: dimension of the code.
        encoder_weight: λ_E ≥ 0; the paper sweeps 1, 5, 10, 50.
        generator_weight: λ_G ≥ 0; the paper sweeps 1, 5, 10, 50.
        reconstruction_reduction: ‖·‖₁ as the "mean" over pixels (alpha-GAN's code) or the "sum"; the paper does not
            say, and the scale of λ depends on it. Images are in [-1, 1] here.
        stochastic_codes: Gaussian codes N(μ(x), σ²(x)) by reparameterisation. The paper leaves it open for these models
            and reports that the variance collapses in the AAE, so the default is a deterministic code.
        encoder_fools_discriminator: the other reading of the paper. Its appendix F gives the encoder no loss of the
            data discriminator (the default); in section 5.1 both encoder and decoder minimise it on reconstructions.
        encoder, generator, discriminator, code_discriminator: network classes, called as `encoder(image_shape,
            outputs)`, `generator(image_shape, latent_size)`, `discriminator(image_shape)` and
            `code_discriminator(latent_size)`.

    Raises:
        UsageError: a weight that is negative or a latent size below 1.

    Reference: Rosca et al. 2018, section 5 and appendix F (VGH: equations 8, 13, 14; VGH++: equation 9).
    """

    judges_samples = False

    def __init__(
        self,
        image_shape,
        latent_size: int = 64,
        encoder_weight: float = 10.0,
        generator_weight: float = 10.0,
        reconstruction_reduction: str = "mean",
        stochastic_codes: bool = False,
        encoder_fools_discriminator: bool = False,
        encoder=DCGANEncoder,
        generator=DCGANGenerator,
        discriminator=DCGANDiscriminator,
        code_discriminator=CodeDiscriminator,
    ):
        super().__init__(image_shape)
        for name, value in (("encoder_weight", encoder_weight), ("generator_weight", generator_weight)):
            check_finite(name, value)
        check_whole("latent_size", latent_size)
        if reconstruction_reduction not in ("mean", "sum"):
            raise UsageError(f"reconstruction_reduction={reconstruction_reduction!r} is neither 'mean' nor 'sum'")
        self.latent_size = latent_size
        self.encoder_weight, self.generator_weight = encoder_weight, generator_weight
        self.reconstruction_reduction = reconstruction_reduction
        self.stochastic_codes = stochastic_codes
        self.encoder_fools_discriminator = encoder_fools_discriminator
        shape, outputs = self.image_shape, latent_size * (2 if stochastic_codes else 1)
        self.encoder = self.add_network("encoder", lambda: encoder(shape, outputs))
        self.generator = self.add_network("generator", lambda: generator(shape, latent_size))
        self.discriminator = self.add_network("discriminator", lambda: discriminator(shape))
        self.code_discriminator = self.add_network("code_discriminator", lambda: code_discriminator(latent_size))

    def players(self):
        return (
            Player("encoder", self.encoder),
            Player("generator", self.generator),
            Player("discriminator", self.discriminator),
            Player("code_discriminator", self.code_discriminator),
        )

    def losses(self, x, seeds: Seeds):
        x, rows = numerics.to_signed(x), tf.shape(x)[0]
        code = self._codes(self.encoder(x, training=True), seeds)
        prior = seeds.rows("prior", rows, standard_normal(self.latent_size).sample)
        reconstruction = self.generator(code, training=True)
        error = absolute_error(x, reconstruction, reduction=self.reconstruction_reduction)
        on_data = self.discriminator(x, training=True)
        on_reconstruction = self.discriminator(reconstruction, training=True)
        on_prior = self.code_discriminator(prior, training=True)
        on_code = self.code_discriminator(code, training=True)

        losses = {
            "encoder": {
                "reconstruction": Weighted(self.encoder_weight, error),
                "code_adversarial": adversarial.non_saturating_loss(on_code),
            },
            "generator": {
                "reconstruction": Weighted(self.generator_weight, error),
                "reconstruction_adversarial": adversarial.non_saturating_loss(on_reconstruction),
            },
            "discriminator": {
                "real": adversarial.real_loss(on_data),
                "reconstruction": adversarial.fake_loss(on_reconstruction),
            },
            "code_discriminator": {
                "prior": adversarial.real_loss(on_prior),
                "code": adversarial.fake_loss(on_code),
            },
        }
        if self.encoder_fools_discriminator:
            losses["encoder"]["reconstruction_adversarial"] = adversarial.non_saturating_loss(on_reconstruction)
        if self.judges_samples:
            on_sample = self.discriminator(self.generator(prior, training=True), training=True)
            losses["generator"]["sample_adversarial"] = adversarial.non_saturating_loss(on_sample)
            losses["discriminator"]["sample"] = adversarial.fake_loss(on_sample)
        return losses

    def _codes(self, parameters, seeds: Seeds) -> tf.Tensor:
        """A code for each row of the encoder's output; reparameterised, with noise by position in the global batch."""
        if not self.stochastic_codes:
            return parameters
        posterior = diagonal_normal(parameters)
        return posterior.mean() + posterior.stddev() * seeds.normal("code", (tf.shape(parameters)[0], self.latent_size))

    def validate(self, x):
        reconstruction = self.reconstruct(x)
        return {"reconstruction": absolute_error(numerics.to_unit(x), reconstruction)}

    def prior(self, temperature=1.0):
        """N(0, temperature² I) over codes."""
        return standard_normal(self.latent_size, temperature)

    def sample(self, n, temperature=1.0, seed=None):
        return self.decode(self.prior(temperature).sample(n, seed=as_seed(seed)))

    def encode(self, x):
        parameters = self.network("encoder")(numerics.to_signed(x), training=False)
        if self.stochastic_codes:
            return diagonal_normal(parameters)
        return tfp.distributions.Independent(tfp.distributions.Deterministic(parameters), 1)

    def decode(self, z):
        return numerics.from_signed(self.network("generator")(z, training=False))

    def reconstruct(self, x):
        return self.decode(self.codes(x))

    def discriminate(self, x):
        return tf.squeeze(self.network("discriminator")(numerics.to_signed(x), training=False), -1)

    def log_prob(self, x, num_samples=1):
        raise self.cannot("log_prob", "adversaries replace both terms of its bound, so no density is defined")


@gin.register
class VGHPlusPlus(VGH):
    """VGH whose data discriminator judges samples as well as reconstructions.

    Adds -log D(G(z)) to the generator's loss and -log(1 - D(G(z))) to the discriminator's, z ~ N(0, I) being the draw
    that the code discriminator sees too.

    Reference: Rosca et al. 2018, appendix F, equation 9: data are real, reconstructions and samples are fake.
    """

    judges_samples = True
