"""Variational autoencoders of p(x | y): the class goes into the posterior and into the decoder."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.layer import build_latent_distribution
from tfade.errors import UsageError
from tfade.models.defaults import with_defaults
from tfade.models.vae.model import VAE
from tfade.networks.conditional import ConditionalGenerator
from tfade.questions import unanswered


@gin.register
class ConditionalVAE(VAE):
    """A VAE of images given their class y, by a bound on log p(x | y).

        log p(y' | y) ≥ E_q(z|y',y)[log p(f(y') | z, y)] - KL(q(z | y', y) ‖ p(z)) + log |det ∂f/∂y'|

    with y' the dequantised image. The encoder sees the image alone, and the posterior its output and the one-hot class;
    f does not see the class. Codes are independent of the class a priori, p(z | y) = p(z): the relaxation that the
    paper mentions. `ConditionalPriorVAE` is the other reading.

    Args:
        decoder: class of the network of z and y, called as `decoder((H, W, outputs of pixels), latent_size,
            num_classes=…, activation=None)`; one that does not take `num_classes` gets z with the one-hot class
            appended.
        spec, latent_size, encoder, posterior, prior, pixels, flow, context_size, kl_weight, warm_up, free_bits,
            importance_samples: see `VAE`. The decoder has no latents of its own.

    Raises:
        UsageError: data without classes, or what `VAE` rejects.

    Reference: Sohn, Lee and Yan 2015, section 4 and equation 4.
    """

    conditional, fields = True, ("images", "labels")

    __init__ = with_defaults(VAE.__init__, decoder=ConditionalGenerator)

    @unanswered("its p(x | z, y) depends on the class, too")
    def observation(self, z): ...


@gin.register
class ConditionalPriorVAE(ConditionalVAE):
    """A `ConditionalVAE` whose prior is one of each class, p(z | y), so that codes may carry the class.

    `sample` draws z of p(z | y); `prior` is the mixture of all classes with equal weights.

    Args:
        prior: class of p(z | y), whose context is the one-hot class.
        spec, latent_size, encoder, decoder, posterior, pixels, flow, context_size, kl_weight, warm_up, free_bits,
            importance_samples: see `ConditionalVAE`.

    Raises:
        UsageError: a prior that does not depend on a context or cannot be drawn from noise, or what `ConditionalVAE`
            rejects.

    Reference: Sohn, Lee and Yan 2015, equation 4.
    """

    __init__ = with_defaults(ConditionalVAE.__init__, prior=DiagonalNormal)

    def _build_prior(self, prior):
        layer = build_latent_distribution("prior", prior, self.latent_size, self.condition_size)
        if not layer.trainable_variables:
            raise UsageError(
                f"prior={prior!r} does not depend on the class; give DiagonalNormal, or use ConditionalVAE"
            )
        try:
            layer.from_noise(tf.zeros((1, self.latent_size)), tf.zeros((1, self.condition_size)))
        except UsageError as error:
            raise UsageError(
                f"prior={prior!r} cannot be drawn from noise, as training does; give DiagonalNormal, FullNormal, or a "
                "flow over one of them"
            ) from error
        return layer

    @property
    def has_class_prior(self):
        """Whether p(z | y) is in its place; `LatentDensity` puts a density of all codes there."""
        return self.network("prior").context_size > 0

    def prior(self, temperature=1.0):
        if not self.has_class_prior:
            return super().prior(temperature)
        size = self.condition_size
        of_classes = self.network("prior").distribution(tf.eye(size), temperature)
        return tfp.distributions.MixtureSameFamily(tfp.distributions.Categorical(tf.zeros(size)), of_classes)

    def draw_prior(self, n, temperature=1.0, seed=None, labels=None):
        if not self.has_class_prior:
            return super().draw_prior(n, temperature, seed)
        classes = tf.one_hot(self.checked_labels(labels, n), self.condition_size)
        return self.network("prior").distribution(classes, temperature).sample(seed=seed)
