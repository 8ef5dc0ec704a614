"""Implicit posteriors: codes that a network makes of noise, with samples and without a density."""

from collections.abc import Callable

import gin
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.layer import DistributionLayer
from tfade.errors import UsageError, check_sizes, check_whole
from tfade.networks.mlp import MLPDecoder

tfd = tfp.distributions

SMALLEST_VARIANCE = 1e-4  # of a moment-matched normal, so that its density exists where the noise has no effect


class ImplicitCodes(tfd.Distribution):
    """z = E(x, ε), ε ~ N(0, I): codes that can be drawn, whose density is not known (`log_prob` raises).

    Its mean and deviation are those of a fixed set of draws, the same for every example.

    Args:
        make: noise [k, batch, noise_size] → codes [k, batch, latent_size].
        noise: of the fixed draws, [k, noise_size].
        batch: number of examples, a scalar tensor or an integer.
        latent_size: dimension of the codes.
    """

    def __init__(self, make: Callable[[tf.Tensor], tf.Tensor], noise, batch, latent_size: int):
        parameters = dict(locals())
        self._make, self._noise, self._batch, self._latent_size = make, noise, batch, latent_size
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=False,
            parameters=parameters,
            name="ImplicitCodes",
        )

    def _sample_n(self, n, seed=None):
        shape = (n, self._batch, self._noise.shape[-1])
        return self._make(tfd.Normal(0.0, 1.0).sample(shape, seed=seed))

    def _moments(self) -> tuple[tf.Tensor, tf.Tensor]:
        shape = (self._noise.shape[0], self._batch, self._noise.shape[1])
        return tf.nn.moments(self._make(tf.broadcast_to(tf.constant(self._noise)[:, None], shape)), 0)

    def _mean(self):
        return self._moments()[0]

    def _variance(self):
        return self._moments()[1]

    def normal_approximation(self) -> tfd.Distribution:
        """The diagonal normal with its moments: a proposal with a density, and the contrast of AVB."""
        mean, variance = self._moments()
        return tfd.Independent(tfd.Normal(mean, tf.sqrt(variance + SMALLEST_VARIANCE)), 1)

    def _batch_shape(self):
        static = self._batch if isinstance(self._batch, int) else tf.get_static_value(self._batch)
        return tf.TensorShape([static])

    def _batch_shape_tensor(self):
        return tf.convert_to_tensor(self._batch)[None]

    def _event_shape(self):
        return tf.TensorShape([self._latent_size])

    def _event_shape_tensor(self):
        return tf.constant([self._latent_size], tf.int32)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}


@gin.register
class ImplicitPosterior(DistributionLayer):
    """q(z | context) as the distribution of z = MLP([context, ε]), ε ~ N(0, I); it has no density. See `AVB`.

    Args:
        noise_size: dimension of ε.
        width, depth: units of a hidden layer, and how many there are.
        moments: draws, fixed ones, that the mean and the variance of an example's codes are taken from.

    Raises:
        UsageError: a size below 1, or fewer than 2 draws.

    Reference: Mescheder et al. 2017, section 3.
    """

    def __init__(self, noise_size: int = 32, width: int = 256, depth: int = 2, moments: int = 32, **kwargs):
        super().__init__(**kwargs)
        check_sizes("ImplicitPosterior", noise_size=noise_size, width=width, depth=depth)
        check_whole("ImplicitPosterior.moments", moments, 2)
        self.noise_size, self.width, self.depth = noise_size, width, depth
        # Each draw beside its negative: the mean of the noise itself is exactly 0.
        half = np.random.default_rng(0).standard_normal(((moments + 1) // 2, noise_size))
        self._fixed = np.concatenate([half, -half])[:moments].astype(np.float32)

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        size = self._require_vectors()
        if not self.context_size:
            raise UsageError("ImplicitPosterior was built without a context; it is a posterior, not a prior")
        self.network = MLPDecoder((size,), self.context_size + self.noise_size, width=self.width, depth=self.depth)

    def codes(self, noise, context) -> tf.Tensor:
        """E(x, ε): noise [..., noise_size] and contexts [..., context_size] of the same leading axes → [..., size]."""
        inputs = tf.concat([tf.cast(context, tf.float32), noise], -1)
        flat = self.network(tf.reshape(inputs, (-1, inputs.shape[-1])))
        return tf.reshape(flat, tf.concat([tf.shape(inputs)[:-1], self.event_shape], 0))

    def distribution(self, context=None, temperature=1.0) -> ImplicitCodes:
        context = self.checked_context(context)

        def make(noise):
            shape = tf.concat([tf.shape(noise)[:-1], [self.context_size]], 0)
            return self.codes(noise, tf.broadcast_to(tf.cast(context, tf.float32), shape))

        batch = context.shape[0] if context.shape[0] is not None else tf.shape(context)[0]
        return ImplicitCodes(make, self._fixed, batch, self.event_shape[0])

    def _from_noise(self, noise, context):
        raise UsageError(
            "posterior=ImplicitPosterior has no density, which the bound of a VAE needs; use AVB, or DiagonalNormal"
        )
