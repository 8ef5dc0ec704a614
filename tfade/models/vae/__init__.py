"""Variational autoencoders: the model, its latents, its observation model and its bound."""

from tfade.models.vae.model import VAE

__all__ = ["VAE"]
