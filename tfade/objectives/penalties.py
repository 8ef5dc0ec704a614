"""Penalties on the slope of a critic."""

from collections.abc import Callable

import tensorflow as tf

EPSILON = 1e-12  # the square root has no slope at 0


def slopes(critic: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """‖∇_x critic(x)‖₂ of every example, over all its axes: [batch, ...] → [batch], float32."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        v = critic(x)
    gradient = tf.cast(tape.gradient(v, x), tf.float32)
    return tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=list(range(1, gradient.shape.rank))) + EPSILON)


def gradient_penalty(critic, real, fake, mix, target: float = 1.0, one_sided: bool = False) -> tf.Tensor:
    """(‖∇ critic(x̂)‖₂ - 1)² at points x̂ = ε x + (1 - ε) x̃ between data and samples: [batch].

    Flow-GAN's code sums the squares over the rows of an image only; the norm here is that of the whole example, as in
    the paper that the penalty is from.

    Args:
        critic: function of examples, one value each; it must not mix examples (no batch normalisation).
        real, fake: data x and samples x̃, [batch, ...].
        mix: ε in [0, 1), [batch].
        target: the slope that is aimed at.
        one_sided: only slopes above the target cost.

    Reference: Gulrajani et al. 2017, equation 3 and algorithm 1.
    """
    mix = tf.reshape(mix, [-1] + [1] * (real.shape.rank - 1))
    excess = slopes(critic, mix * real + (1.0 - mix) * fake) - target
    return tf.square(tf.nn.relu(excess) if one_sided else excess)
