"""Levels of latents inside a decoder whose prior is autoregressive over the two-dimensional map."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.scales import bounded_log_scale
from tfade.distributions.topdown_levels import TopDownLevel, level_normal, precision_weighted
from tfade.errors import UsageError, check_class
from tfade.networks.pixel_cnn import GatedPixelCNN
from tfade.networks.topdown_decoder import LevelDraw

tfd = tfp.distributions


@gin.register
class AutoregressiveLevel(TopDownLevel):
    """A level whose prior goes over its map place by place, in raster order.

        p(z | h) = Π_ij N(z_ij; μ_ij, σ_ij²),   (μ_ij, log σ_ij) = (c * h)_ij + f_ij(z before ij, h)

    c is a convolution and f a masked network; the channels of a place are independent given the places before it. The
    posterior is one of two:

    - without a flow it has the prior's order: q(z | h, x) = Π_ij N(z_ij | z before ij, h, x), drawn place by place.
      "sum": what convolutions of h and of the encoder's map return is added to the prior's μ_ij and log σ_ij;
      "precision": the product of the prior's conditional and a normal that the encoder gives. The KL divergence is the
      sum of those of the conditionals, each in closed form, at the places that were drawn before;
    - with a flow ("sum" alone) it is that of `TopDownLevel`, drawn at once: `IAF` depends on the noise of the places
      before, in the prior's order with `IAF.order = 'natural'` (its default alternates from level to level). The KL
      divergence is by one sample.

    f is 0 at the start. A temperature T multiplies the conditionals' deviations, which is an approximation of p^(1/T²).

    Args:
        shape, channels, ordinal, merge, flow: see `TopDownLevel`.
        network: class of f, called as `network((h, w, c), 2 c, C, ordered_channels=False)`, with C the channels of h.

    Raises:
        UsageError: a flow after precisions, or an object where a class is wanted.

    Reference: Gulrajani et al. 2017, section 3.2 (autoregressive latents); Kingma et al. 2016 (the flow).
    """

    def __init__(self, shape, channels: int, ordinal: int, merge: str = "sum", flow=None, network=GatedPixelCNN):
        super().__init__(shape, channels, ordinal, merge, flow)
        check_class("AutoregressiveLevel.network", network)
        if merge == "precision" and flow is not None:
            raise UsageError(
                f"merge={merge!r} multiplies the conditionals of an autoregressive prior, which flow={flow!r} is "
                "not made of; use merge = 'sum', or flow = None"
            )
        self.masked = network(self.latent_shape, 2 * channels, self.shape[-1], ordered_channels=False)
        self._drawn_from_prior, self._drawn_from_posterior = self._prior_place, self._posterior_place

    def call(self, features, noise=None, latents=None, bottom_up=None, temperature=1.0):
        decoded, features = features, tf.cast(features, tf.float32)
        updates = log_posterior = kl = None
        if bottom_up is None:
            latents = self._of_prior(features, noise, temperature) if latents is None else latents
        elif self.flow is None:
            updates = self._map(self.bottom_up, bottom_up)
            if self._merge == "sum":
                updates += self._map(self.top_down, features)
            latents = self._of_posterior(features, updates, noise) if latents is None else latents
        else:
            latents, log_posterior = self._through_flow(
                *self.posterior(features, None, bottom_up), noise=noise, latents=latents
            )
        prior, posterior = self._given_latents(latents, features, updates, temperature)
        log_prior = prior.log_prob(latents)
        if posterior is not None:
            log_posterior, kl = posterior.log_prob(latents), tfd.kl_divergence(posterior, prior)
        elif log_posterior is not None:
            kl = log_posterior - log_prior
        return self.with_latents(decoded, latents), LevelDraw(latents, log_prior, log_posterior, kl)

    def _given_latents(self, latents, features, updates, temperature) -> tuple[tfd.Distribution, ...]:
        """Conditionals given the latents [batch, size] at the places before each, by one evaluation of f.

        Those of the prior, and of the posterior with the encoder's part [batch, h, w, 2 c]; None without one.
        """
        masked = self.masked(tf.reshape(latents, (-1, *self.latent_shape)), features)
        mean, log_scale = tf.split(self._map(self.prior, features) + masked, 2, -1)
        prior = level_normal(_flat((mean, bounded_log_scale(log_scale))), temperature)
        if updates is None:
            return prior, None
        return prior, level_normal(_flat(self._merged(mean, log_scale, *tf.split(updates, 2, -1))))

    def _merged(self, mean, log_scale, mean_update, log_scale_update) -> tuple[tf.Tensor, tf.Tensor]:
        """μ and log σ of the posterior's conditionals, from those of the prior, unbounded, and the encoder's part."""
        if self._merge == "sum":
            return mean + mean_update, bounded_log_scale(log_scale + log_scale_update)
        of_encoder = mean_update, bounded_log_scale(log_scale_update)
        return precision_weighted((mean, bounded_log_scale(log_scale)), of_encoder)

    def _of_prior(self, features, noise, temperature) -> tf.Tensor:
        """Latents [batch, size] of the prior, place by place."""
        return self._solved(self._drawn_from_prior, features, temperature * tf.cast(noise, tf.float32))

    def _of_posterior(self, features, updates, noise) -> tf.Tensor:
        """Latents [batch, size] of the posterior, place by place."""
        return self._solved(self._drawn_from_posterior, features, tf.cast(noise, tf.float32), updates)

    def _solved(self, draw, features, noise, *given) -> tf.Tensor:
        noise = tf.reshape(noise, (-1, *self.latent_shape))
        given = tf.concat([noise, self._map(self.prior, features), *given], -1)
        return tf.reshape(self.masked.ancestral(draw, given, features), (-1, self.size))

    def _prior_place(self, given, masked):
        """z_ij from its noise and the convolution of h there, [batch, c] and [batch, 2 c], and what f returns."""
        noise, mean, log_scale = tf.split(given, 3, -1)
        mean_update, log_scale_update = tf.split(masked, 2, -1)
        return mean + mean_update + tf.exp(bounded_log_scale(log_scale + log_scale_update)) * noise

    def _posterior_place(self, given, masked):
        """The same of the posterior, which the encoder's part [batch, 2 c] goes into."""
        noise, mean, log_scale, *updates = tf.split(given, 5, -1)
        mean_update, log_scale_update = tf.split(masked, 2, -1)
        mean, log_scale = self._merged(mean + mean_update, log_scale + log_scale_update, *updates)
        return mean + tf.exp(log_scale) * noise

    @staticmethod
    def _map(convolution, value) -> tf.Tensor:
        return tf.cast(convolution(value), tf.float32)


def _flat(maps) -> list[tf.Tensor]:
    """Maps [batch, h, w, c] as vectors [batch, size]."""
    return [tf.reshape(part, (tf.shape(part)[0], -1)) for part in maps]
