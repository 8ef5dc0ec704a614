"""Variational autoencoders: the model, its latents, observation model and bound; the same of images given a class.

A posterior is a `DistributionLayer` that answers `from_noise` (`tfade.distributions.layer`): `DiagonalNormal`, or a
flow over it (`tfade.distributions.flow_densities`).
"""

from tfade.models.vae.conditional import ConditionalPriorVAE, ConditionalVAE
from tfade.models.vae.model import VAE
from tfade.models.vae.two_stage import TwoStageVAE

__all__ = ["VAE", "ConditionalPriorVAE", "ConditionalVAE", "TwoStageVAE"]
