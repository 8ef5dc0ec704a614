"""A density as a model: vectors in, likelihoods and samples out."""

from collections.abc import Callable

import gin
import tensorflow as tf

from tfade.distributions.layer import DistributionLayer
from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel
from tfade.models.players import Player
from tfade.seeds import as_seed


@gin.register
class DensityModel(GenerativeModel):
    """A density over vectors, trained by maximum likelihood: min_θ -E_data[log p_θ(x)].

    Its one player, `density`, has one term, `nll`: nats of the vectors as they are given. Nothing is standardised on
    the way; what a distribution sets from data before the first step (see `DistributionLayer.initialise`) is part of
    the density and counts in its likelihood.

    Args:
        image_shape: (D,), the shape of a vector.
        distribution: class of the density, made without arguments.

    Raises:
        UsageError: data that are no vectors.
    """

    likelihood = "exact"

    def __init__(self, image_shape, distribution: Callable[[], DistributionLayer] = GaussianMixture):
        super().__init__(image_shape)
        if len(self.image_shape) != 1:
            raise UsageError(
                f"DensityModel was given data of shape {self.image_shape}; it fits vectors (D,). "
                "Use a FlowModel for images, or flatten them"
            )

        def make() -> DistributionLayer:
            layer = distribution() if callable(distribution) else distribution
            if not isinstance(layer, DistributionLayer) or layer is distribution:
                raise UsageError(
                    f"distribution={distribution!r} is no class of a density; give one such as GaussianMixture, or "
                    "functools.partial(GaussianMixture, components=20)"
                )
            layer.build(self.image_shape)
            return layer

        self.density = self.add_network("density", make)
        self._initialised = False

    def players(self):
        return (Player("density", self.density),)

    def losses(self, x, seeds):
        return {"density": {"nll": -self._log_prob(self.density, x)}}

    def initialise(self, x):
        """Lets the density look at vectors [batch, D] before the first step, unless it was fitted or has done so."""
        if not self._initialised and not self.density.is_fitted:
            self.density.initialise(x)
        self._initialised = True

    def validate(self, x):
        return {"nll": -self.log_prob(x)}

    def log_prob(self, x, num_samples=1):
        """Nats [batch] of vectors [batch, D]; exact, so `num_samples` plays no part."""
        return self._log_prob(self.network("density"), x)

    def distribution(self, temperature: float = 1.0):
        """The density as a TFP distribution, of the weights as they are now."""
        return self.network("density").distribution(temperature=temperature)

    def sample(self, n, temperature=1.0, seed=None):
        """Vectors [n, D], float32.

        Args:
            n: how many.
            temperature: T > 0, the factor on the standard deviation; each distribution says what it scales.
            seed: an integer or a scalar tensor; None draws fresh entropy.
        """
        return tf.cast(self.distribution(temperature).sample(n, seed=as_seed(seed)), tf.float32)

    @staticmethod
    def _log_prob(density: DistributionLayer, x) -> tf.Tensor:
        return density.distribution().log_prob(tf.cast(x, density.variable_dtype))
