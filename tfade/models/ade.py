"""Adaptive Density Estimation: a VAE on learned features of images, trained by likelihood and an adversary at once."""

import functools

import gin
import tensorflow as tf

from tfade.contract import QUESTIONS, forwarded
from tfade.errors import UsageError, check_class, check_finite
from tfade.models.adversary import Adversary
from tfade.models.base import GenerativeModel
from tfade.models.latent import LatentVariableModel
from tfade.models.players import Player, Weighted
from tfade.models.vae import VAE
from tfade.networks.conditional import has_classifier, require_classes
from tfade.networks.sngan import SNGANDiscriminator
from tfade.objectives.divergences import LogRatio
from tfade.objectives.penalties import R1
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
@forwarded("autoencoder", *(question for question in QUESTIONS if question != "discriminate"))
class ADE(GenerativeModel):
    """A VAE whose decoder also plays the generator of a GAN: AV-ADE with a flow f, AV-GDE without.

        L_C = -E_q(z|y)[log p(f(y) | z)] + KL(q(z | y) ‖ p(z)) - log |det ∂f/∂y|
        L_Q = -E_p(z)[log D(x̃) - log(1 - D(x̃))],   x̃ = f⁻¹(μ(z))

        autoencoder    (L_C + λ L_Q) / D;   L_Q reaches decoder, f and a prior that has variables, not the encoder
        discriminator  -log D(x) - log(1 - D(x̃)) + penalty

    It wraps the autoencoder and delegates to it every question but `discriminate`. In a hierarchy z is all latents,
    drawn from their priors; L_Q reaches neither the layers of the decoder that belong to the posterior, nor the
    encoder's maps. Samples are what the discriminator sees: decoder means, without noise of pixels or features. D sees
    data at the middles of their quantisation bins, not dequantised: samples have no such noise, which would give the
    data away. Latents of the posterior and of the prior are decoded apart: in one batch, batch normalisation would let
    L_Q reach the encoder through the statistics.

    The paper's appendices are not published. Departures from it, and what it leaves open:

    - the balance: λ is 1 in its equation, so that L_Q, with a penalised discriminator, is a few nats of thousands. Here
      λ, the `quality_weight`, is how many nats of L_C a unit of the discriminator's logit is worth; a larger one buys
      samples with bits;
    - what D sees: samples of the prior. `discriminates_reconstructions` shows it f⁻¹(μ(z)) with z ~ q(z | y), too, as
      α-GAN and VGH++ do; L_Q and D's loss on fakes are then means over both kinds (there: sums), and reach neither
      encoder nor posterior. Without it nothing but L_C looks at decoded codes of the posterior, which may blur;
    - the decoder's normalisation: none in the recipes. Batch statistics are moved by latents of the posterior and of
      the prior in turn, and fit neither where the model serves;
    - the ratio of steps: one of each, both at once; `Optimization.schedule = (('discriminator',), ('autoencoder',))`
      alternates them as in the paper;
    - the penalty: zero-centred on data (`R1`). The paper cites a zero-centred one (Thanh-Tung et al. 2019), which is
      `GradientPenalty` with `target = 0`; on data alone it leaves the discriminator free where samples are.

    Args:
        spec: what the data look like, or the bare shape of an example.
        autoencoder: class of the autoencoder, `VAE`, made as `autoencoder(spec)`. Published choices: `VAE.flow` one
            scale of three residual blocks, two scales as refinement `s2`; `VAE.posterior` with IAF as `iaf`; a decoder
            of twice the width as `wg`. With `ConditionalVAE` the model is one of p(x | y) (the paper's appendix E).
        discriminator: class of D, images in [-1, 1] → logits, called as `discriminator(image_shape)`; a residual one is
            the refinement `rd`. Of a conditional model it is called with `num_classes`, too, as
            `ConditionalDiscriminator` is.
        divergence: class of the adversarial losses; `LogRatio` is the paper's.
        penalty: class of the discriminator's penalty, or None.
        quality_weight: λ ≥ 0, in nats.
        discriminates_reconstructions: whether decoded codes of the posterior serve as fakes, too.

    Raises:
        UsageError: a negative weight, an autoencoder that is not a VAE, or what `VAE` and the penalty reject.

    Reference: Lucas et al. 2019, equations 3 to 5 and section 4.
    """

    likelihood = "lower_bound"

    def __init__(
        self,
        spec,
        autoencoder=VAE,
        discriminator=SNGANDiscriminator,
        divergence=LogRatio,
        penalty=R1,
        quality_weight: float = 256.0,
        discriminates_reconstructions: bool = False,
    ):
        super().__init__(spec)
        check_class("autoencoder", autoencoder)
        check_finite("quality_weight", quality_weight)
        self.quality_weight = quality_weight
        self.discriminates_reconstructions = discriminates_reconstructions
        self.autoencoder = self.wrap(autoencoder(self.spec))
        if not isinstance(self.autoencoder, VAE) or self.autoencoder.has_implicit_posterior:
            raise UsageError(f"autoencoder={autoencoder!r} does not make a VAE with a bound; give @VAE in gin")
        if self.autoencoder.decode_is_random:
            raise UsageError(
                f"pixels={type(self.autoencoder.networks['pixels']).__name__} draws images pixel by pixel, through "
                "which no gradient of the discriminator passes; use IsotropicNormal or another that has means"
            )
        self.latent_size, self.pixel_levels = self.autoencoder.latent_size, self.autoencoder.pixel_levels
        self.gaussian_codes = self.autoencoder.gaussian_codes
        self.conditional, self.fields = self.autoencoder.conditional, self.autoencoder.fields
        if self.conditional:
            require_classes(discriminator)
            discriminator = functools.partial(discriminator, num_classes=self.spec.num_classes)
        self.discriminator = self.add_network("discriminator", discriminator, self.image_shape)
        if has_classifier(self.discriminator):
            raise UsageError(
                "discriminator has a classifier (ConditionalDiscriminator.auxiliary = True), which no loss of ADE "
                "trains; leave ConditionalDiscriminator.auxiliary False"
            )
        self.adversary = Adversary(self.discriminator, divergence, penalty)

    def players(self):
        networks = self.autoencoder.networks.values()
        return Player("autoencoder", *networks), Player("discriminator", self.discriminator)

    def losses(self, batch: Batch, seeds: Seeds):
        # 1. Coverage: the bound
        bound = self.autoencoder.bound_terms(batch, seeds)
        autoencoder = self.autoencoder.bound_losses(bound)
        # 2. Quality: samples of the prior, and reconstructions if wanted, against data
        real = self.network_input(batch.images)
        fakes = {"fake": self.autoencoder.generate(batch.size, seeds, batch.labels)}
        if self.discriminates_reconstructions:
            fakes["reconstruction"] = self.autoencoder.regenerate(tf.stop_gradient(bound.codes[:, 0]), batch.labels)
        fakes = {name: self.network_range(images) for name, images in fakes.items()}
        if self.conditional:  # samples have the labels of the data
            real, fakes = (real, batch.labels), {name: (images, batch.labels) for name, images in fakes.items()}
        adversarial, discriminator = self.adversary.terms(real, fakes, seeds, mean_of_fakes=True)
        weight = self.quality_weight / len(fakes) / self.spec.dimensions
        for name, values in adversarial.items():
            autoencoder["adversarial" if name == "fake" else f"adversarial_{name}"] = Weighted(weight, values)
        return {"autoencoder": autoencoder, "discriminator": discriminator}

    def initialise(self, batch: Batch):
        self.autoencoder.initialise(batch)

    def after_step(self, reported):
        self.autoencoder.after_step(reported)

    def validate(self, batch: Batch):
        return self.autoencoder.validate(batch)

    @property
    def code_noise_size(self):
        return self.autoencoder.code_noise_size

    def sampled_codes(self, x, noise, labels=None):
        return self.autoencoder.sampled_codes(x, noise, labels)

    @property
    def has_class_prior(self):
        return self.autoencoder.has_class_prior

    def draw_prior(self, n, temperature=1.0, seed=None, labels=None):
        return self.autoencoder.draw_prior(n, temperature, seed, labels)

    def network_input(self, x, noise=None):
        """Data as the discriminator sees them, in [-1, 1]: at the middles of their bins, unless levels are modelled.

        Whatever `noise` is: samples have none.
        """
        return super().network_input(x, 0.5 if self.pixel_levels is None else None)

    discriminate = LatentVariableModel.discriminate
