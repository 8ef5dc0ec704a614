"""Variational autoencoders of p(x | y): the class goes into the posterior and into the decoder."""

import gin

from tfade.models.defaults import with_defaults
from tfade.models.vae.model import VAE
from tfade.networks.conditional import ConditionalGenerator
from tfade.questions import unanswered


@gin.register
class ConditionalVAE(VAE):
    """A VAE of images given their class y, by a bound on log p(x | y).

        log p(y' | y) ≥ E_q(z|y',y)[log p(f(y') | z, y)] - KL(q(z | y', y) ‖ p(z)) + log |det ∂f/∂y'|

    with y' the dequantised image. The encoder sees the image alone, and the posterior its output and the one-hot class;
    f does not see the class.

    Args:
        decoder: class of the network of z and y, called as `decoder((H, W, outputs of pixels), latent_size,
            num_classes=…, activation=None)`; one that does not take `num_classes` gets z with the one-hot class
            appended.
        spec, latent_size, encoder, posterior, prior, pixels, flow, context_size, kl_weight, warm_up, free_bits,
            importance_samples: see `VAE`. The decoder has no latents of its own.

    Raises:
        UsageError: data without classes, or what `VAE` rejects.

    Reference: Sohn, Lee and Yan 2015, equation 4.
    """

    conditional, fields = True, ("images", "labels")

    __init__ = with_defaults(VAE.__init__, decoder=ConditionalGenerator)

    @unanswered("its p(x | z, y) depends on the class, too")
    def observation(self, z): ...
