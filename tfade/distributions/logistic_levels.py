"""The logistic distribution on 256 levels."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.distributions.levels import LevelsDistribution

tfd = tfp.distributions


def clipped_logistic_mean(location, scale) -> tf.Tensor:
    """The mean of a logistic variable that is clipped to [0, 1]."""
    return scale * (tf.nn.softplus(location / scale) - tf.nn.softplus((location - 1.0) / scale))


class LogisticLevels(LevelsDistribution):
    """The logistic distribution rounded to 0 … 255, its tails in the first and the last level.

    Args:
        location, scale: in levels.
    """

    def __init__(self, location, scale):
        parameters = dict(locals())
        self._location, self._scale = location, tf.broadcast_to(scale, tf.shape(location))
        super().__init__(parameters, location, 0, ())

    def _log_prob(self, levels):
        # F(a) - F(b) = F(a) F(-b) (1 - e^(b-a)): each factor has an exact logarithm, however far out a and b lie.
        above = (levels + 0.5 - self._location) / self._scale
        below = (levels - 0.5 - self._location) / self._scale
        upper, lower = tf.math.log_sigmoid(above), tf.math.log_sigmoid(-below)
        inner = upper + lower + tfp.math.log1mexp(1.0 / self._scale)
        return tf.where(levels < 0.5, upper, tf.where(levels > numerics.LEVELS - 1.5, lower, inner))

    def _sample_n(self, n, seed=None):
        drawn = tfd.Logistic(self._location, self._scale).sample(n, seed=seed)
        return tf.clip_by_value(tf.round(drawn), 0.0, numerics.LEVELS - 1.0)
