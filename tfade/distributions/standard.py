"""Priors without variables."""

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

    def _distribution(self, context, temperature):
        return tfd.Independent(tfd.Normal(*self._location_and_scale(context, temperature)), len(self.event_shape))

    def _from_noise(self, noise, context):
        return noise, self.distribution(context).log_prob(noise)


@gin.register
class StandardLogistic(Standard):
    """Independent logistic noise, p(z) = 1 / (T (1 + e^(z/T)) (1 + e^(-z/T))), the prior of NICE on images.

    Its standard deviation is T π / √3. Scaling it by T is not the tempered density, whose tails would be e^(-|z|/τ)
    with a broader top.

    Reference: Dinh et al. 2015, section 3.4.
    """

    def _distribution(self, context, temperature):
        return tfd.Independent(tfd.Logistic(*self._location_and_scale(context, temperature)), len(self.event_shape))


@gin.register
class StandardUniform(Standard):
    """U(-T, T) in every dimension: the prior over latents of BiGAN and BEGAN. Its density is 0 outside.

    Reference: Donahue et al. 2017, section 4.2; Berthelot et al. 2017, section 3.5.
    """

    def _distribution(self, context, temperature):
        _, scale = self._location_and_scale(context, temperature)
        return tfd.Independent(tfd.Uniform(-scale, scale), len(self.event_shape))
