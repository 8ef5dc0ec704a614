"""Flow-GAN: a flow as the generator, trained by likelihood, by an adversary, or by both (Grover et al. 2018)."""

import gin
import tensorflow as tf

from tfade.distributions.standard import StandardNormal
from tfade.errors import check_finite
from tfade.models.flow import FlowModel
from tfade.models.players import Player, Weighted
from tfade.networks.discriminators import ConvDiscriminator
from tfade.objectives.divergences import Wasserstein
from tfade.objectives.penalties import GradientPenalty
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class FlowGAN(FlowModel):
    """A flow G with an exact likelihood and a discriminator D that compares its samples with data.

        min_G max_D  V(G, D) - λ E_data[log p_G(x)]

        flow           -E D(G(z)) + λ E[-log p_G(x)]
        discriminator  -E D(x) + E D(G(z)) + γ (‖∇D(x̂)‖ - 1)²

    with the Wasserstein divergence and the gradient penalty; others are arguments. λ = 0 is adversarial training alone,
    which keeps its exact likelihood; training by likelihood alone is `FlowModel` with the same flow. Likelihoods are in
    nats for an image, summed over its dimensions, as in the paper. Its code divides the adversarial loss by λ instead,
    which is the same objective up to a factor that Adam undoes.

    The discriminator sees dequantised images in [0, 1] and the flow's samples in image space, unclipped (the paper's
    code). The paper takes five discriminator steps to one of the flow, on one batch and one draw of z: in gin
    `Optimization.schedule` with `fresh_batches = False` and `fresh_noise = False`. Fresh noise is the default here.

    Args:
        spec: what the data look like, or the bare shape: (H, W, C), or (D,) for vectors (with a discriminator of
            vectors).
        flow, prior: see `FlowModel`.
        discriminator: class of D, called as `discriminator(image_shape)`. One with a gradient penalty must not
            normalise across examples.
        likelihood_weight: λ ≥ 0. The paper has 0.1 for MNIST and 1 for CIFAR-10; the README of its code has others.
        divergence: class of the adversarial losses, see `tfade.objectives.divergences`.
        penalty: class of the discriminator's penalty, see `tfade.objectives.penalties`, with its own weight γ; None for
            none.

    Raises:
        UsageError: a negative weight, or a penalty that is incompatible with the discriminator.

    Reference: Grover, Dhar and Ermon 2018, equation 4; Gulrajani et al. 2017, equation 3.
    """

    def __init__(
        self,
        spec,
        flow=None,
        prior=StandardNormal,
        discriminator=ConvDiscriminator,
        likelihood_weight: float = 0.1,
        divergence=Wasserstein,
        penalty=GradientPenalty,
    ):
        check_finite("likelihood_weight", likelihood_weight)
        super().__init__(spec, flow, prior)
        self.likelihood_weight = likelihood_weight
        self.adversary = self.add_adversary("discriminator", discriminator, divergence, penalty, [self.image_shape])
        self.discriminator = self.adversary.network

    def players(self):
        return (*super().players(), Player("discriminator", self.discriminator))

    def losses(self, batch: Batch, seeds: Seeds):
        real = self.unit(batch.images, self.uniform_noise(seeds))
        # Unclipped: a little outside [0, 1] where a logit keeps its distance from the ends.
        fake = self.flow.bijector().forward(self.prior_sample(seeds, batch.size))
        adversarial, discriminator = self.adversary.terms(real, {"fake": fake}, seeds)
        flow = {"adversarial": adversarial["fake"]}
        if self.likelihood_weight:
            flow["nll"] = Weighted(self.likelihood_weight, self._nll(real, seeds))
        return {"flow": flow, "discriminator": discriminator}

    def network_input(self, x, noise=None) -> tf.Tensor:
        """Images in [0, 1], at the middles of their bins whatever `noise` is."""
        return self.unit(x, 0.5)
