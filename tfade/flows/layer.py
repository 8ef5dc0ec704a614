"""What every flow is: a Keras layer that owns its variables and gives a fresh TFP bijector."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.errors import UsageError
from tfade.flows.noise import FlowNoise, PerExampleNoise
from tfade.seeds import example_keys


class FlowLayer(keras.layers.Layer):
    """An invertible map between latents z (its input) and data x (its output), with its log-determinant.

    A subclass defines `build`, `forward_and_log_det` and `inverse_and_log_det`; in either direction, value and
    log-determinant come from one evaluation of the conditioner. They see flat batches, [batch, *event], and run in the
    precision of the variables, whatever the conditioner computes in. Layers without a tractable log-determinant define
    `is_exact`, and both directions of `…_and_estimate` and `…_value`, too; so do those that are made of other layers.

    `counted_as` names the kind that layers alternate with: those of one kind are numbered together along a stack.
    `scale_label` says in messages on which scale of a multi-scale flow the layer lies, as "scale 2"; "" where there are
    none.
    `event_shape` is the shape of one data point and `latent_shape` that of its latents; both are known after `build`.
    """

    counted_as: str | None = None  # None: the class itself
    scale_label: str = ""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)  # in gin Keras' own arguments are not arguments of a part of a model

    def build(self, event_shape: Sequence[int], context_size: int = 0, ordinal: int = 0) -> None:
        """Makes the variables. Subclasses call this first.

        Args:
            event_shape: shape of one data point: (D,) or (H, W, C).
            context_size: dimension of the context vector that the map is conditioned on; 0 for none.
            ordinal: how many layers of its kind lie before it in a stack, on the side of the data, stacks within the
                stack included. What should vary from layer to layer (which half is transformed, the seed of a
                permutation) goes by it.

        Raises:
            UsageError: a shape that the layer cannot transform.
        """
        self.event_shape = self.latent_shape = tuple(int(size) for size in event_shape)
        self.context_size, self.ordinal = int(context_size), int(ordinal)
        if not self.event_shape or min(self.event_shape) < 1:
            raise UsageError(
                f"{type(self).__name__} was given event_shape={tuple(event_shape)!r}; give (D,) or (H, W, C), all "
                "positive"
            )
        if self.context_size < 0:
            raise UsageError(f"context_size={context_size!r} is negative; use 0 for a flow without a context")

    def forward_and_log_det(self, z: tf.Tensor, context: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Data [batch, *event_shape] from latents, and log |det dx/dz| [batch]."""
        raise NotImplementedError

    def inverse_and_log_det(self, x: tf.Tensor, context: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Latents [batch, *latent_shape] from data, and log |det dz/dx| [batch]."""
        raise NotImplementedError

    @property
    def is_exact(self) -> bool:
        """Whether log-determinants are exact, and not estimates that draw noise."""
        return True

    def forward_and_estimate(self, z, context, noise: FlowNoise) -> tuple[tf.Tensor, tf.Tensor]:
        """`forward_and_log_det` with an unbiased estimate of the log-determinant where it is not exact."""
        return self.forward_and_log_det(z, context)

    def inverse_and_estimate(self, x, context, noise: FlowNoise) -> tuple[tf.Tensor, tf.Tensor]:
        """`inverse_and_log_det` with an unbiased estimate of the log-determinant where it is not exact."""
        return self.inverse_and_log_det(x, context)

    def forward_value(self, z, context) -> tf.Tensor:
        """Data from latents alone; where log-determinants are estimates, these are not computed for nothing."""
        return self.forward_and_log_det(z, context)[0]

    def inverse_value(self, x, context) -> tf.Tensor:
        """Latents from data alone, as in `forward_value`."""
        return self.inverse_and_log_det(x, context)[0]

    def initialise(self, x: tf.Tensor, context: tf.Tensor | None = None) -> tf.Tensor:
        """Data-dependent initialisation, once, before training starts (ActNorm); returns the latents of `x`."""
        return self.inverse_value(x, context)

    def bijector(self, context=None, noise: FlowNoise | None = None) -> "FlowBijector":
        """The map as a TFP bijector; `forward` goes from latents to data.

        Args:
            context: [..., context_size], broadcast against the batch dimensions of what is transformed; None if and
                only if the layer was built without a context.
            noise: of the log-determinants that are not exact. None: a function of what is transformed.

        Raises:
            UsageError: a context where none is expected, none where one is, or one of the wrong size.
        """
        return FlowBijector(self, self.checked_context(context), noise)

    def checked_context(self, context) -> tf.Tensor | None:
        """The context in the precision of the variables, or an error if it does not fit."""
        if not self.built:
            raise UsageError(f"{type(self).__name__} has no variables yet; call build(event_shape, context_size) first")
        if context is None:
            if self.context_size:
                raise UsageError(
                    f"context=None, but {type(self).__name__} was built for context vectors of size "
                    f"{self.context_size}; give one, [batch, {self.context_size}]"
                )
            return None
        context = tf.cast(context, self.variable_dtype)
        if context.shape.rank == 0 or context.shape[-1] != self.context_size:
            raise UsageError(
                f"context has shape {list(context.shape)}, but {type(self).__name__} was built for "
                + (f"[batch, {self.context_size}]" if self.context_size else "no context (context_size=0)")
            )
        return context


class FlowBijector(tfp.bijectors.Bijector):
    """A flow layer, and maybe a context and noise, as a bijector that is thrown away after use.

    TFP would keep every pair of input and output that it has seen: an inverse would be looked up and not computed, and
    the gradient of the density of a sample with respect to it would be lost. Here only the log-determinant of the last
    evaluation is kept, for the one question that follows; between the two neither a variable may change nor a gradient
    tape begin.
    """

    def __init__(self, layer: FlowLayer, context: tf.Tensor | None, noise: FlowNoise | None = None):
        self._layer, self._context, self._noise = layer, context, noise
        self._known: tuple[tf.Tensor, tf.Tensor, tf.Tensor] | None = None  # latents, data, log |det dx/dz|
        super().__init__(
            forward_min_event_ndims=len(layer.latent_shape),
            inverse_min_event_ndims=len(layer.event_shape),
            dtype=tf.as_dtype(layer.variable_dtype),
            name=layer.name,
        )

    def forward_and_log_det(self, z) -> tuple[tf.Tensor, tf.Tensor]:
        """Data and log |det dx/dz| in one evaluation, over any batch dimensions."""
        layer = self._layer
        return self._flat(layer.forward_and_estimate, z, layer.latent_shape, layer.event_shape)

    def inverse_and_log_det(self, x) -> tuple[tf.Tensor, tf.Tensor]:
        """Latents and log |det dz/dx| in one evaluation, over any batch dimensions."""
        layer = self._layer
        return self._flat(layer.inverse_and_estimate, x, layer.event_shape, layer.latent_shape)

    def _value(self, function, value, shape_in, shape_out):
        """A value alone, of a layer that estimates its log-determinant."""

        def with_nothing(value, context, noise):
            return function(value, context), tf.zeros(tf.shape(value)[:1], self.dtype)

        return self._flat(with_nothing, value, shape_in, shape_out)[0]

    def _flat(self, function, value, shape_in, shape_out):
        """Applies a function of flat batches to a value with any batch dimensions; the context is broadcast."""
        value, context, batch = flattened(tf.convert_to_tensor(value, self.dtype), self._context, shape_in)
        noise = self._noise
        if noise is None and not self._layer.is_exact:
            noise = PerExampleNoise(example_keys(value))
        result, log_det = function(value, context, noise)
        if batch.shape == (1,):
            return result, log_det
        return tf.reshape(result, tf.concat([batch, shape_out], 0)), tf.reshape(log_det, batch)

    # The public methods of TFP end in these four; each of its own versions looks into its cache.

    def _call_forward(self, x, name, **kwargs):
        with self._name_and_control_scope(name):
            latents, layer = self._tensor(x), self._layer
            if not layer.is_exact:
                return self._value(layer.forward_value, latents, layer.latent_shape, layer.event_shape)
            data, log_det = self.forward_and_log_det(latents)
            self._known = latents, data, log_det
            return data

    def _call_inverse(self, y, name, **kwargs):
        with self._name_and_control_scope(name):
            data, layer = self._tensor(y), self._layer
            if not layer.is_exact:
                return self._value(layer.inverse_value, data, layer.event_shape, layer.latent_shape)
            latents, log_det = self.inverse_and_log_det(data)
            self._known = latents, data, -log_det
            return latents

    def _call_forward_log_det_jacobian(self, x, event_ndims, name, **kwargs):
        with self._name_and_control_scope(name):
            latents = self._tensor(x)
            known = self._recalled(0, latents)
            log_det = self.forward_and_log_det(latents)[1] if known is None else known
            return self._summed(log_det, event_ndims, self.forward_min_event_ndims)

    def _call_inverse_log_det_jacobian(self, y, event_ndims, name, **kwargs):
        with self._name_and_control_scope(name):
            data = self._tensor(y)
            known = self._recalled(1, data)
            log_det = self.inverse_and_log_det(data)[1] if known is None else -known
            return self._summed(log_det, event_ndims, self.inverse_min_event_ndims)

    def _recalled(self, side: int, value) -> tf.Tensor | None:
        """log |det dx/dz| of the last evaluation if `value` is its latents (0) or data (1); forgotten thereafter."""
        known, self._known = self._known, None
        return known[2] if known is not None and known[side] is value else None

    def _tensor(self, value):
        return tf.convert_to_tensor(value, self.dtype)

    @staticmethod
    def _summed(log_det, event_ndims, least):
        """Log-determinants of events that hold several of the layer's events add up."""
        extra = 0 if event_ndims is None else int(event_ndims) - least
        if extra < 0:
            raise UsageError(f"event_ndims={event_ndims!r} is below {least}, the rank of what this flow transforms")
        return tf.reduce_sum(log_det, axis=list(range(-extra, 0))) if extra else log_det

    def _batch_shape(self, x_event_ndims):
        return tf.TensorShape([]) if self._context is None else self._context.shape[:-1]

    def _batch_shape_tensor(self, x_event_ndims):
        return tf.constant([], tf.int32) if self._context is None else tf.shape(self._context)[:-1]

    def _forward_event_shape(self, input_shape):
        return self._exchanged(input_shape, self._layer.latent_shape, self._layer.event_shape)

    def _inverse_event_shape(self, output_shape):
        return self._exchanged(output_shape, self._layer.event_shape, self._layer.latent_shape)

    def _forward_event_shape_tensor(self, input_shape):
        return tf.concat([input_shape[: -len(self._layer.latent_shape)], self._layer.event_shape], 0)

    def _inverse_event_shape_tensor(self, output_shape):
        return tf.concat([output_shape[: -len(self._layer.event_shape)], self._layer.latent_shape], 0)

    @staticmethod
    def _exchanged(shape, old, new):
        return tf.TensorShape(shape)[: -len(old)].concatenate(new)

    @classmethod
    def _parameter_properties(cls, dtype):
        return {}


def flattened(value: tf.Tensor, context: tf.Tensor | None, event_shape: tuple[int, ...]):
    """Values with any batch dimensions as one flat batch, with a context that is broadcast against them.

    Args:
        value: [..., *event_shape].
        context: [..., context_size], or None.
        event_shape: shape of one event.

    Returns:
        value [N, *event_shape], context [N, context_size] or None, and the batch dimensions that they had in common.

    Raises:
        UsageError: events of another shape.
    """
    rank = len(event_shape)
    if value.shape[-rank:] != event_shape:
        raise UsageError(f"events are of shape {event_shape}, which {tuple(value.shape)} does not end in")
    batch = tf.shape(value)[:-rank]
    size = None if context is None else context.shape[-1]
    if context is not None and context.shape[:-1] != value.shape[:-rank]:
        batch = tf.broadcast_dynamic_shape(batch, tf.shape(context)[:-1])
        value = tf.broadcast_to(value, tf.concat([batch, event_shape], 0))
        context = tf.broadcast_to(context, tf.concat([batch, [size]], 0))
    if value.shape.rank != rank + 1:
        value = tf.reshape(value, (-1, *event_shape))
        context = None if context is None else tf.reshape(context, (-1, size))
    return value, context, batch


def size_of(shape: Sequence[int]) -> int:
    """The number of dimensions of an event of this shape."""
    return int(np.prod(shape))
