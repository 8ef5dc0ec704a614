"""Mixtures of Gaussians, trained by gradient or fitted by expectation-maximisation."""

from collections.abc import Callable

import gin
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.expectation_maximisation import fitted_mixture
from tfade.distributions.gaussian import REGULARISATION, diagonal_normal, full_normal, full_normal_parameters
from tfade.distributions.layer import ParametricLayer
from tfade.distributions.scales import SCALE_RANGE, checked_range, unbounded_log_scale
from tfade.errors import UsageError, check_choice, check_whole
from tfade.networks.conditioner import MLPConditioner

tfd = tfp.distributions

COVARIANCES = ("diagonal", "full")


@gin.register
class GaussianMixture(ParametricLayer):
    """p(x) = Σ_k π_k N(x; μ_k, T² Σ_k) over vectors, with learned parameters or, given a context, computed ones.

    T multiplies the standard deviations of the components and leaves their weights alone. The tempered density p^(1/τ)
    is close to that with T = √τ where components of equal size do not overlap; otherwise it also favours the heavier
    and the narrower components, which this does not.

    Args:
        components: K.
        covariance: "diagonal" or "full".
        scale_range: smallest and largest standard deviation of a dimension (of full covariances: given those before
            it), in units of the data's. A component that closes in on one point ends at the smallest.
        conditioner: class of the network that the context goes through.

    Reference: Bishop 2006, section 9.2 (EM); Bishop 1994 (mixture density networks).
    """

    def __init__(
        self,
        components: int = 10,
        covariance: str = "full",
        scale_range: tuple[float, float] = SCALE_RANGE,
        conditioner=MLPConditioner,
        **kwargs,
    ):
        super().__init__(conditioner, **kwargs)
        check_whole("components", components)
        check_choice("covariance", covariance, COVARIANCES)
        self.components, self.covariance = components, covariance
        self.scale_range = checked_range(scale_range)
        self._loaded = False

    @property
    def is_fitted(self):
        return self._loaded or super().is_fitted

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        size = self._require_vectors()
        lower = size * (size - 1) // 2 if self.covariance == "full" else 0
        self._sizes = [size, size, lower]  # of a component: μ, log σ, and what lies below the diagonal
        self._add_parameters(self.components * (1 + sum(self._sizes)))

    def initialise(self, x, context=None):
        """Means and weights by k-means, and for every component the variance within the clusters."""
        from sklearn.cluster import KMeans  # scikit-learn takes a second to import

        u = self._standardise(self._checked_vectors(x))
        clusters = KMeans(self.components, n_init=10, random_state=0).fit(u)
        within = np.mean((u - clusters.cluster_centers_[clusters.labels_]) ** 2, 0) + REGULARISATION
        weights = np.bincount(clusters.labels_, minlength=self.components)
        self._set(weights, clusters.cluster_centers_, np.tile(within, (self.components, 1)))

    def fit_em(
        self,
        vectors,
        seed: int = 0,
        restarts: int = 5,
        iterations: int = 200,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Maximum likelihood by expectation-maximisation, written into the layer's variables.

        It sees the vectors in units of their deviation, which the likelihood ignores; to variances it adds a
        millionth of the data's. See `expectation_maximisation.fitted_mixture`.

        Args:
            vectors: [N, D], N ≥ K.
            seed: of the initial means.
            restarts: number of initialisations, by k-means each; the most likely result is taken.
            iterations: at most, of each.
            progress: receives lines of text.

        Raises:
            UsageError: a layer that takes a context, too few vectors, or values that are not finite.
        """
        if self.context_size:
            raise UsageError("fit_em fits a mixture without context; train a conditional one by gradient")
        u = self._standardise(self._checked_vectors(vectors))
        fitted = fitted_mixture(
            u,
            self.components,
            self.covariance,
            seed=seed,
            restarts=restarts,
            iterations=iterations,
            progress=progress,
        )
        self._set(fitted.weights, fitted.means, fitted.covariances)

    def load(self, weights, means, covariances) -> None:
        """Sets the mixture.

        Args:
            weights: π, [K], normalised here.
            means: μ, [K, D].
            covariances: Σ, [K, D, D] or, diagonal, [K, D].

        Raises:
            UsageError: shapes that do not fit, or a standard deviation beyond `scale_range`.
        """
        weights, means, covariances = (np.asarray(value, np.float64) for value in (weights, means, covariances))
        count, size = self.components, self._sizes[0]
        full = covariances.ndim == 3
        if (
            weights.shape != (count,)
            or means.shape != (count, size)
            or covariances.shape != (count, size, size)[: covariances.ndim]
            or (full and self.covariance == "diagonal")
        ):
            raise UsageError(
                f"a {self.covariance} mixture of {count} components on {size} dimensions was given weights "
                f"{weights.shape}, means {means.shape} and covariances {covariances.shape}"
            )
        shift, scale = self.shift.numpy(), self.scale.numpy()
        squares = np.outer(scale, scale) if full else scale**2
        self._set(weights, (means - shift) / scale, covariances / squares)
        self._loaded = True

    def _set(self, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> None:
        """Sets the mixture of standardised data."""
        if covariances.ndim == 3:
            parts = [full_normal_parameters(m, c, self.scale_range) for m, c in zip(means, covariances)]
            components = [np.stack(part) for part in zip(*parts)]
        else:
            log_scales = unbounded_log_scale(np.sqrt(covariances), self.scale_range)
            components = [means, log_scales, np.zeros((self.components, self._sizes[2]))]
        logits = np.log(np.maximum(weights / weights.sum(), 1e-12))
        self.offset.assign(np.concatenate([logits, *(part.reshape(-1) for part in components)]))

    def _distribution(self, context, temperature):
        count, (mean, scale, lower) = self.components, self._sizes
        parameters = self._parameters(context)
        batch, static = tf.shape(parameters)[:-1], parameters.shape[:-1]
        logits, *flat = tf.split(parameters, [count, count * mean, count * scale, count * lower], -1)
        means, log_scales, below = (
            tf.ensure_shape(tf.reshape(part, tf.concat([batch, (count, size)], 0)), (*static, count, size))
            for part, size in zip(flat, self._sizes)
        )
        units = self.shift, self.scale
        if self.covariance == "full":
            components = full_normal(means, log_scales, below, temperature, self.scale_range, units)
        else:
            flat = tf.concat([means, log_scales], -1)
            components = diagonal_normal(flat, temperature, self.scale_range, units=units)
        return tfd.MixtureSameFamily(tfd.Categorical(logits), components)

    def _checked_vectors(self, vectors) -> np.ndarray:
        vectors = np.asarray(vectors, np.float64)
        if vectors.ndim != 2 or vectors.shape[1] != self._sizes[0] or len(vectors) < self.components:
            raise UsageError(
                f"vectors of shape {vectors.shape} cannot start a mixture of {self.components} components on "
                f"{self._sizes[0]} dimensions; give [N, {self._sizes[0]}] with N ≥ {self.components}"
            )
        if not np.all(np.isfinite(vectors)):
            raise UsageError("vectors holds values that are not finite; remove them")
        return vectors
