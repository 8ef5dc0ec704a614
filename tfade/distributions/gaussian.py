"""Gaussians: as plain functions of their parameters, and as layers that own or compute them."""

from collections.abc import Sequence

import gin
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.layer import ParametricLayer
from tfade.distributions.scales import (
    SCALE_RANGE,
    bounded_log_scale,
    check_temperature,
    checked_range,
    unbounded_log_scale,
)
from tfade.flows.layer import size_of
from tfade.networks.conditioner import MLPConditioner

tfd = tfp.distributions

REGULARISATION = 1e-6  # added to every variance that is estimated from standardised data


def standard_normal(latent_size: int, temperature=1.0) -> tfd.Distribution:
    """N(0, T² I) over latents [latent_size], where a layer without variables would be too much (see `StandardNormal`).

    Args:
        latent_size: dimension of the latents.
        temperature: T ≥ 0, the factor on the standard deviation (Glow's convention; p^(1/τ) has T = √τ).

    Raises:
        UsageError: a temperature that is negative or not finite.
    """
    check_temperature(temperature)
    scale = tf.fill([latent_size], tf.cast(temperature, tf.float32))
    return tfd.MultivariateNormalDiag(tf.zeros([latent_size]), scale)


def diagonal_normal(
    parameters,
    temperature=1.0,
    scale_range: tuple[float, float] = SCALE_RANGE,
    event_shape: Sequence[int] | None = None,
    units=(0.0, 1.0),
) -> tfd.Distribution:
    """N(μ, T² diag σ²) from a network's output.

    Args:
        parameters: [..., 2·D]: μ and log σ; log σ is bounded softly to keep σ in `scale_range`.
        temperature: T.
        scale_range: smallest and largest σ.
        event_shape: of size D; None for [D].
        units: m and s, of shape `event_shape`, where the parameters describe (x - m) / s.

    Returns:
        A distribution whose batch shape is that of the parameters.
    """
    if event_shape is None or len(event_shape) == 1:
        mean, log_scale = tf.split(parameters, 2, axis=-1)
    else:
        shape = tf.concat([tf.shape(parameters)[:-1], (2, *event_shape)], 0)
        parts = tf.ensure_shape(tf.reshape(parameters, shape), (*parameters.shape[:-1], 2, *event_shape))
        mean, log_scale = tf.unstack(parts, axis=-1 - len(event_shape))
    shift, unit = (tf.convert_to_tensor(part, mean.dtype) for part in units)
    scale = tf.exp(bounded_log_scale(log_scale, scale_range)) * tf.cast(temperature, mean.dtype)
    normal = tfd.Normal(shift + unit * mean, unit * scale)
    return tfd.Independent(normal, 1 if event_shape is None else len(event_shape))


def full_normal(
    mean, log_scale, lower, temperature=1.0, scale_range: tuple[float, float] = SCALE_RANGE, units=(0.0, 1.0)
) -> tfd.Distribution:
    """N(μ, T² Σ) with a full covariance Σ, given by the Cholesky factor of its inverse: Σ⁻¹ = WᵀW.

        W = diag(1/s) (I - B),  B strictly lower triangular:   z = W (x - μ),  log p(x) = log N(z; 0, I) - Σ_i log s_i

    s_i is the standard deviation of x_i given the dimensions before it, and B holds the coefficients of that
    regression. W has a positive diagonal, so L = W⁻¹ is the Cholesky factor of Σ. The density takes a product where L
    would take a triangular solve, which in float32 overflows for far points; only samples need the solve.

    Args:
        mean: μ, [..., D].
        log_scale: [..., D]: log s, bounded softly to keep s in `scale_range`.
        lower: [..., D(D-1)/2]: B, in TFP's triangular order.
        temperature: T.
        scale_range: smallest and largest s.
        units: m and s [D], where the parameters describe (x - m) / s.
    """
    shift, unit = (tf.convert_to_tensor(part, mean.dtype) for part in units)
    log_scale = bounded_log_scale(log_scale, scale_range) + tf.math.log(tf.cast(temperature, mean.dtype))
    weights = tf.eye(mean.shape[-1], dtype=mean.dtype) - _strictly_lower(lower, mean.shape[-1])
    whitening = tf.exp(-log_scale)[..., None] * weights / unit
    scale = tf.linalg.LinearOperatorInversion(tf.linalg.LinearOperatorLowerTriangular(whitening, is_non_singular=True))
    return tfd.MultivariateNormalLinearOperator(shift + unit * mean, scale)


def full_normal_parameters(
    mean: np.ndarray, covariance: np.ndarray, scale_range: tuple[float, float] = SCALE_RANGE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `full_normal` takes for given moments.

    Args:
        mean: [D].
        covariance: Σ, [D, D], positive definite.
        scale_range: as there.

    Returns:
        mean [D], log_scale [D], lower [D(D-1)/2].
    """
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    scale = 1 / np.diag(whitening)
    coefficients = np.eye(len(mean)) - scale[:, None] * whitening
    size = len(mean) - 1
    lower = np.asarray(tfp.math.fill_triangular_inverse(coefficients[1:, :-1])) if size else np.zeros(0)
    return np.asarray(mean), unbounded_log_scale(scale, scale_range), lower


def _strictly_lower(entries, dimensions: int) -> tf.Tensor:
    """[..., D, D] from its D(D-1)/2 entries below the diagonal."""
    if dimensions == 1:
        return tf.zeros(tf.concat([tf.shape(entries)[:-1], [1, 1]], 0), entries.dtype)
    filled = tfp.math.fill_triangular(entries)
    return tf.pad(filled, [[0, 0]] * (filled.shape.rank - 2) + [[1, 0], [0, 1]])


@gin.register
class DiagonalNormal(ParametricLayer):
    """N(μ, T² diag σ²), with learned μ and σ, or with μ and σ computed from the context; for p^(1/τ), T = √τ exactly.

    Args:
        scale_range: smallest and largest σ, in units of the data's deviation.
        conditioner: class of the network that the context goes through.
    """

    takes_temperature_zero = True
    is_diagonal_normal = True

    def __init__(self, scale_range: tuple[float, float] = SCALE_RANGE, conditioner=MLPConditioner, **kwargs):
        super().__init__(conditioner, **kwargs)
        self.scale_range = checked_range(scale_range)

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        self._add_parameters(2 * size_of(self.event_shape))

    def initialise(self, x, context=None):
        u = self._standardise(x)
        log_scale = unbounded_log_scale(u.std(0).reshape(-1), self.scale_range)
        self.offset.assign(np.concatenate([np.zeros_like(log_scale), log_scale]))

    def _distribution(self, context, temperature):
        units = self.shift, self.scale
        return diagonal_normal(self._parameters(context), temperature, self.scale_range, self.event_shape, units)

    def _from_noise(self, noise, context):
        normal = self.distribution(context)
        value = normal.mean() + normal.stddev() * noise
        return value, normal.log_prob(value)


@gin.register
class FullNormal(ParametricLayer):
    """N(μ, T² Σ) over vectors, with a full covariance, learned or computed from the context; see `full_normal`.

    Temperature is exact, as in `DiagonalNormal`.

    Args:
        scale_range: smallest and largest standard deviation of a dimension given those before it, in units of the
            data's.
        conditioner: class of the network that the context goes through.
    """

    def __init__(self, scale_range: tuple[float, float] = SCALE_RANGE, conditioner=MLPConditioner, **kwargs):
        super().__init__(conditioner, **kwargs)
        self.scale_range = checked_range(scale_range)

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        size = self._require_vectors()
        self._sizes = [size, size, size * (size - 1) // 2]
        self._add_parameters(sum(self._sizes))

    def initialise(self, x, context=None):
        u = self._standardise(x)
        covariance = u.T @ u / len(u) + REGULARISATION * np.eye(u.shape[1])
        self.offset.assign(np.concatenate(full_normal_parameters(np.zeros(u.shape[1]), covariance, self.scale_range)))

    def _distribution(self, context, temperature):
        parameters = tf.split(self._parameters(context), self._sizes, -1)
        return full_normal(*parameters, temperature, self.scale_range, (self.shift, self.scale))

    def _from_noise(self, noise, context):
        normal = self.distribution(context)
        value = normal.mean() + normal.scale.matvec(noise)
        return value, normal.log_prob(value)
