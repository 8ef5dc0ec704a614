"""Gaussians over codes, built afresh at every call: no variable, nothing to save."""

import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions

SCALE_RANGE = (1e-4, 1e2)  # of a posterior's standard deviation: exp must neither vanish nor overflow in float32


def standard_normal(latent_size: int, temperature=1.0) -> tfd.Distribution:
    """N(0, T² I) over codes [latent_size].

    Args:
        latent_size: dimension of the code.
        temperature: T, the factor on the standard deviation (Glow's convention; p^(1/τ) has T = √τ).
    """
    scale = tf.fill([latent_size], tf.cast(temperature, tf.float32))
    return tfd.MultivariateNormalDiag(tf.zeros([latent_size]), scale)


def diagonal_normal(parameters) -> tfd.Distribution:
    """N(μ, diag σ²) from the encoder's output.

    Args:
        parameters: [batch, 2·latent_size]: μ and log σ; log σ is bounded softly to keep σ in `SCALE_RANGE`.

    Returns:
        A distribution with batch shape [batch] and event shape [latent_size].
    """
    mean, log_scale = tf.split(parameters, 2, axis=-1)
    low, high = (tf.math.log(bound) for bound in SCALE_RANGE)
    log_scale = low + tf.nn.softplus(log_scale - low)
    log_scale = high - tf.nn.softplus(high - log_scale)
    return tfd.MultivariateNormalDiag(mean, tf.exp(log_scale))
