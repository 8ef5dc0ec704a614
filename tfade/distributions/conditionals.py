"""Distributions of one number: a Gaussian, or a mixture of K, from the parameters that a network gives."""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.scales import SCALE_RANGE, bounded_log_scale

tfd = tfp.distributions

SPREAD = 1.5  # the first and last of K components start this far from the centre, in standard deviations of the data


def conditionals(
    parameters, components: int, temperature, scale_range: tuple[float, float] = SCALE_RANGE
) -> tfd.Distribution:
    """A Gaussian, or a mixture of K, for every number; where the parameters are 0 they cover standardised data.

    Args:
        parameters: [..., P] with P = `parameters_of(K)`: μ and log σ, or logits, μ and log σ of K components.
        components: K.
        temperature: factor on the standard deviations.
        scale_range: smallest and largest σ.

    Returns:
        A distribution of scalars with batch shape [...].
    """
    if components == 1:
        mean, log_scale = tf.unstack(parameters, axis=-1)
        return tfd.Normal(mean, temperature * tf.exp(bounded_log_scale(log_scale, scale_range)))
    logits, mean, log_scale = tf.split(parameters, 3, -1)
    mean += tf.constant(np.linspace(-SPREAD, SPREAD, components), mean.dtype)
    scale = temperature * tf.exp(bounded_log_scale(log_scale + math.log(2 * SPREAD / components), scale_range))
    return tfd.MixtureSameFamily(tfd.Categorical(logits), tfd.Normal(mean, scale))


def parameters_of(components: int) -> int:
    """How many parameters `conditionals` takes for a number."""
    return 2 if components == 1 else 3 * components


def drawn(conditional: tfd.Distribution, noise: tf.Tensor) -> tf.Tensor:
    """A draw [batch] from a conditional, from noise [batch, 2]: a uniform number, which chooses a component by the
    cumulated weights, and a standard normal one."""
    choice, normal = tf.unstack(noise, axis=-1)
    if isinstance(conditional, tfd.Normal):
        return conditional.loc + conditional.scale * normal
    weights = tf.nn.softmax(conditional.mixture_distribution.logits)
    passed = choice[:, None] >= tf.cumsum(weights, -1)[:, :-1]
    chosen = tf.one_hot(tf.reduce_sum(tf.cast(passed, tf.int32), -1), weights.shape[-1], dtype=noise.dtype)
    components = conditional.components_distribution
    return tf.reduce_sum(chosen * (components.loc + components.scale * normal[:, None]), -1)
