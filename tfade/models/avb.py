"""Adversarial variational Bayes (Mescheder, Nowozin and Geiger 2017): a VAE with an implicit posterior."""

import gin
import tensorflow as tf

from tfade.distributions.implicit import ImplicitPosterior
from tfade.distributions.pixels import IsotropicNormal
from tfade.distributions.standard import StandardNormal
from tfade.errors import UsageError
from tfade.models.adversary import Adversary
from tfade.models.players import Player
from tfade.models.vae.elbo import ELBOTerms
from tfade.models.vae.model import VAE
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.joint import JointDiscriminator
from tfade.objectives.divergences import LogRatio
from tfade.questions import needs
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class AVB(VAE):
    """A VAE whose posterior is the distribution of z = E(x, ε), and whose KL term a discriminator T of pairs estimates.

    With z_q = E(x, ε), z_p ~ p(z), and T(x, z) → log q(z | x) - log p(z) at its optimum:

        autoencoder          -log p(y | z_q) + β T(x, z_q)
        joint_discriminator  softplus(-T(x, z_q)) + softplus(T(x, z_p))

    Adaptive contrast: q(z | x) is compared with r(z | x) = N(μ(x), σ²(x)), the normal with its moments, in place of the
    prior, which it is much closer to. T sees z̃ = (z - μ) / σ against N(0, I), and the KL term is

        T(x, z̃) + log r(z | x) - log p(z)

    with μ and σ constants to whatever is trained. They are taken from fixed draws of ε, not, as in the authors' code,
    from the moments of a basis of noise. As in `VAE` the bound is minimised in nats per dimension.

    The likelihood is declared as a lower bound, which is what it estimates; while T is not optimal it is not a bound,
    and the protocol of its numbers says so. The evaluation's annealed importance sampling, and its importance-weighted
    bound with r as the proposal, do not depend on T.

    Args:
        spec, latent_size, encoder, decoder, prior, pixels, context_size, kl_weight, warm_up: see `VAE`. β is
            `kl_weight`, which `warm_up` anneals.
        posterior: class of the implicit posterior.
        joint_discriminator: class of T, called as `joint_discriminator(image_shape, latent_size)`. With
            `JointDiscriminator.half_square` and a standard normal prior it learns log q alone, as in the authors' code.
        adaptive_contrast: see above.
        penalty: class of T's penalty, or None.

    Raises:
        UsageError: as `VAE`; a posterior that is not implicit; or, without adaptive contrast, a learned prior.

    Reference: Mescheder et al. 2017, algorithms 1 and 2, and their code.
    """

    has_implicit_posterior = True
    fit_protocol = {"log_ratio": "estimated by a discriminator: a bound only where it is optimal"}

    def __init__(
        self,
        spec,
        latent_size: int = 32,
        encoder=DCGANEncoder,
        decoder=DCGANGenerator,
        posterior=ImplicitPosterior,
        prior=StandardNormal,
        pixels=IsotropicNormal,
        context_size: int = 256,
        kl_weight: float = 1.0,
        warm_up: int = 0,
        joint_discriminator=JointDiscriminator,
        adaptive_contrast: bool = False,
        penalty=None,
    ):
        super().__init__(
            spec, latent_size, encoder, decoder, posterior, prior, pixels, None, context_size, kl_weight, warm_up
        )
        self.adversary: Adversary = self.add_adversary(
            "joint_discriminator", joint_discriminator, LogRatio, penalty, [self.image_shape, latent_size]
        )
        self.latents.adaptive_contrast = adaptive_contrast
        if not adaptive_contrast and self.networks["prior"].trainable_variables:
            raise UsageError(
                f"AVB.prior={getattr(prior, '__name__', prior)} is learned, but without adaptive "
                "contrast it enters the loss only as the discriminator's second sample and has no gradient; set "
                "AVB.adaptive_contrast = True, or take StandardNormal"
            )

    @property
    def bound_takes_any_prior(self):
        return self.latents.adaptive_contrast  # otherwise the discriminator knows the prior it was trained with

    @needs(likelihood="lower_bound")
    def log_prob(self, x, num_samples=1, labels=None):
        return super().log_prob(x, num_samples, labels)

    def players(self):
        networks = [network for name, network in self.networks.items() if name != "joint_discriminator"]
        return Player("autoencoder", *networks), Player("joint_discriminator", self.adversary.network)

    def losses(self, batch: Batch, seeds: Seeds):
        rows, network = batch.size, self.networks.__getitem__
        # 1. Codes of the posterior, and draws of what they are compared with
        target, noise = self._drawn(batch, seeds)
        images, context = self.elbo.context(target, network, training=True)
        z, seen, log_contrast = self.latents.draw(context, noise, network)
        drawn = self.prior_sample(seeds, rows)
        if self.latents.adaptive_contrast:
            drawn = seeds.normal("contrast", (rows, self.latent_size))
        # 2. The log-ratio, which both sides use
        adversarial, discriminator = self.adversary.terms(
            (images, seen[:, 0]), {"contrast": (images, drawn)}, seeds, train_real_side=True
        )
        # 3. The bound
        log_prior = network("prior").distribution().log_prob(z)
        kl = adversarial["real"][:, None] + log_contrast - log_prior
        likelihood = network("pixels").distribution(network("decoder")(z[:, 0], training=True))
        log_likelihood = likelihood.log_prob(target)[:, None]
        terms = ELBOTerms(log_likelihood, log_likelihood - kl, tf.zeros((rows,)), kl)
        scale = 1.0 / self.spec.dimensions
        autoencoder = self.weights_of_bound.losses(terms, scale, self.step.value, has_flow=False)
        return {"autoencoder": autoencoder, "joint_discriminator": discriminator}
