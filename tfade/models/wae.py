"""The Wasserstein autoencoder with maximum mean discrepancy (Tolstikhin et al. 2018); WAE-GAN is `AAE`."""

import gin
import tensorflow as tf

from tfade.distributions.standard import StandardNormal
from tfade.errors import UsageError, check_class, check_finite
from tfade.models.code_density import CodeDensityAutoencoder
from tfade.models.players import Weighted
from tfade.networks.infogan import InfoGANDecoder, InfoGANEncoder
from tfade.objectives.mmd import IMQ, mmd


@gin.register
class WAEMMD(CodeDensityAutoencoder):
    """An autoencoder whose codes are matched to the prior by a kernel.

        0.05 Σ (x - x̂)² + λ MMD²(q(z), p(z))

    with images in [0, 1] and the unbiased estimate over the codes of the global batch and as many draws of the
    prior, whatever the number of replicas; the estimate may be below 0.

    Args:
        spec, latent_size, encoder, decoder: see `CodeDensityAutoencoder`.
        prior: class of p(z), which has no variables: a learned one would follow the codes that are to follow it.
        mmd_weight: λ ≥ 0; 10 on MNIST, 100 on CelebA in the authors' code.
        reconstruction_weight, reconstruction: of the squared error; 0.05 and "sum" are the authors'.
        kernel: class of the kernel, `IMQ` or `RBF`, made without arguments.

    Raises:
        UsageError: a negative weight, a prior that is learned, or as `CodeDensityAutoencoder`.

    Reference: Tolstikhin et al. 2018, algorithm 2 and section 4.
    """

    def __init__(
        self,
        spec,
        latent_size: int = 20,
        encoder=InfoGANEncoder,
        decoder=InfoGANDecoder,
        prior=StandardNormal,
        mmd_weight: float = 10.0,
        reconstruction_weight: float = 0.05,
        reconstruction: str = "sum",
        kernel=IMQ,
    ):
        check_finite("mmd_weight", mmd_weight)
        check_class("kernel", kernel)
        super().__init__(spec, latent_size, encoder, decoder, prior, reconstruction_weight, reconstruction)
        self.mmd_weight, self.kernel = mmd_weight, kernel()

    def _build_prior(self, prior):
        """The density of a class, which must not have variables."""
        density = super()._build_prior(prior)
        if density.trainable_variables:
            raise UsageError(
                f"WAEMMD.prior={getattr(prior, '__name__', prior)} is learned, and would follow the codes that the MMD "
                "matches to it; take StandardNormal, or fit a density to the codes afterwards by launch.latent_density"
            )
        return density

    def autoencoder_terms(self, x, codes, seeds):
        terms = super().autoencoder_terms(x, codes, seeds)
        z = self.prior_sample(seeds, tf.shape(codes)[0])
        whole = (self.over_global_batch(values) for values in (codes, z))
        return terms | {"mmd": Weighted(self.mmd_weight, mmd(*whole, self.kernel))}
