"""Coupling layers: one half of the dimensions is transformed, with parameters computed from the other half."""

from collections.abc import Callable

import gin
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError, check_choice, check_class
from tfade.flows.layer import FlowLayer
from tfade.flows.permutation import permuted
from tfade.flows.transformers import Affine, Transformer, as_transformer
from tfade.networks.conditioner import MLPConditioner

MASKS = ("half", "alternate")


class CouplingLayer(FlowLayer):
    """What couplings of vectors and of images share: x_b is transformed with parameters computed from x_a.

        x_a = z_a,   x_b = T(z_b; θ(x_a, context))

    A subclass makes θ, `self.conditioner`, in `build`, and defines `_transformed`.

    Args:
        transformer: T, or a class (function without arguments) that makes it, see `tfade.flows.transformers`.
        parity: which half is transformed: 0 the second, 1 the first. None: in turn along a stack.
        conditioner: class of θ; its output is 0 at the start.

    Raises:
        UsageError: no transformer, an unknown parity, or an object where the conditioner's class is wanted.
    """

    def __init__(self, transformer, parity: int | None, conditioner, **kwargs):
        super().__init__(**kwargs)
        self.transformer = as_transformer(transformer)
        check_choice("parity", parity, (None, 0, 1))
        check_class("conditioner", conditioner)
        self.parity, self._make_conditioner = parity, conditioner

    @property
    def _swapped(self) -> bool:
        """Whether the first half is transformed, and not the second."""
        return (self.ordinal if self.parity is None else self.parity) % 2 == 1

    def forward_and_log_det(self, z, context):
        return self._transformed(z, context, self.transformer.forward)

    def inverse_and_log_det(self, x, context):
        return self._transformed(x, context, self.transformer.inverse)

    def _transformed(self, value, context, transform):
        """The value with one half transformed, and the log-determinant [batch]."""
        raise NotImplementedError


@gin.register
class Coupling(CouplingLayer):
    """One half of a vector's dimensions, x_b, is transformed with parameters that a network computes from the other.

        x_a = z_a,   x_b = T(z_b; θ(x_a, context))

    The transformer makes it the coupling of RealNVP (`Affine`), of NICE (`Shift`; a stack of them has constant volume
    and needs a `DiagonalScaling` at its end), or of neural spline flows (`RationalQuadratic`).

    Args:
        transformer: T, or a class (function without arguments) that makes it, see `tfade.flows.transformers`.
        mask: which dimensions make a half: "half" (the first and the last) or "alternate" (the even and the odd; on
            images in rows of even length, columns).
        parity: which half is transformed: 0 the second, 1 the first. None: in turn along a stack.
        conditioner: class of θ, called as `conditioner(inputs, outputs)`; its output is 0 at the start.

    Raises:
        UsageError: no transformer, an unknown mask or parity, an object where the conditioner's class is wanted, or at
            `build` an event that is not a vector of 2 dimensions or more.

    Reference: Dinh et al. 2015, equations 9 to 12 (additive); Dinh et al. 2017, equations 4, 7 and 8 (affine); Durkan
        et al. 2019, section 3.2 (splines).
    """

    counted_as = "coupling"

    def __init__(
        self,
        transformer: Transformer | Callable[[], Transformer] = Affine,
        mask: str = "half",
        parity: int | None = None,
        conditioner=MLPConditioner,
        **kwargs,
    ):
        super().__init__(transformer, parity, conditioner, **kwargs)
        check_choice("mask", mask, MASKS)
        self.mask = mask

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        if len(self.event_shape) != 1 or self.event_shape[0] < 2:
            raise UsageError(
                f"Coupling was given events of shape {self.event_shape}; a coupling needs a vector of 2 "
                "dimensions or more, one half for the other (an autoregressive flow takes 1)"
            )
        dimensions = self.event_shape[0]
        places = np.arange(dimensions)
        first = places < dimensions // 2 if self.mask == "half" else places % 2 == 0
        kept = ~first if self._swapped else first
        order = np.concatenate([places[kept], places[~kept]])
        self._sizes = [int(kept.sum()), int((~kept).sum())]
        self._kept_first = bool(kept[0])
        self._order, self._back = order, np.argsort(order)
        self.conditioner = self._make_conditioner(
            self._sizes[0] + self.context_size, self._sizes[1] * self.transformer.size
        )

    def _transformed(self, value, context, transform):
        kept, changed = self._split(value)
        inputs = kept if context is None else tf.concat([kept, context], -1)
        parameters = tf.cast(self.conditioner(inputs), value.dtype)
        changed, log_derivative = transform(changed, parameters)
        return self._join(kept, changed), tf.reduce_sum(log_derivative, -1)

    def _split(self, value):
        if self.mask == "half":
            parts = tf.split(value, self._sizes if self._kept_first else self._sizes[::-1], -1)
            return parts if self._kept_first else parts[::-1]
        return tf.split(permuted(value, self._order, self._back), self._sizes, -1)

    def _join(self, kept, changed):
        if self.mask == "half":
            return tf.concat([kept, changed] if self._kept_first else [changed, kept], -1)
        return permuted(tf.concat([kept, changed], -1), self._back, self._order)
