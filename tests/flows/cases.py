"""A flow to be tested, in any precision, with random weights; and what is asked of it: outputs, Jacobians, files."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import h5py
import keras
import numpy as np
import tensorflow as tf

from tfade.flows.layer import FlowLayer, size_of

BATCH = 5


@dataclasses.dataclass(frozen=True)
class Case:
    """A flow to be tested.

    Attributes:
        name: shown in the test's name.
        make: makes the layer, not yet built; called inside the precision that the check wants.
        event_shape: shape of a data point.
        context_size: dimension of the context in the conditional half of every check; 0 leaves that half out.
        tolerance: of the float64 round trip: 1e-9 for affine maps, 1e-8 autoregressive, 1e-7 splines and planar.
        identity: a fresh layer is the identity (up to the order of numbers).
        uses_context: the context changes the map; a permutation only accepts one.
        noise: factor on the perturbation of every variable; the weights get `noise`/√fan-in.
        data_scale: standard deviation of the random events.
    """

    name: str
    make: Callable[[], FlowLayer]
    event_shape: tuple[int, ...]
    context_size: int = 3
    tolerance: float = 1e-9
    identity: bool = True
    uses_context: bool = True
    noise: float = 1.0
    data_scale: float = 1.5

    def __str__(self):
        return self.name

    def build(self, context_size: int = 0, perturbed: bool = True, seed: int = 1) -> FlowLayer:
        """The layer with random weights, so that nothing is the identity, or as it starts."""
        keras.utils.set_random_seed(seed)
        layer = self.make()
        layer.build(self.event_shape, context_size)
        if perturbed:
            perturb(layer, self.noise, seed)
        return layer

    def built(self, perturbed: bool = True) -> Iterator[tuple[FlowLayer, np.ndarray | None]]:
        """The layer without a context, and a second one with a context."""
        yield self.build(0, perturbed), None
        if self.context_size:
            yield self.build(self.context_size, perturbed), self.context()

    def context(self, seed: int = 3) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=(BATCH, self.context_size))

    def data(self, seed: int = 2) -> np.ndarray:
        return self.data_scale * np.random.default_rng(seed).normal(size=(BATCH, *self.event_shape))

    def latents(self, layer: FlowLayer, seed: int = 4) -> np.ndarray:
        return self.data_scale * np.random.default_rng(seed).normal(size=(BATCH, *layer.latent_shape))


@contextlib.contextmanager
def precision(dtype: str):
    """Everything made inside, conditioners too, has variables of this type and computes in it."""
    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(policy)


def perturb(layer: keras.Layer, noise: float = 1.0, seed: int = 0) -> None:
    """Adds random numbers to every trainable variable: of unit gain to kernels, of deviation `noise`/2 to the rest."""
    generator = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        fan_in = size_of(variable.shape[:-1])
        scale = noise / np.sqrt(fan_in) if len(variable.shape) > 1 else 0.5 * noise
        variable.assign(variable.numpy() + scale * generator.normal(size=variable.shape))


def outputs(layer: FlowLayer, context, data, latents) -> list[np.ndarray]:
    """Values and log-determinants of both directions."""
    bijector = layer.bijector(context)
    return [tensor.numpy() for tensor in (*bijector.inverse_and_log_det(data), *bijector.forward_and_log_det(latents))]


def jacobian(function, value: np.ndarray, context) -> np.ndarray:
    """d function / d value [batch, outputs, inputs] by one backward pass over a copy of the batch for each output."""
    rows, inputs = len(value), value[0].size
    copies = tf.constant(np.tile(value, (inputs,) + (1,) * (value.ndim - 1)))
    contexts = None if context is None else np.tile(context, (inputs, 1))
    with tf.GradientTape() as tape:
        tape.watch(copies)
        result = tf.reshape(function(copies, contexts), (inputs, rows, inputs))
        chosen = tf.einsum("ibi->ib", result)
    gradient = tape.gradient(chosen, copies).numpy().reshape(inputs, rows, inputs)
    return gradient.transpose(1, 0, 2)


class Holder(keras.Model):
    """A model that has nothing but the flow."""

    def __init__(self, flow):
        super().__init__()
        self.flow = flow
        self.built = True


def saved_arrays(path) -> int:
    """How many variables a .weights.h5 file holds."""
    names = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return len(names)
