"""Variational autoencoders: the model, its latents, observation model and bound; the same of images given a class."""

from tfade.models.vae.conditional import ConditionalVAE
from tfade.models.vae.model import VAE

__all__ = ["VAE", "ConditionalVAE"]
