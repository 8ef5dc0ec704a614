"""Fully connected networks over codes."""

import gin

from tfade.networks.critics import MLPDiscriminator


@gin.register
class CodeDiscriminator(MLPDiscriminator):
    """Code [batch, latent_size] → logit [batch, 1] that it came from the prior.

    No batch normalisation: the authors' successors found that it harms this network (alpha-GAN).

    Args:
        latent_size: dimension of the code.
        width, depth: see `MLPDiscriminator`.

    Reference: Rosca et al. 2018, appendix C: three layers of 1,000 units, leaky rectifier of slope 0.2.
    """

    def __init__(self, latent_size: int, width: int = 1000, depth: int = 3):
        super().__init__((latent_size,), width, depth)
