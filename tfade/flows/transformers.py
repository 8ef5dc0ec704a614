"""Invertible scalar functions whose parameters a conditioner computes."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from tfade.errors import UsageError, check_number, check_positive
from tfade.numerics import soft_bounded

LOG_SCALE_BOUND = 0.5
OUTPUT_GAIN = 0.1


class Transformer:
    """An invertible function of every dimension of its input, by itself.

    Args:
        gain: factor on what the conditioner returns. A rounding error in one dimension moves the parameters of the
            next layer's; with 0.1, as in IAF's code, deep stacks keep their inverse in float32, with 1 they lose it.

    Attributes:
        size: number of parameters for each dimension.
    """

    size: int

    def __init__(self, gain: float = OUTPUT_GAIN):
        check_positive("gain", gain)
        self.gain = gain

    def forward(self, z: tf.Tensor, parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The value, and the log-derivative of every dimension, both [..., D].

        Args:
            z: [..., D].
            parameters: [..., size · D], the conditioner's output; where it is 0 the function is the identity.
        """
        raise NotImplementedError

    def inverse(self, x: tf.Tensor, parameters: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The inverse, and the logarithm of its own derivative."""
        raise NotImplementedError

    def split(self, parameters: tf.Tensor) -> list[tf.Tensor]:
        """`size` tensors [..., D] with the gain applied: parameter-major, so that a part is contiguous."""
        return tf.split(self.gain * parameters, self.size, -1)


@gin.register
class Affine(Transformer):
    """x = z · exp(s) + t, with |s| below a bound: an unbounded log-scale overflows in stacks of 16 layers.

    Args:
        log_scale_bound: largest |s|. 0.5 keeps deep stacks invertible whatever their weights; data of very
            different scales, such as the border pixels of digits, need more, or an `ActNorm`.
        gain: see `Transformer`.

    Reference: Dinh et al. 2017, equations 7 and 8.
    """

    size = 2

    def __init__(self, log_scale_bound: float = LOG_SCALE_BOUND, gain: float = OUTPUT_GAIN):
        super().__init__(gain)
        check_positive("log_scale_bound", log_scale_bound)
        self.bound = log_scale_bound

    def forward(self, z, parameters):
        shift, log_scale = self.split(parameters)
        log_scale = soft_bounded(log_scale, self.bound)
        return z * tf.exp(log_scale) + shift, log_scale

    def inverse(self, x, parameters):
        shift, log_scale = self.split(parameters)
        log_scale = soft_bounded(log_scale, self.bound)
        return (x - shift) * tf.exp(-log_scale), -log_scale


@gin.register
class GatedAffine(Transformer):
    """x = σ · z + (1 - σ) · m with a gate σ = sigmoid(s + bias), as in long short-term memory: IAF's stable form.

    It starts as a shrinkage by sigmoid(bias), not as the identity.

    Args:
        bias: of the gate; 1 to 2 lets most of z through at the start.
        bound: largest |s|, which keeps σ from 0; 2 lets the gate go from 0.4 to 0.97.
        gain: see `Transformer`.

    Reference: Kingma et al. 2016, equations 13 and 14.
    """

    size = 2

    def __init__(self, bias: float = 1.5, bound: float = 2.0, gain: float = OUTPUT_GAIN):
        super().__init__(gain)
        check_number("bias", bias)
        check_positive("bound", bound)
        self.bias, self.bound = bias, bound

    def forward(self, z, parameters):
        memory, gate = self._memory_and_gate(parameters)
        return tf.sigmoid(gate) * z + tf.sigmoid(-gate) * memory, tf.math.log_sigmoid(gate)

    def inverse(self, x, parameters):
        memory, gate = self._memory_and_gate(parameters)
        return (x - tf.sigmoid(-gate) * memory) / tf.sigmoid(gate), -tf.math.log_sigmoid(gate)

    def _memory_and_gate(self, parameters):
        memory, gate = self.split(parameters)
        return memory, self.bias + soft_bounded(gate, self.bound)


@gin.register
class Shift(Transformer):
    """x = z + t, of constant volume.

    Args:
        gain: see `Transformer`.

    Reference: Dinh et al. 2015, equation 8.
    """

    size = 1

    def __init__(self, gain: float = OUTPUT_GAIN):
        super().__init__(gain)

    def forward(self, z, parameters):
        return z + self.gain * parameters, tf.zeros_like(z)

    def inverse(self, x, parameters):
        return x - self.gain * parameters, tf.zeros_like(x)


def as_transformer(transformer: Transformer | Callable[[], Transformer]) -> Transformer:
    """The transformer that is given, or that its class (a function without arguments) makes; it has no variables.

    Raises:
        UsageError: neither.
    """
    is_class = callable(transformer) and not isinstance(transformer, (Transformer, keras.Layer))
    made = transformer() if is_class else transformer
    if not isinstance(made, Transformer):
        raise UsageError(
            f"transformer={transformer!r} is not a transformer; use Affine, Shift, RationalQuadratic or another "
            "Transformer"
        )
    return made
