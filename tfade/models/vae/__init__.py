"""Variational autoencoders: the model, its latents, its observation model and its bound.

A posterior is a `DistributionLayer` that answers `from_noise` (`tfade.distributions.layer`): `DiagonalNormal`, or a
flow over it (`tfade.distributions.flow_densities`).
"""

from tfade.models.vae.model import VAE

__all__ = ["VAE"]
