"""Generative Latent Flow (Xiao, Yan and Amit 2019): an autoencoder, and a flow that is the density of its codes."""

import gin
import tensorflow as tf

from tfade.distributions.flow_densities import RealNVPDensity
from tfade.errors import check_finite
from tfade.models.code_density import CodeDensityAutoencoder
from tfade.models.players import Weighted
from tfade.networks.infogan import InfoGANDecoder, InfoGANEncoder
from tfade.seeds import Seeds


@gin.register
class GLF(CodeDensityAutoencoder):
    """Generative Latent Flow: x̂ = G(z), z = E(x), and a flow f with p(z) = N(f(z); 0, I) |det ∂f/∂z|.

        autoencoder  β ‖x - G(z)‖²                   regularised: + -log p(z)
        prior        -log p(sg[z])                   regularised: the same, as both players share the codes

    The flow is fitted to codes that it does not move, so β is of no consequence: the players have no variable in
    common. Regularised, the encoder is drawn to where the flow makes codes likely, and β decides between
    reconstructions and codes that shrink to a point, which the reported mean square of the codes shows.

    Samples: z = f⁻¹(u), u ~ N(0, T² I), then G(z). One step moves everything; in two stages
    (`Stage.players = ('autoencoder',)`, then `('prior',)`) the flow learns from an encoder that is done.

    Args:
        spec, latent_size, encoder, decoder: see `CodeDensityAutoencoder`. The paper has 20 codes for grey images and
            64 for colour.
        prior: class of the density; a `FlowDistribution` in the paper.
        regularized: whether the likelihood of the codes reaches the encoder.
        beta: β ≥ 0.
        reconstruction: see `CodeDensityAutoencoder`; with "sum" β is half the precision of a normal with mean G(z),
            and the loss of a regularised model the negative of a VAE's bound without the entropy of its posterior.
        perceptual, perceptual_weight: see `CodeDensityAutoencoder`.

    Raises:
        UsageError: as `CodeDensityAutoencoder`.

    Reference: Xiao et al. 2019, equation 2 and section 3.2; the regularised one, section 4.4.
    """

    def __init__(
        self,
        spec,
        latent_size: int = 20,
        encoder=InfoGANEncoder,
        decoder=InfoGANDecoder,
        prior=RealNVPDensity,
        regularized: bool = False,
        beta: float = 1.0,
        reconstruction: str = "mean",
        perceptual=None,
        perceptual_weight: float = 1.0,
    ):
        check_finite("GLF.beta", beta)
        super().__init__(
            spec, latent_size, encoder, decoder, prior, beta, reconstruction, perceptual, perceptual_weight
        )
        self.regularized = regularized

    def losses(self, batch, seeds: Seeds):
        if not (self.regularized and self.moves("autoencoder")):
            return super().losses(batch, seeds)
        x = self.unit(batch.images)
        codes = self.encoder(self.network_range(x), training=True)
        nll, size = self.code_nll(codes, seeds), tf.reduce_mean(tf.square(codes), -1)
        terms = {**self.autoencoder_terms(x, codes, seeds), "nll": nll, "code_square": Weighted(0.0, size)}
        return {"autoencoder": terms} | ({"prior": {"nll": nll}} if self.moves("prior") else {})
