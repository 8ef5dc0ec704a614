"""Priors without variables."""

import math

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.layer import DistributionLayer

tfd = tfp.distributions


class Standard(DistributionLayer):
    """Independent standardised noise in every dimension. A context only gives the batch shape."""

    takes_temperature_zero = True

    def _location_and_scale(self, context, temperature):
        """0 and T, [*batch, *event_shape]."""
        batch = tf.shape(context)[:-1] if context is not None else tf.zeros(0, tf.int32)
        shape = tf.concat([batch, self.event_shape], 0)
        static = self.event_shape if context is None else (*context.shape[:-1], *self.event_shape)
        scale = tf.ensure_shape(tf.fill(shape, temperature), static)
        return tf.zeros_like(scale), scale


@gin.register
class StandardNormal(Standard):
    """N(0, T² I): p^(1/τ) exactly, with T = √τ."""

    is_diagonal_normal = True

    def _distribution(self, context, temperature):
        return tfd.Independent(tfd.Normal(*self._location_and_scale(context, temperature)), len(self.event_shape))

    def _from_noise(self, noise, context):
        return noise, self.distribution(context).log_prob(noise)


@gin.register
class StandardLogistic(Standard):
    """Independent logistic noise, p(z) = 1 / ((1 + e^z) (1 + e^(-z))), the prior of NICE on images.

    Args:
        tempered: what a temperature T does. False scales z by T: the standard deviation is T π / √3. True gives the
            density ∝ p^(1/τ) with τ = T², as a normal prior has it at that T; the density of a volume-preserving flow
            over it is then tempered exactly, too.

    Reference: Dinh et al. 2015, section 3.4; Verbeek and Lucas 2019 (temperature).
    """

    def __init__(self, tempered: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.tempered = tempered

    def _distribution(self, context, temperature):
        location, scale = self._location_and_scale(context, temperature)
        logistic = TemperedLogistic(scale) if self.tempered else tfd.Logistic(location, scale)
        return tfd.Independent(logistic, len(self.event_shape))


class TemperedLogistic(tfd.Distribution):
    """The density ∝ p(z)^a with a = 1/T² of a standard logistic p: the logit of a Beta(a, a) variable.

    Args:
        temperature: T ≥ 0, [*batch]; below 1e-4 it is 1e-4, and at 0 all draws are 0.
    """

    def __init__(self, temperature: tf.Tensor):
        parameters = dict(locals())
        self._temperature = temperature
        super().__init__(
            dtype=temperature.dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name="TemperedLogistic",
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"temperature": tfp.util.ParameterProperties()}

    def _event_shape(self):
        return tf.TensorShape([])

    def _event_shape_tensor(self):
        return tf.zeros(0, tf.int32)

    @property
    def _power(self):
        return tf.maximum(self._temperature, 1e-4) ** -2  # beyond it a gamma variable's logarithm is all rounding

    def _sample_n(self, n, seed=None):
        # In logarithms, where a gamma variable of a small shape does not underflow.
        first, second = tfp.random.split_seed(seed)
        gamma = tfd.ExpGamma(self._power, tf.ones((), self.dtype))
        return (gamma.sample(n, seed=first) - gamma.sample(n, seed=second)) * tf.sign(self._temperature)

    def _log_prob(self, z):
        # σ(z) σ(-z) = 1 / (4 cosh²(z/2)) and B(a, a) = 2^(1-2a) B(a, 1/2), so that no large terms cancel.
        half = tf.constant(0.5, self.dtype)
        return -2.0 * self._power * tfp.math.log_cosh(half * z) - math.log(2.0) - tfp.math.lbeta(self._power, half)

    def _mean(self):
        return tf.zeros_like(self._temperature)


@gin.register
class StandardUniform(Standard):
    """U(-T, T) in every dimension: the prior over latents of BiGAN and BEGAN. Its density is 0 outside.

    Reference: Donahue et al. 2017, section 4.2; Berthelot et al. 2017, section 3.5.
    """

    def _distribution(self, context, temperature):
        _, scale = self._location_and_scale(context, temperature)
        return tfd.Independent(tfd.Uniform(-scale, scale), len(self.event_shape))
