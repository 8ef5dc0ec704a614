"""Flows one after the other."""

from collections import Counter
from collections.abc import Callable, Sequence

import gin
import keras

from tfade.errors import UsageError, check_layers
from tfade.flows.layer import FlowLayer


@gin.register
class Stack(FlowLayer):
    """Composition of flows, listed from the data to the latents.

        z = f_K(… f_2(f_1(x))),   log p(x) = log p(z) + Σ_k log |det ∂f_k|

    Args:
        parts: flows, or classes (functions without arguments) that make them; in gin `(@ActNorm, @Coupling)`.
        repeat: how often the sequence of parts is repeated; with more than 1 every part has to be a class, so that
            each repetition has variables of its own.

    Raises:
        UsageError: no parts, something that is not a flow, a repeat below 1, or repeated objects.

    Reference: Rezende and Mohamed 2015, equations 6 and 7.
    """

    def __init__(self, parts: Sequence[FlowLayer | Callable[[], FlowLayer]], repeat: int = 1, **kwargs):
        super().__init__(**kwargs)
        check_layers("Stack.repeat", repeat)
        if not isinstance(parts, (tuple, list)) or not parts:
            raise UsageError(f"Stack.parts={parts!r} is not a tuple of one flow or more")
        if repeat > 1 and any(isinstance(part, FlowLayer) for part in parts):
            raise UsageError(
                f"Stack.repeat={repeat} would use one layer's variables {repeat} times; give classes as parts, "
                "such as (@ActNorm, @Coupling) without ()"
            )
        made = [_made(part) for _ in range(repeat) for part in parts]
        for part in made:
            if not isinstance(part, FlowLayer):
                raise UsageError(f"Stack.parts has {part!r}, which is not a flow; see tfade.flows for those that are")
        self.parts = made

    def build(self, event_shape, context_size=0, ordinal: int | Counter = 0):
        """See `FlowLayer.build`; a stack in a stack is given the layers of each kind so far, and counts on."""
        counts = ordinal if isinstance(ordinal, Counter) else Counter()
        super().build(event_shape, context_size)
        shape = self.event_shape
        for part in self.parts:
            kind = part.counted_as or type(part).__name__
            part.scale_label = self.scale_label
            if not part.built:
                part.build(shape, context_size, counts if isinstance(part, Stack) else counts[kind])
            elif (part.event_shape, part.context_size) != (shape, self.context_size):
                raise UsageError(
                    f"Stack.parts has a {type(part).__name__} built for events of shape {part.event_shape} and "
                    f"context_size={part.context_size}, not {shape} and {self.context_size}; leave it unbuilt"
                )
            counts[kind] += 1
            shape = part.latent_shape
        self.latent_shape = shape

    @property
    def is_exact(self):
        return all(part.is_exact for part in self.parts)

    def forward_and_log_det(self, z, context):
        return self._through(reversed, z, lambda part, number, value: part.forward_and_log_det(value, context))

    def inverse_and_log_det(self, x, context):
        return self._through(list, x, lambda part, number, value: part.inverse_and_log_det(value, context))

    def forward_and_estimate(self, z, context, noise):
        if self.is_exact:
            return self.forward_and_log_det(z, context)
        return self._through(
            reversed, z, lambda part, number, value: part.forward_and_estimate(value, context, noise.part(number))
        )

    def inverse_and_estimate(self, x, context, noise):
        if self.is_exact:
            return self.inverse_and_log_det(x, context)
        return self._through(
            list, x, lambda part, number, value: part.inverse_and_estimate(value, context, noise.part(number))
        )

    def forward_value(self, z, context):
        for part in reversed(self.parts):
            z = part.forward_value(z, context)
        return z

    def inverse_value(self, x, context):
        for part in self.parts:
            x = part.inverse_value(x, context)
        return x

    def _through(self, order: Callable, value, run: Callable):
        """The value after all parts, by `run(part, number, value)`, and the sum of their log-determinants."""
        total = 0.0
        for number in order(range(len(self.parts))):
            value, log_det = run(self.parts[number], number, value)
            total += log_det
        return value, total

    def initialise(self, x, context=None):
        for part in self.parts:
            x = part.initialise(x, context)
        return x


def _made(part):
    return part() if callable(part) and not isinstance(part, keras.Layer) else part
