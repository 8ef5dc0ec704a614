"""Coupling layers over vectors: one half is transformed, with parameters that the other half gives."""

import gin
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError
from tfade.flows.layer import FlowLayer
from tfade.flows.permutation import permuted
from tfade.flows.splines import RationalQuadratic
from tfade.flows.transformers import LOG_SCALE_BOUND, OUTPUT_GAIN, Affine, Shift
from tfade.networks.conditioner import MLPConditioner

MASKS = ("half", "alternate")


class Coupling(FlowLayer):
    """One half of the dimensions, x_b, is transformed with parameters that a network computes from the other, x_a.

        x_a = z_a,   x_b = T(z_b; θ(x_a, context))

    Args:
        transformer: T, see `tfade.flows.transformers`.
        mask: which dimensions make a half: "half" (the first and the last) or "alternate" (the even and the odd; on
            images in rows of even length, columns).
        parity: which half is transformed: 0 the second, 1 the first. None: in turn along a stack.
        conditioner: class of θ, called as `conditioner(inputs, outputs)`; its output is 0 at the start.

    Raises:
        UsageError: an unknown mask, or at `build` an event that is not a vector of 2 dimensions or more.
    """

    counted_as = "coupling"

    def __init__(
        self, transformer, mask: str = "half", parity: int | None = None, conditioner=MLPConditioner, **kwargs
    ):
        super().__init__(**kwargs)
        if mask not in MASKS:
            raise UsageError(f"mask={mask!r} is unknown; use one of {', '.join(MASKS)}")
        if parity not in (None, 0, 1):
            raise UsageError(f"parity={parity!r} is neither None nor 0 nor 1")
        self.transformer, self.mask, self.parity = transformer, mask, parity
        self._make_conditioner = conditioner

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        if len(self.event_shape) != 1 or self.event_shape[0] < 2:
            raise UsageError(
                f"{type(self).__name__} was given events of shape {self.event_shape}; a coupling needs a vector of 2 "
                "dimensions or more, one half for the other (an autoregressive flow takes 1)"
            )
        dimensions = self.event_shape[0]
        places = np.arange(dimensions)
        first = places < dimensions // 2 if self.mask == "half" else places % 2 == 0
        kept = first if (self.ordinal if self.parity is None else self.parity) % 2 == 0 else ~first
        order = np.concatenate([places[kept], places[~kept]])
        self._sizes = [int(kept.sum()), int((~kept).sum())]
        self._kept_first = bool(kept[0])
        self._order, self._back = order, np.argsort(order)
        self.conditioner = self._make_conditioner(
            self._sizes[0] + self.context_size, self._sizes[1] * self.transformer.size
        )

    def forward_and_log_det(self, z, context):
        return self._transformed(z, context, self.transformer.forward)

    def inverse_and_log_det(self, x, context):
        return self._transformed(x, context, self.transformer.inverse)

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


@gin.register
class AffineCoupling(Coupling):
    """RealNVP's coupling: x_b = z_b · exp(s(x_a)) + t(x_a).

    Args:
        log_scale_bound, gain: see `Affine`.
        mask, parity, conditioner: see `Coupling`.

    Reference: Dinh et al. 2017, equations 4, 7 and 8.
    """

    def __init__(
        self,
        log_scale_bound: float = LOG_SCALE_BOUND,
        gain: float = OUTPUT_GAIN,
        mask: str = "half",
        parity: int | None = None,
        conditioner=MLPConditioner,
        **kwargs,
    ):
        super().__init__(Affine(log_scale_bound, gain), mask, parity, conditioner, **kwargs)


@gin.register
class AdditiveCoupling(Coupling):
    """NICE's coupling: x_b = z_b + t(x_a), of constant volume. A stack of them needs `DiagonalScaling` at its end.

    Args:
        gain: see `Transformer`.
        mask, parity, conditioner: see `Coupling`.

    Reference: Dinh et al. 2015, equations 9 to 12.
    """

    def __init__(
        self,
        gain: float = OUTPUT_GAIN,
        mask: str = "half",
        parity: int | None = None,
        conditioner=MLPConditioner,
        **kwargs,
    ):
        super().__init__(Shift(gain), mask, parity, conditioner, **kwargs)


@gin.register
class SplineCoupling(Coupling):
    """Neural spline flows' coupling: every number of x_b goes through a monotone spline whose knots x_a gives.

    Args:
        bins, bound, gain: see `RationalQuadratic`.
        mask, parity, conditioner: see `Coupling`.

    Reference: Durkan et al. 2019, section 3.2.
    """

    def __init__(
        self,
        bins: int = 8,
        bound: float = 5.0,
        gain: float = 1.0,
        mask: str = "half",
        parity: int | None = None,
        conditioner=MLPConditioner,
        **kwargs,
    ):
        super().__init__(RationalQuadratic(bins, bound, gain=gain), mask, parity, conditioner, **kwargs)
