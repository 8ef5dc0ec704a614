"""Adaptive Density Estimation: a VAE on learned features of images, trained by likelihood and an adversary at once."""

import gin
import tensorflow as tf

from tfade import numerics
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.pixels import IsotropicNormal
from tfade.distributions.standard import StandardNormal
from tfade.errors import check_finite
from tfade.models.adversary import Adversary
from tfade.models.players import Player, Weighted
from tfade.models.vae import VAE
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.sngan import SNGANDiscriminator
from tfade.objectives.divergences import LogRatio
from tfade.objectives.penalties import R1
from tfade.seeds import Seeds


@gin.register
class ADE(VAE):
    """A VAE whose decoder also plays the generator of a GAN: AV-ADE with a flow f, AV-GDE without.

        L_C = -E_q(z|y)[log p(f(y) | z)] + KL(q(z | y) ‖ p(z)) - log |det ∂f/∂y|
        L_Q = -E_p(z)[log D(x̃) - log(1 - D(x̃))],   x̃ = f⁻¹(μ(z))

        autoencoder    1/D (L_C) + w L_Q;   L_Q reaches the decoder, f and a prior that has variables: θ and ψ, not φ
        discriminator  -log D(x) - log(1 - D(x̃)) + penalty

    With latents inside the decoder z is all of them, drawn from their priors; L_Q reaches neither the layers of the
    decoder that belong to the posterior, nor the encoder's maps. Samples are what the discriminator judged: decoder
    means, without noise of pixels or features. D sees data at the middles of their quantisation bins, not dequantised:
    samples have no such noise either, it would tell them apart. Codes of the posterior and of the prior are decoded
    apart: in one batch, batch normalisation would let L_Q reach the encoder through the statistics.

    What the paper leaves open, for its appendices are not published, and what is chosen here:

    - the balance: both losses have weight 1 there; in nats for an image L_C is thousands of times as large as L_Q, so
      it is divided by the number of dimensions here, and L_Q has the weight `adversarial_weight`: more of it costs bits
      and gains samples. AV-ADE after 1,500 steps on Fashion-MNIST at 16×16, bits per dimension and Fréchet distance:
      4.4 and 55 with a weight of 0.1, 4.8 and 22 with 1 (a batch-normalised decoder); 4.8 and 13 with 1, 5.3 and 11
      with 3 (a decoder without). `per_dimension = False` is the paper's formula as it is written;
    - the decoder's normalisation: none in the recipes, as those numbers say; averages over the batch are moved by
      codes of the posterior and of the prior in turn, and fit neither where the model serves;
    - the ratio of steps: one of each, the least costly; with R1 the discriminator neither runs away nor is left behind
      on Fashion-MNIST (both of its losses end near log 2), so that more of its steps were not tried. On CIFAR-10 as
      JPEG it was ahead after 1,000 steps (losses of 0.1), and reconstructions suffered. In gin,
      `compile_model.schedule = (('discriminator',), ('autoencoder',))` alternates them as in the paper; without a
      schedule both move at once;
    - the penalty: zero-centred on data (`R1`). The paper cites a zero-centred one (Thanh-Tung et al. 2019), which is
      `GradientPenalty` with `target = 0`; on data alone it leaves the discriminator free where samples are.

    Args:
        image_shape, latent_size, encoder, decoder, posterior, prior, pixels, flow, context_size, kl_weight, warm_up,
            free_bits, importance_samples: see `VAE`. Published choices: `flow` one scale of three residual blocks, two
            scales as refinement `s2`; `posterior` with IAF as `iaf`; a decoder of twice the width as `wg`.
        discriminator: class of D, images in [-1, 1] → logits, called as `discriminator(image_shape)`; a residual one is
            the refinement `rd`.
        divergence: class of the adversarial losses; `LogRatio` is the paper's.
        penalty: class of the discriminator's penalty, or None.
        adversarial_weight: w ≥ 0.
        per_dimension: whether L_C is divided by the number of dimensions.

    Raises:
        UsageError: a negative weight, or what `VAE` and the penalty refuse.

    Reference: Lucas et al. 2019, equations 3 to 5 and section 4.
    """

    def __init__(
        self,
        image_shape,
        latent_size: int = 32,
        encoder=DCGANEncoder,
        decoder=DCGANGenerator,
        posterior=DiagonalNormal,
        prior=StandardNormal,
        pixels=IsotropicNormal,
        flow=None,
        context_size: int = 256,
        kl_weight: float = 1.0,
        warm_up: int = 0,
        free_bits: float = 0.0,
        importance_samples: int = 1,
        discriminator=SNGANDiscriminator,
        divergence=LogRatio,
        penalty=R1,
        adversarial_weight: float = 1.0,
        per_dimension: bool = True,
    ):
        super().__init__(
            image_shape,
            latent_size,
            encoder,
            decoder,
            posterior,
            prior,
            pixels,
            flow,
            context_size,
            kl_weight,
            warm_up,
            free_bits,
            importance_samples,
        )
        check_finite("adversarial_weight", adversarial_weight)
        self.adversarial_weight, self.per_dimension = adversarial_weight, per_dimension
        self.discriminator = self.add_network("discriminator", lambda: discriminator(self.image_shape))
        self.adversary = Adversary(self.discriminator, divergence, penalty)

    def players(self):
        others = [network for name, network in self.networks.items() if name != "discriminator"]
        return Player("autoencoder", *others), Player("discriminator", self.discriminator)

    def losses(self, x, seeds: Seeds):
        samples = self._images(self._generated(tf.shape(x)[0], seeds), self.networks.__getitem__)
        generator, discriminator = self.adversary.terms(self._judged(x), {"fake": 2.0 * samples - 1.0}, seeds)
        autoencoder = self._bound_terms(self._explained_in_training(x, seeds))
        if not self.per_dimension:
            scale = self.dimensions
            autoencoder = {name: Weighted(scale * weight, value) for name, (weight, value) in autoencoder.items()}
        autoencoder["adversarial"] = Weighted(self.adversarial_weight, generator["fake"])
        return {"autoencoder": autoencoder, "discriminator": discriminator}

    def discriminate(self, x):
        """The discriminator's logits [batch] on images (uint8, or float in [0, 1]), at the middles of the bins."""
        return tf.squeeze(self.network("discriminator")(self._judged(x), training=False), -1)

    def _judged(self, x) -> tf.Tensor:
        """Data as the discriminator sees them, in [-1, 1]."""
        unit = numerics.checked_unit(x, self.image_shape)
        return 2.0 * (numerics.dequantised(unit, 0.5) if self.levels is None else unit) - 1.0
