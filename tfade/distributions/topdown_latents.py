"""The distribution over all latents of a decoder with levels: the vector at the top, and those of every level."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.networks.topdown_decoder import TopDownDecoder

tfd = tfp.distributions


class TopDownLatents(tfd.Distribution):
    """p(z₀) Π_l p(z_l | z_<l), or the posterior for an encoder's maps, over [latent_size + hierarchical_size].

    Args:
        top: the distribution of z₀; its batch shape is that of the result.
        decoder: the decoder, in inference mode.
        maps: the encoder's maps for the posterior, with a batch of latents for each example; None for the prior.
        temperature: factor on the deviation of the levels' prior; that of `top` is set on its own.
    """

    def __init__(
        self,
        top: tfd.Distribution,
        decoder: TopDownDecoder,
        maps: Sequence[tf.Tensor] | None = None,
        temperature=1.0,
    ):
        parameters = dict(locals())
        self._top, self._decoder, self._maps, self._temperature = top, decoder, maps, temperature
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=top.reparameterization_type,
            validate_args=False,
            allow_nan_stats=False,
            parameters=parameters,
            name="TopDownLatents",
        )

    @property
    def activations(self) -> int:
        """How many values the decoder holds for one vector of latents: all layers' outputs, and the encoder's maps."""
        shapes = [layer.output.shape for layer in self._decoder.network.layers]
        shapes += [features.shape for features in self._maps or ()]
        return int(sum(np.prod(shape[1:]) for shape in shapes))

    def _sample_n(self, n, seed=None):
        seeds = tfp.random.split_seed(seed, 2)
        z = self._top.sample(n, seed=seeds[0])
        batch = tf.shape(z)[:-1]
        noise = tf.random.stateless_normal(tf.concat([batch, [self._decoder.hierarchical_size]], 0), seeds[1])
        latents = self._passed(z, noise=noise).latents
        return tf.concat([z, tf.reshape(latents, tf.shape(noise))], -1)

    @property
    def levels(self) -> tuple[tuple[int, int, int], ...]:
        """(h, w, c) of every level inside the decoder."""
        return self._decoder.latent_shapes

    def redrawn(self, values, kept: int, seed) -> tf.Tensor:
        """Latents [n, size] of the prior of which the vector z₀ and the first `kept` levels are those of `values`."""
        z, latents = tf.split(values, [-1, self._decoder.hierarchical_size], -1)
        noise = tf.random.stateless_normal(tf.shape(latents), seed)
        drawn = self._decoder(
            z, noise=noise, latents=latents, kept=kept, temperature=self._temperature, training=False
        )[1]
        return tf.concat([z, drawn.latents], -1)

    def _log_prob(self, values):
        batch = tf.broadcast_dynamic_shape(tf.shape(values)[:-1], self.batch_shape_tensor())
        values = tf.broadcast_to(values, tf.concat([batch, tf.shape(values)[-1:]], 0))
        z, latents = tf.split(values, [-1, self._decoder.hierarchical_size], -1)
        drawn = self._passed(z, latents=latents)
        log_prob = drawn.log_prior if self._maps is None else drawn.log_posterior
        return self._top.log_prob(z) + tf.reshape(tf.reduce_sum(log_prob, -1), batch)

    def _passed(self, z, **given):
        """The levels' latents and densities, for z₀ [..., latent_size] and [..., hierarchical_size] for them."""
        flat = {name: tf.reshape(value, (-1, self._decoder.hierarchical_size)) for name, value in given.items()}
        z = tf.reshape(z, (-1, self._top.event_shape[-1]))
        maps = self._maps
        if maps is not None:
            times = tf.shape(z)[0] // tf.shape(maps[0])[0]  # samples come first, examples last
            maps = [tf.tile(features, (times, 1, 1, 1)) for features in maps]
        return self._decoder(z, maps=maps, temperature=self._temperature, training=False, **flat)[1]

    def _batch_shape(self):
        return self._top.batch_shape

    def _batch_shape_tensor(self):
        return self._top.batch_shape_tensor()

    def _event_shape(self):
        return tf.TensorShape([self._top.event_shape[-1] + self._decoder.hierarchical_size])

    def _event_shape_tensor(self):
        return tf.constant(self._event_shape().as_list(), tf.int32)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}
