"""Regularised autoencoders (Ghosh et al. 2020): deterministic codes of moderate size, a smooth decoder."""

import gin
import tensorflow as tf

from tfade.distributions.mixture import GaussianMixture
from tfade.errors import check_class, check_finite
from tfade.models.code_density import CodeDensityAutoencoder
from tfade.models.players import Weighted
from tfade.networks.infogan import InfoGANDecoder, InfoGANEncoder


@gin.register
class RAE(CodeDensityAutoencoder):
    """A regularised autoencoder, whose density of codes is fitted once it is trained.

        autoencoder  ‖x - G(z)‖² + ½ β ‖z‖² + λ R(G)
        prior        -log p(sg[z]), or expectation-maximisation

    The density is meant for a stage of its own: `Stage.players = ('prior',)`, or `Stage.fit = @fit_prior_by_em`.

    Args:
        spec, latent_size, encoder, decoder, perceptual, perceptual_weight: see `CodeDensityAutoencoder`.
        prior: class of the ex-post density: ten full Gaussians in the paper, a flow, an autoregressive one.
        code_weight: β ≥ 0, of half the sum of squares of a code. The authors' code has the mean over dimensions.
        smoothness: class of R, see `tfade.objectives.smoothness`; None for the plain RAE. Spectral normalisation
            (RAE-SN) is a property of the decoder: `InfoGANDecoder.spectral = True`.
        reconstruction: see `CodeDensityAutoencoder`.

    Raises:
        UsageError: a negative weight, or as `CodeDensityAutoencoder`.

    Reference: Ghosh et al. 2020, equations 5 and 11 and section 4.
    """

    def __init__(
        self,
        spec,
        latent_size: int = 20,
        encoder=InfoGANEncoder,
        decoder=InfoGANDecoder,
        prior=GaussianMixture,
        code_weight: float = 1e-4,
        smoothness=None,
        reconstruction: str = "mean",
        perceptual=None,
        perceptual_weight: float = 1.0,
    ):
        check_finite("code_weight", code_weight)
        check_class("smoothness", smoothness, optional=True)
        super().__init__(spec, latent_size, encoder, decoder, prior, 1.0, reconstruction, perceptual, perceptual_weight)
        self.code_weight = code_weight
        self.smoothness = None if smoothness is None else smoothness()

    def autoencoder_terms(self, x, codes, seeds):
        terms = super().autoencoder_terms(x, codes, seeds)
        terms["code_square"] = Weighted(self.code_weight, 0.5 * tf.reduce_sum(tf.square(codes), -1))
        if self.smoothness is not None:
            value = self.smoothness(self.decoded, codes, self.decoder.trainable_variables, seeds)
            terms[self.smoothness.name] = Weighted(self.smoothness.weight, value)
        return terms
