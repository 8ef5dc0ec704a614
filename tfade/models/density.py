"""A density as a model: vectors in, likelihoods and samples out."""

from collections.abc import Callable

import gin
import tensorflow as tf

from tfade.distributions.layer import DistributionLayer, build_latent_distribution
from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError, check_whole
from tfade.models.base import GenerativeModel
from tfade.models.players import Player
from tfade.questions import needs
from tfade.seeds import Seeds, as_seed
from tfade.spec import Batch


@gin.register
class DensityModel(GenerativeModel):
    """A density over vectors, trained by maximum likelihood: min_θ -E_data[log p_θ(x)].

    Its one player, `density`, has one term, `nll`: nats of the vectors as they are given. Nothing is standardised on
    the way; what a distribution sets by data-dependent initialisation (see `DistributionLayer.initialise`) is part of
    the density and counts in its likelihood.

    Args:
        spec: what the data look like, or the bare shape of a vector, (D,).
        distribution: class of the density, made without arguments.

    Raises:
        UsageError: data that are not vectors.
    """

    bound_rises_with_draws = False

    def __init__(self, spec, distribution: Callable[[], DistributionLayer] = GaussianMixture):
        super().__init__(spec)
        if self.spec.is_image:
            raise UsageError(
                f"DensityModel was given data of shape {self.image_shape}; it fits vectors (D,). "
                "Use a FlowModel for images, or flatten them"
            )
        (size,) = self.image_shape
        self.density = self.add_network(
            "density", lambda: build_latent_distribution("distribution", distribution, size)
        )

    @property
    def likelihood(self):
        return self.density.likelihood

    def players(self):
        return (Player("density", self.density),)

    def losses(self, batch: Batch, seeds: Seeds):
        return {"density": {"nll": self.density.negative_log_likelihood(batch.images, seeds)}}

    def initialise(self, batch: Batch):
        """Data-dependent initialisation on vectors [batch, D], unless the density was initialised before."""
        if not self.density.is_fitted:
            self.density.initialise(batch.images)

    def validate(self, batch: Batch):
        return {"nll": -self.log_prob(batch.images)}

    def log_prob(self, x, num_samples=1, labels=None):
        """Nats [batch] of vectors [batch, D]; `num_samples` has no effect on an exact value, a bound or an estimate."""
        check_whole("num_samples", num_samples)
        self.checked_labels(labels)
        return self._log_prob(self.network("density"), x)

    @needs(likelihood="exact")
    def log_density(self, y):
        return self.log_prob(y)

    def distribution(self, temperature: float = 1.0):
        """The density as a TFP distribution, of the weights as they are now."""
        return self.network("density").distribution(temperature=temperature)

    def sample(self, n, temperature=1.0, seed=None, labels=None):
        """Vectors [n, D], float32; the temperature T > 0 scales what each distribution says it scales."""
        self.checked_labels(labels)
        return tf.cast(self.distribution(temperature).sample(n, seed=as_seed(seed)), tf.float32)

    @staticmethod
    def _log_prob(density: DistributionLayer, x) -> tf.Tensor:
        return density.distribution().log_prob(tf.cast(x, density.variable_dtype))
