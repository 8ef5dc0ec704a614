"""Variational bounds on log p(x), from the logarithms of what they are made of."""

import tensorflow as tf

from tfade.numerics import replica_mean


def importance_weighted_bound(log_weights) -> tf.Tensor:
    """log 1/k Σ_i w_i,  w_i = p(x, z_i) / q(z_i | x): [..., k] → [...].

    A lower bound on log p(x) in expectation for every k, that rises with k; k = 1 is the evidence lower bound.

    Reference: Burda et al. 2016, equation 8 and theorem 1.
    """
    log_weights = tf.convert_to_tensor(log_weights)
    count = tf.cast(tf.shape(log_weights)[-1], log_weights.dtype)
    return tf.reduce_logsumexp(log_weights, -1) - tf.math.log(count)


def free_bits(kl, least: float) -> tf.Tensor:
    """Σ_g max(mean_x KL_g(x), λ), as a value of each example: [batch, groups] → [batch].

    Groups whose mean is below λ cost λ and get no gradient: the bits up to it are free.

    Args:
        kl: KL divergence of every group of latents, in nats.
        least: λ ≥ 0, in nats for a group.

    Reference: Kingma et al. 2016, equation 15: the mean is over the minibatch (over all replicas of it).
    """
    mean = replica_mean(tf.reduce_mean(kl, 0))
    return tf.reduce_sum(tf.where(mean > least, kl, tf.fill(tf.shape(kl), tf.cast(least, kl.dtype))), -1)


def warmed_up(weight: float, step, steps: int) -> tf.Tensor | float:
    """A weight that rises linearly from 0 to its value over the first `steps` training steps; 0 for at once."""
    if not steps:
        return weight
    return weight * tf.minimum(tf.cast(step, tf.float32) / steps, 1.0)
