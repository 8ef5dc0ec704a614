"""Flow-GAN: a flow as the generator, trained by likelihood, by an adversary, or by both (Grover et al. 2018)."""

import gin
import tensorflow as tf

from tfade.distributions.standard import StandardNormal
from tfade.errors import check_finite
from tfade.models.adversary import Adversary
from tfade.models.flow import FlowModel
from tfade.models.players import Player, Weighted
from tfade.networks.critics import ConvDiscriminator
from tfade.objectives.divergences import Wasserstein
from tfade.objectives.penalties import GradientPenalty
from tfade.seeds import Seeds


@gin.register
class FlowGAN(FlowModel):
    """A flow G with an exact likelihood and a critic D that compares its samples with data.

        min_G max_D  V(G, D) - λ E_data[log p_G(x)]

        flow    -E D(G(z)) + λ E[-log p_G(x)]
        critic  -E D(x) + E D(G(z)) + γ (‖∇D(x̂)‖ - 1)²

    with the Wasserstein divergence and the gradient penalty; others are arguments. λ = 0 is adversarial training alone,
    which keeps its exact likelihood; training by likelihood alone is `FlowModel` with the same flow. Likelihoods are in
    nats for an image, summed over its dimensions, as in the paper. Its code divides the adversarial loss by λ instead,
    which is the same objective up to a factor that Adam undoes.

    The critic sees dequantised images in [0, 1] and the flow's samples in image space, unclipped (the paper's code).
    The paper takes five critic steps to one of the flow, on one batch and one draw of z: in gin
    `compile_model.schedule` with `fresh_batches = False` and `fresh_noise = False`. Fresh noise is the default here.

    Args:
        image_shape: (H, W, C), or (D,) for vectors (with a critic of vectors).
        flow, prior: see `FlowModel`.
        critic: class of D, called as `critic(image_shape)`. A penalised one must not normalise across examples.
        likelihood_weight: λ ≥ 0. The paper has 0.1 for MNIST and 1 for CIFAR-10; its README has other values.
        divergence: class of the adversarial losses, see `tfade.objectives.divergences`.
        penalty: class of the critic's penalty, see `tfade.objectives.penalties`, with its own weight γ; None for none.

    Raises:
        UsageError: a negative weight, or a penalty that does not go with the critic.

    Reference: Grover, Dhar and Ermon 2018, equation 4; Gulrajani et al. 2017, equation 3.
    """

    def __init__(
        self,
        image_shape,
        flow=None,
        prior=StandardNormal,
        critic=ConvDiscriminator,
        likelihood_weight: float = 0.1,
        divergence=Wasserstein,
        penalty=GradientPenalty,
    ):
        check_finite("likelihood_weight", likelihood_weight)
        super().__init__(image_shape, flow, prior)
        self.likelihood_weight = likelihood_weight
        self.critic = self.add_network("critic", lambda: critic(self.image_shape))
        self.adversary = Adversary(self.critic, divergence, penalty)

    def players(self):
        return (*super().players(), Player("critic", self.critic))

    def losses(self, x, seeds: Seeds):
        real = self._dequantised(x, seeds)
        prior = self.prior_density.distribution()
        fake = self._generated(seeds.rows("prior", tf.shape(x)[0], prior.sample), self.flow)
        generator, critic = self.adversary.terms(real, {"fake": fake}, seeds)
        flow = {"adversarial": generator["fake"]}
        if self.likelihood_weight:
            nll = -self._log_density(real, self.flow, self.prior_density)
            flow["nll"] = Weighted(self.likelihood_weight, nll)
        return {"flow": flow, "critic": critic}

    def discriminate(self, x):
        """The critic's values [batch] on images (uint8, or float in [0, 1]), at the middles of the bins."""
        return tf.squeeze(self.network("critic")(self._continuous(x, lambda unit: 0.5), training=False), -1)
