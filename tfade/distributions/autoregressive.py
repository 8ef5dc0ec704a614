"""Autoregressive densities: one dimension after the other, each given those before it."""

from collections.abc import Callable

import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.conditionals import conditionals, drawn
from tfade.distributions.layer import StandardisedLayer
from tfade.distributions.scales import SCALE_RANGE, checked_range
from tfade.errors import check_whole
from tfade.flows.layer import flattened

tfd = tfp.distributions


class Autoregressive(StandardisedLayer):
    """p(x) = Π_i p(x_i | x_<i, context), each factor a Gaussian or a mixture of K Gaussians, over vectors.

    T multiplies the standard deviations of the conditionals (of their components). Where all means are linear and all
    deviations constant, that is p^(1/τ) with T = √τ; otherwise an approximation, since the conditionals of a tempered
    density are not the tempered conditionals, and weights of components stay as they are.

    A subclass defines `parameters` for the density and `ancestral` for samples.

    Args:
        components: K; 1 gives the Gaussian conditionals of Rosca et al. 2018, appendix E.
        scale_range: smallest and largest standard deviation of a conditional, in units of s.
    """

    def __init__(self, components: int = 1, scale_range: tuple[float, float] = SCALE_RANGE, **kwargs):
        super().__init__(**kwargs)
        check_whole("components", components)
        self.components, self.scale_range = components, checked_range(scale_range)

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        self._require_vectors()

    def parameters(self, u: tf.Tensor, context: tf.Tensor | None) -> tf.Tensor:
        """The parameters of all conditionals [batch, D, P] given all of u [batch, D], in one pass."""
        raise NotImplementedError

    def ancestral(self, draw: Callable, noise: tf.Tensor, context: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Solves u_i = draw(noise_i, θ_i(u_<i)) for u, one dimension after the other.

        Args:
            draw: (noise_i [batch, 2], parameters [batch, P]) → u_i and its nats, both [batch, 1].
            noise: [batch, D, 2].
            context: [batch, context_size] or None.

        Returns:
            u and the nats of every dimension, both [batch, D].
        """
        raise NotImplementedError

    def log_prob(self, x: tf.Tensor, context: tf.Tensor | None, temperature) -> tf.Tensor:
        """Nats [batch] at flat x [batch, D]."""
        u = (x - self.shift) / self.scale
        conditional = self.conditionals(self.parameters(u, context), temperature)
        return tf.reduce_sum(conditional.log_prob(u) - tf.math.log(self.scale), -1)

    def sample_and_log_prob(self, count, context: tf.Tensor | None, temperature, seed) -> tuple[tf.Tensor, tf.Tensor]:
        """`count` draws [count, D] and their nats [count]; a row of context for each."""

        def draw(noise, parameters):
            conditional = self.conditionals(parameters, temperature)
            value = drawn(conditional, noise)
            return value[:, None], conditional.log_prob(value)[:, None]

        shape, dtype = (count, self.event_shape[0]), self.variable_dtype
        of_choice, of_value = tfp.random.split_seed(seed, n=2)
        noise = [tf.random.stateless_uniform(shape, of_choice, dtype=dtype)]
        noise.append(tf.random.stateless_normal(shape, of_value, dtype=dtype))
        u, log_probs = self.ancestral(draw, tf.stack(noise, -1), context)
        return u * self.scale + self.shift, tf.reduce_sum(log_probs - tf.math.log(self.scale), -1)

    def conditionals(self, parameters: tf.Tensor, temperature) -> tfd.Distribution:
        """The distributions of scalars that [..., P] parameters stand for."""
        return conditionals(tf.cast(parameters, self.variable_dtype), self.components, temperature, self.scale_range)

    def _distribution(self, context, temperature):
        return AutoregressiveDistribution(self, context, temperature)


class AutoregressiveDistribution(tfd.Distribution):
    """An autoregressive layer, and maybe a context, as a distribution that is thrown away after use."""

    def __init__(self, layer: Autoregressive, context: tf.Tensor | None, temperature: tf.Tensor):
        parameters = dict(locals())
        self._layer, self._context, self._temperature = layer, context, temperature
        super().__init__(
            dtype=tf.as_dtype(layer.variable_dtype),
            reparameterization_type=tfd.FULLY_REPARAMETERIZED
            if layer.components == 1
            else tfd.NOT_REPARAMETERIZED,  # the choice of a component has no derivative
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=layer.name,
        )

    def _log_prob(self, x):
        x, context, batch = flattened(x, self._context, self._layer.event_shape)
        return tf.reshape(self._layer.log_prob(x, context, self._temperature), batch)

    def _sample_n(self, n, seed=None):
        return self._sample_and_log_prob([n], seed)[0]

    def _sample_and_log_prob(self, sample_shape, seed):
        batch = tf.concat([sample_shape, self._batch_shape_tensor()], 0)
        context = self._context
        if context is not None:
            context = tf.broadcast_to(context, tf.concat([batch, [self._layer.context_size]], 0))
            context = tf.reshape(context, (-1, self._layer.context_size))
        x, log_prob = self._layer.sample_and_log_prob(
            tf.reduce_prod(batch), context, self._temperature, tfp.random.sanitize_seed(seed)
        )
        return tf.reshape(x, tf.concat([batch, self._layer.event_shape], 0)), tf.reshape(log_prob, batch)

    def _event_shape(self):
        return tf.TensorShape(self._layer.event_shape)

    def _event_shape_tensor(self):
        return tf.constant(self._layer.event_shape, tf.int32)

    def _batch_shape(self):
        return tf.TensorShape([]) if self._context is None else self._context.shape[:-1]

    def _batch_shape_tensor(self):
        return tf.zeros(0, tf.int32) if self._context is None else tf.shape(self._context)[:-1]

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}
