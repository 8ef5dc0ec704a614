"""Autoregressive flows: each dimension is transformed with parameters computed from the dimensions before it."""

import gin
import tensorflow as tf

from tfade.errors import UsageError, check_choice, check_class, check_seed
from tfade.flows.layer import FlowLayer
from tfade.flows.transformers import Affine, as_transformer
from tfade.networks.made import MADE, ORDERS


class Autoregressive(FlowLayer):
    """What `MAF` and `IAF` share: one masked network, and a transformer of every number.

    Args:
        transformer: a `Transformer` or a class of them.
        order: of the dependence: "natural", "reversed", "random", or "alternate", natural and reversed in turn along a
            stack, so that no number stays the first.
        seed: of random orders, together with the layer's place in its stack.
        conditioner: class of the network, called as `conditioner(dimensions, outputs, context_size, order=…, seed=…)`.

    Raises:
        UsageError: an unknown order, no transformer, an object where the conditioner's class is wanted, or at `build`
            an event that is not a vector.
    """

    counted_as = "autoregressive"

    def __init__(self, transformer=Affine, order: str = "alternate", seed: int = 0, conditioner=MADE, **kwargs):
        super().__init__(**kwargs)
        check_choice("order", order, ("alternate", *ORDERS))
        check_seed("seed", seed)
        check_class("conditioner", conditioner)
        self.transformer = as_transformer(transformer)
        self.order, self.seed, self._make_conditioner = order, seed, conditioner

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        if len(self.event_shape) != 1 or self.event_shape[0] < 1:
            raise UsageError(
                f"{type(self).__name__} was given events of shape {self.event_shape}; it takes vectors, (D,)"
            )
        order = ("natural", "reversed")[self.ordinal % 2] if self.order == "alternate" else self.order
        self.conditioner = self._make_conditioner(
            self.event_shape[0], self.transformer.size, self.context_size, order=order, seed=(self.seed, self.ordinal)
        )

    def _parallel(self, value, context, transform):
        """All dimensions at once: parameters are computed from `value`."""
        parameters = self.conditioner(value) if context is None else self.conditioner(value, context)
        result, log_derivative = transform(value, tf.cast(parameters, value.dtype))
        return result, tf.reduce_sum(log_derivative, -1)

    def _sequential(self, value, context, transform):
        """One dimension after the other: parameters are computed from the result so far."""
        result, log_derivative = self.conditioner.ancestral(transform, value[..., None], context)
        return result, tf.reduce_sum(log_derivative, -1)


@gin.register
class MAF(Autoregressive):
    """Masked autoregressive flow: x_i = T(z_i; θ_i(x_<i)). Density takes one pass, sampling D steps.

    Args:
        transformer, order, seed, conditioner: see `Autoregressive`.

    Reference: Papamakarios et al. 2017, equations 2 to 5; with splines, Durkan et al. 2019.
    """

    def forward_and_log_det(self, z, context):
        return self._sequential(z, context, self.transformer.forward)

    def inverse_and_log_det(self, x, context):
        return self._parallel(x, context, self.transformer.inverse)


@gin.register
class IAF(Autoregressive):
    """Inverse autoregressive flow: x_i = T(z_i; θ_i(z_<i)). Sample and its density take one pass; density of given data
    takes D steps.

    Args:
        transformer: `Affine`, or `GatedAffine` for the form of the paper; see `Autoregressive`.
        order, seed, conditioner: see `Autoregressive`.

    Reference: Kingma et al. 2016, equations 9 to 12 and algorithm 1.
    """

    def forward_and_log_det(self, z, context):
        return self._parallel(z, context, self.transformer.forward)

    def inverse_and_log_det(self, x, context):
        return self._sequential(x, context, self.transformer.inverse)
