"""Invertible residual blocks: x plus a contraction of x, with an estimated or an exact log-determinant."""

import gin
import tensorflow as tf

from tfade.errors import (
    NOT_CONVERGED,
    UsageError,
    check_between,
    check_choice,
    check_class,
    check_layers,
    check_positive,
    check_whole,
)
from tfade.flows.fixed_point import FixedPoint, compiled, fixed_point
from tfade.flows.layer import FlowLayer, size_of
from tfade.flows.noise import FlowNoise
from tfade.flows.power_series import (
    jacobian_and_log_det,
    number_of_terms,
    poisson_tail,
    residual_and_log_det,
)
from tfade.networks.lipschitz import LipschitzMLP

EXACT_LIMIT = 64  # dimensions: the exact log-determinant takes one backward pass for each


@gin.register
class ResidualBlock(FlowLayer):
    """z = x + g(x) with a contraction g: invertible, and free in the form of g.

        log |det ∂z/∂x| = Σ_k (-1)^(k+1) / k · tr(Jᵏ),   J = ∂g/∂x

    From data to latents it is one evaluation. The series is estimated from one normal probe and a random number of
    terms, see `power_series.residual_and_log_det`: without bias but for numbers of terms rarer than 2⁻²², which are
    never drawn, so that with the defaults no term after the 14th counts in training, and none after the 32nd in
    evaluation. For few dimensions the log-determinant can be exact. From latents to data x = z - g(x) is iterated to a
    distance of `tolerance`; its gradient is that of the implicit function. `launch.sample` reports the number of
    iterations, and in Python `fixed_point.searches` does.

    Args:
        network: class of g, called as `network(event_shape, context_size)`: `LipschitzMLP`, or `LipschitzConvNet` for
            images; another one has `evaluate`, `parameters` and `constant` as `LipschitzNetwork` has them.
        log_det: "estimate", or "exact" by the Jacobian, for up to 64 dimensions.
        exact_terms: terms of the series that every estimate has, in training.
        evaluation_terms: the same where noise is a function of the example, outside of training.
        rate: mean of the Poisson number of further terms, below 20.
        tolerance: of the inverse, relative to the largest entry where that is above 1.
        max_iterations: of the inverse.

    Raises:
        UsageError: a value out of range, or at `build` an exact log-determinant of more than 64 dimensions.
        tf.errors.InvalidArgumentError: on the way to data, an inverse that has not converged; under XLA, which has no
            errors, it is NaN.

    Reference: Behrmann et al. 2019; Chen et al. 2019.
    """

    counted_as = "residual"

    def __init__(
        self,
        network=LipschitzMLP,
        log_det: str = "estimate",
        exact_terms: int = 2,
        evaluation_terms: int = 20,
        rate: float = 2.0,
        tolerance: float = 1e-5,
        max_iterations: int = 1000,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_class("ResidualBlock.network", network)
        check_choice("ResidualBlock.log_det", log_det, ("estimate", "exact"))
        for name, value in (("exact_terms", exact_terms), ("evaluation_terms", evaluation_terms)):
            check_layers(f"ResidualBlock.{name}", value)
        check_whole("ResidualBlock.max_iterations", max_iterations)
        check_between("ResidualBlock.rate", rate, 0, 20)
        check_positive("ResidualBlock.tolerance", tolerance)
        self._make_network, self.log_det = network, log_det
        self.exact_terms, self.evaluation_terms, self._tail = exact_terms, evaluation_terms, poisson_tail(rate)
        self.tolerance, self.max_iterations = tolerance, max_iterations
        self._search = compiled(self._inverse_search)

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        if self.is_exact and size_of(self.event_shape) > EXACT_LIMIT:
            raise UsageError(
                f"ResidualBlock.log_det='exact' takes {EXACT_LIMIT} dimensions or fewer, not {self.event_shape}; "
                "use 'estimate'"
            )
        self.network = self._make_network(self.event_shape, self.context_size)

    @property
    def is_exact(self):
        return self.log_det == "exact"

    # ---- Data to latents ----

    def inverse_and_log_det(self, x, context):
        self._require_exact()
        value, log_det = jacobian_and_log_det(self.network.evaluate, x, self.network.parameters(context))
        return x + value, log_det

    def inverse_and_estimate(self, x, context, noise):
        if self.is_exact:
            return self.inverse_and_log_det(x, context)
        value, log_det = self._estimated(x, self.network.parameters(context), noise)
        return x + value, log_det

    def inverse_value(self, x, context):
        return x + self.network.evaluate(x, self.network.parameters(context))

    # ---- Latents to data ----

    def forward_and_log_det(self, z, context):
        self._require_exact()
        parameters = self.network.parameters(context)
        x = self._inverted(z, parameters)
        return x, -jacobian_and_log_det(self.network.evaluate, x, parameters)[1]

    def forward_and_estimate(self, z, context, noise):
        if self.is_exact:
            return self.forward_and_log_det(z, context)
        parameters = self.network.parameters(context)
        x = self._inverted(z, parameters)
        return x, -self._estimated(x, parameters, noise)[1]

    def forward_value(self, z, context):
        return self._inverted(z, self.network.parameters(context))

    def fixed_point(self, z: tf.Tensor, context=None) -> FixedPoint:
        """The iteration that inverts the block: data, how many iterations they took, and whether they converged.

        Args:
            z: latents [batch, *event_shape].
            context: [batch, context_size] or None.
        """
        return self._fixed_point(tf.cast(z, self.variable_dtype), self.network.parameters(context))

    # ---- How ----

    def _require_exact(self):
        if not self.is_exact:
            raise UsageError(
                f"{type(self).__name__} estimates its log-determinant, which takes noise: ask its bijector, or "
                "inverse_and_estimate; or set log_det='exact'"
            )

    def _estimated(self, x, parameters, noise: FlowNoise):
        exact = self.exact_terms if noise.training else self.evaluation_terms
        terms = number_of_terms(noise.uniform(x), exact, self._tail)
        return residual_and_log_det(
            self.network.evaluate, x, parameters, noise.normal_like(x), terms, exact, self._tail
        )

    def _fixed_point(self, z, parameters) -> FixedPoint:
        return self._search(self._limits, z, *parameters)

    def _inverse_search(self, limits, z, *parameters) -> FixedPoint:
        return fixed_point(lambda x: z - self.network.evaluate(x, parameters), z, *limits)

    @property
    def _limits(self) -> tuple[float, int, float]:
        """Tolerance and maximum number of iterations of a search, and the Lipschitz constant of the network."""
        return self.tolerance, self.max_iterations, self.network.constant

    def _inverted(self, z, parameters):
        """x with x + g(x) = z; gradients reach z and the parameters."""
        fixed = [tf.stop_gradient(parameter) for parameter in parameters]
        found = self._fixed_point(tf.stop_gradient(z), fixed)
        x = tf.stop_gradient(self._checked(found, "inverse"))

        @tf.custom_gradient
        def implicit(residual):
            """The identity, whose gradient is multiplied by (I + J)⁻¹ at x."""

            def gradient(upstream):
                # An accuracy relative to each example's own gradient, which may be of any size. One that overflowed
                # in half precision is handed on: the update is skipped for it.
                axes = list(range(1, upstream.shape.rank))
                largest = tf.reduce_max(tf.abs(upstream), axes, keepdims=True)
                usable = tf.math.is_finite(largest) & (largest > 0)
                unit = tf.where(usable, upstream / tf.where(usable, largest, 1.0), 0.0)
                with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
                    tape.watch(x)
                    value = self.network.evaluate(x, fixed)
                solved = fixed_point(lambda left: unit - tape.gradient(value, x, left), unit, *self._limits)
                return tf.where(usable, largest * self._checked(solved, "gradient of the inverse"), upstream)

            return tf.identity(residual), gradient

        return x + implicit(z - x - self.network.evaluate(x, parameters))

    def _checked(self, found: FixedPoint, quantity: str) -> tf.Tensor:
        """The fixed point; an error, and NaN where there are none (XLA), if it was not reached."""
        among = self.scale_label or "its kind"  # ordinals start at 0 again on every scale
        message = (
            f"{self.name} (residual block {self.ordinal} of {among}, events of shape {self.event_shape}): its "
            f"{quantity} {NOT_CONVERGED} {self.max_iterations} iterations; raise ResidualBlock.max_iterations or its "
            f"tolerance, or lower {type(self.network).__name__}.coefficient; the last relative change"
        )
        check = tf.debugging.Assert(found.converged, [message, found.change])
        with tf.control_dependencies([] if check is None else [check]):
            return tf.where(found.converged, found.value, tf.constant(float("nan"), found.value.dtype))
