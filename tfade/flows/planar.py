"""Planar and radial flows: one tanh along a direction, one bump around a point; made for posteriors."""

import math

import gin
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError, check_class
from tfade.flows.layer import FlowLayer
from tfade.networks.conditioner import MLPConditioner

SLACK = 1e-3  # least derivative of the map along any direction: with 0 the inverse would lose all digits
MAX_ITERATIONS = 100  # of the root search, which stops by itself after 5 to 20


class ParametricFlow(FlowLayer):
    """A map of vectors with few parameters: free ones, plus what a network makes of the context if there is one.

    Args:
        conditioner: class of the network, called as `conditioner(inputs, outputs)`; its output is 0 at the start.
    """

    def __init__(self, conditioner=MLPConditioner, **kwargs):
        super().__init__(**kwargs)
        check_class("conditioner", conditioner)
        self._make_conditioner = conditioner

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        if len(self.event_shape) != 1:
            raise UsageError(
                f"{type(self).__name__} was given events of shape {self.event_shape}; it takes vectors, (D,)"
            )
        self._sizes = self.parameter_sizes(self.event_shape[0])
        self._free = [
            self.add_weight(name=name, shape=(size,), initializer="zeros" if name != "w" else "random_normal")
            for name, size in self._sizes.items()
        ]
        if self.context_size:
            self.conditioner = self._make_conditioner(self.context_size, sum(self._sizes.values()))

    def parameter_sizes(self, dimensions: int) -> dict[str, int]:
        """Name → size of every parameter."""
        raise NotImplementedError

    def parameters(self, context) -> list[tf.Tensor]:
        """[1, size] or [batch, size] each, in the order of `parameter_sizes`."""
        free = [tf.convert_to_tensor(variable)[None] for variable in self._free]
        if context is None:
            return free
        moves = tf.split(tf.cast(self.conditioner(context), free[0].dtype), list(self._sizes.values()), -1)
        return [one + move for one, move in zip(free, moves)]


@gin.register
class Planar(ParametricFlow):
    """x = z + û tanh(wᵀz + b): space is stretched or squeezed across one plane.

    `forward`, from latents to data, is the closed form: a posterior's sample and density come in one pass. The inverse
    solves α + wᵀû tanh(α) = wᵀx + b, which rises with α; its gradient is the implicit one, to first order.

    û is u, moved along w so that wᵀû = softplus(wᵀu + const) - 1 + 0.001 stays above -1. The constant, which is not in
    the paper, makes u = 0 the identity.

    Args:
        conditioner: see `ParametricFlow`.

    Reference: Rezende and Mohamed 2015, equations 10 to 12 and appendix A.1.
    """

    def parameter_sizes(self, dimensions):
        return {"w": dimensions, "u": dimensions, "b": 1}

    def forward_and_log_det(self, z, context):
        w, u, b, product = self._invertible(context)
        height = tf.tanh(tf.reduce_sum(w * z, -1) + b)
        return z + u * height[:, None], self._log_det(product, height)

    def inverse_and_log_det(self, x, context):
        w, u, b, product = self._invertible(context)
        height = tf.tanh(root_of_tanh(product, tf.reduce_sum(w * x, -1) + b))
        return x - u * height[:, None], -self._log_det(product, height)

    def _invertible(self, context):
        """w, û [1 or batch, D], b and wᵀû [1 or batch]."""
        w, u, b = self.parameters(context)
        free = tf.reduce_sum(w * u, -1)
        product = tf.nn.softplus(free + math.log(math.expm1(1.0 - SLACK))) - 1.0 + SLACK
        along = w / (tf.reduce_sum(tf.square(w), -1, keepdims=True) + 1e-12)
        return w, u + (product - free)[:, None] * along, b[:, 0], product

    @staticmethod
    def _log_det(product, height):
        """log(1 + wᵀû tanh'(α)), as a sum of what is positive."""
        square = tf.square(height)
        return tf.math.log(square + (1.0 + product) * (1.0 - square))


def root_of_tanh(slope: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """α with α + slope · tanh(α) = value, for slope > -1, by Newton's method kept in a shrinking bracket."""
    slope = tf.broadcast_to(slope, tf.shape(value))
    fixed_slope, fixed_value = tf.stop_gradient(slope), tf.stop_gradient(value)
    size = tf.abs(fixed_slope)
    tolerance = 2.0 * np.finfo(value.dtype.as_numpy_dtype).eps * (1.0 + size + tf.abs(fixed_value))

    def excess(alpha):
        return alpha + fixed_slope * tf.tanh(alpha) - fixed_value

    def going(count, low, high, alpha):
        return tf.reduce_any(tf.abs(excess(alpha)) > tolerance)

    def step(count, low, high, alpha):
        over = excess(alpha)
        low, high = tf.where(over < 0, alpha, low), tf.where(over < 0, high, alpha)
        newton = alpha - over / (1.0 + fixed_slope * (1.0 - tf.square(tf.tanh(alpha))))
        # Every third step halves the bracket: Newton's alone can stay inside and yet creep.
        take = (newton > low) & (newton < high) & (count % 3 < 2)
        return count + 1, low, high, tf.where(take, newton, 0.5 * (low + high))

    start = (0, fixed_value - size, fixed_value + size, fixed_value)
    alpha = tf.stop_gradient(tf.while_loop(going, step, start, maximum_iterations=MAX_ITERATIONS)[-1])
    # One more step, this time seen by the tape: it polishes the root and has the implicit function's gradient.
    height = tf.tanh(alpha)
    return alpha - (alpha + slope * height - value) / (1.0 + fixed_slope * (1.0 - tf.square(height)))


@gin.register
class Radial(ParametricFlow):
    """x = z + β̂ (z - z₀) / (α + r), r = ‖z - z₀‖: space is drawn towards a point or pushed away from it.

    Both directions are closed forms: with R = ‖x - z₀‖, r is the positive root of r² + (α + β̂ - R) r = α R.

    α = softplus(a) and α + β̂ = α (0.001 + softplus(v + const)) > 0, which keeps the map invertible; the constant makes
    v = 0 the identity.

    Args:
        conditioner: see `ParametricFlow`.

    Reference: Rezende and Mohamed 2015, equations 13 and 14 and appendix A.2; the closed-form inverse is ours.
    """

    def parameter_sizes(self, dimensions):
        return {"centre": dimensions, "a": 1, "v": 1}

    def forward_and_log_det(self, z, context):
        centre, alpha, edge = self._invertible(context)
        away = z - centre
        radius = _length(away)
        factor = (edge + radius) / (alpha + radius)
        return centre + factor[:, None] * away, self._log_det(z.shape[-1], alpha, edge, radius)

    def inverse_and_log_det(self, x, context):
        centre, alpha, edge = self._invertible(context)
        away = x - centre
        far = _length(away)
        half, product = far - edge, 4.0 * alpha * far
        total = tf.sqrt(tf.square(half) + product) + tf.abs(half)
        radius = 0.5 * tf.where(half >= 0, total, product / total)  # the second from the product of both roots
        factor = (alpha + radius) / (edge + radius)
        return centre + factor[:, None] * away, -self._log_det(x.shape[-1], alpha, edge, radius)

    def _invertible(self, context):
        """z₀ [1 or batch, D], α and α + β̂ [1 or batch]."""
        centre, alpha, edge = self.parameters(context)
        alpha = tf.nn.softplus(alpha[:, 0]) + SLACK
        return centre, alpha, alpha * (SLACK + tf.nn.softplus(edge[:, 0] + math.log(math.expm1(1.0 - SLACK))))

    @staticmethod
    def _log_det(dimensions, alpha, edge, radius):
        """D - 1 directions are scaled by (edge + r) / (α + r), the one of the radius by 1 + β̂ α / (α + r)²."""
        outer = alpha + radius
        across = tf.math.log((edge + radius) / outer)
        along = tf.math.log((radius * (radius + 2.0 * alpha) + alpha * edge) / tf.square(outer))
        return (dimensions - 1) * across + along


def _length(vector):
    """Euclidean norm [batch], with a gradient of 0 and not NaN where the vector is 0."""
    return tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(vector), -1), 1e-30))
