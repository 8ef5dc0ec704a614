"""Fixed permutations of the last axis: dimensions of a vector, channels of an image."""

import gin
import numpy as np
import tensorflow as tf

from tfade.errors import check_seed
from tfade.flows.layer import FlowLayer


def permuted(value: tf.Tensor, order: np.ndarray, back: np.ndarray) -> tf.Tensor:
    """`value[..., order]`; `back` is the inverse of `order`.

    The gradient of a gather adds up what may have gone to the same place, number by number. Nothing can meet in a
    permutation, so the gradient is a gather too.
    """

    @tf.custom_gradient
    def function(value):
        return tf.gather(value, order, axis=-1), lambda upstream: permuted(upstream, back, order)

    return function(value)


class Permutation(FlowLayer):
    """z = x[..., order], with an order that a subclass fixes in `build`. Volume is preserved."""

    def build(self, event_shape, context_size=0, ordinal=0):
        super().build(event_shape, context_size, ordinal)
        self._order = self.order(self.event_shape[-1])
        self._back = np.argsort(self._order)

    def order(self, size: int) -> np.ndarray:
        """Which number of the data goes to each place of the latents."""
        raise NotImplementedError

    def forward_and_log_det(self, z, context):
        return permuted(z, self._back, self._order), self._zero(z)

    def inverse_and_log_det(self, x, context):
        return permuted(x, self._order, self._back), self._zero(x)

    @staticmethod
    def _zero(value):
        return tf.zeros(tf.shape(value)[:1], value.dtype)


@gin.register
class Reverse(Permutation):
    """Turns the last axis around: between autoregressive layers of one order."""

    def order(self, size):
        return np.arange(size)[::-1].copy()


@gin.register
class RandomPermutation(Permutation):
    """A random order, drawn from the seed and the layer's place in its stack, so that no variable has to be saved.

    Args:
        seed: a non-negative integer.

    Reference: Kingma and Dhariwal 2018, section 3.2: what the invertible 1×1 convolution generalises.
    """

    def __init__(self, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        check_seed("RandomPermutation.seed", seed)
        self.seed = seed

    def order(self, size):
        return np.random.default_rng((self.seed, self.ordinal)).permutation(size)
