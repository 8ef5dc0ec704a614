"""Adversarial losses as pure functions of logits, one value per example.

D(x) = sigmoid(logit) is the probability that x is real; log D = -softplus(-logit), log(1 - D) = -softplus(logit).
"""

import tensorflow as tf


def real_loss(logits) -> tf.Tensor:
    """-log D, the discriminator's loss on real examples: [batch, 1] logits → [batch]. Goodfellow et al. 2014, eq. 1."""
    return tf.nn.softplus(-tf.squeeze(logits, -1))


def fake_loss(logits) -> tf.Tensor:
    """-log(1 - D), the discriminator's loss on fakes: [batch, 1] logits → [batch]. Goodfellow et al. 2014, eq. 1."""
    return tf.nn.softplus(tf.squeeze(logits, -1))


def non_saturating_loss(logits) -> tf.Tensor:
    """-log D, what a generator minimises on its fakes: [batch, 1] logits → [batch]. Goodfellow et al. 2014, section 3.

    The same function as `real_loss`: the generator wants its fakes taken for real.
    """
    return real_loss(logits)
