"""What every distribution is: a Keras layer that owns its variables and gives a fresh TFP distribution.

A density of one's own is a subclass with `build` and `_distribution`, and a posterior has `_from_noise` besides, as
`DiagonalNormal` in `gaussian.py` has them; `tfade/configurables.py` lists the files whose classes gin knows.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.scales import check_temperature
from tfade.errors import UsageError, check_class
from tfade.flows.layer import FlowLayer
from tfade.networks.conditioner import MLPConditioner
from tfade.seeds import Seeds

tfd = tfp.distributions


class DistributionLayer(keras.layers.Layer):
    """A density over events of a fixed shape, maybe given a context vector.

    A subclass defines `build` (which makes the variables) and `_distribution`. Distributions are computed in the
    precision of the variables, whatever a conditioner computes in.

    Attributes:
        likelihood: what `log_prob` is, as `Contract.likelihood` has it: "exact", "unbiased" or "lower_bound".
        is_diagonal_normal: whether `distribution` gives an Independent of Normals. Two such have a KL divergence in
            closed form, which a VAE takes, dimension by dimension, in place of an estimate.
    """

    likelihood = "exact"
    is_diagonal_normal = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)  # in gin Keras' own arguments are not arguments of a part of a model

    def build(self, event_shape: Sequence[int], context_size: int = 0) -> None:
        """Makes the variables. Subclasses call this first.

        Args:
            event_shape: shape of one point: (D,) or (H, W, C).
            context_size: dimension of the context vector that the density is conditioned on; 0 for none.

        Raises:
            UsageError: a shape that the distribution is not defined on.
        """
        self.event_shape = tuple(int(size) for size in event_shape)
        self.context_size = int(context_size)
        if not self.event_shape or min(self.event_shape) < 1:
            raise UsageError(f"event_shape={event_shape!r} is not the shape of a vector or image; give (D,), D ≥ 1")
        if self.context_size < 0:
            raise UsageError(f"context_size={context_size!r} is negative; use 0 for a distribution without a context")

    def distribution(self, context=None, temperature=1.0) -> tfd.Distribution:
        """The TFP distribution as the variables are now; it is thrown away after use.

        Args:
            context: [..., context_size], whose leading dimensions are the batch shape; None if and only if the layer
                was built without a context.
            temperature: T > 0, the factor on the standard deviation of the noise that samples are made from (Glow's
                convention; the tempered density p^(1/τ) has T = √τ). Each class states what it scales, and whether that
                is the tempered density or an approximation of it.

        Raises:
            UsageError: a context that does not fit, or a temperature that is not positive and finite; diagonal and
                standard noise takes 0, too, for its samples.
        """
        return self._distribution(self.checked_context(context), self._checked_temperature(temperature))

    takes_temperature_zero = False  # whether samples at temperature 0 are the mean; their density is infinite
    is_fitted = False  # whether parameters were initialised from data, so that `initialise` would lose what came after

    def initialise(self, x, context=None) -> None:
        """Data-dependent initialisation, before training starts; none by default.

        Args:
            x: [batch, *event_shape].
            context: [batch, context_size], or None.
        """

    def negative_log_likelihood(self, x, seeds: Seeds) -> tf.Tensor:
        """What training minimises, nats [batch] of x [batch, *event_shape]: -log p(x), or an upper bound of it.

        Args:
            x: points; a gradient may pass to them.
            seeds: noise of this pass of training, for densities whose bound draws some.
        """
        return -self.distribution().log_prob(tf.cast(x, self.variable_dtype))

    def draw(self, rows, seeds: Seeds) -> tf.Tensor:
        """Samples of a prior [rows, *event_shape] for a pass of training: this replica's rows of the global batch's."""
        return seeds.rows("prior", rows, self.distribution().sample)

    def from_noise(self, noise, context=None) -> tuple[tf.Tensor, tf.Tensor]:
        """A sample and its density as a differentiable function of standard normal noise: an amortised posterior.

        The caller draws the noise, so that a sample depends on the noise's place in the global batch alone. Noise 0
        gives the centre of the distribution: its mean for a normal, and what a flow makes of its base's mean.

        Args:
            noise: ε ~ N(0, I), [..., *event_shape].
            context: broadcast against the leading dimensions of the noise, or None.

        Returns:
            The sample [..., *event_shape] and its log-density [...].

        Raises:
            UsageError: a distribution whose samples are not a differentiable function of normal noise.
        """
        context = self.checked_context(context)
        noise = tf.cast(noise, self.variable_dtype)
        return self._from_noise(noise, context)

    def _from_noise(self, noise: tf.Tensor, context: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        raise UsageError(
            f"{type(self).__name__} cannot be a posterior: its samples are not differentiable in normal noise; "
            "use DiagonalNormal, FullNormal, or a flow over one of them"
        )

    def _distribution(self, context: tf.Tensor | None, temperature: tf.Tensor) -> tfd.Distribution:
        raise NotImplementedError

    checked_context = FlowLayer.checked_context  # the same question, answered in one place

    def _checked_temperature(self, temperature) -> tf.Tensor:
        """The temperature in the precision of the variables; inside a graph its value is not known and is trusted."""
        check_temperature(temperature, self.takes_temperature_zero)
        return tf.cast(temperature, self.variable_dtype)

    def _require_vectors(self, least: int = 1) -> int:
        """D of the events, or an error where they are not vectors."""
        if len(self.event_shape) != 1 or self.event_shape[0] < least:
            raise UsageError(
                f"{type(self).__name__} was given events of shape {self.event_shape}; it is defined on vectors (D,), "
                f"D ≥ {least}: flatten images, or use a flow"
            )
        return self.event_shape[0]


class LayerDistribution(tfd.Distribution):
    """A layer of vectors, without a context, as a distribution that is thrown away after use.

    A subclass defines `_sample_n`, and `_log_prob` where there is a density.

    Args:
        layer: the layer, built.
        temperature: T, a scalar.
    """

    def __init__(self, layer: DistributionLayer, temperature: tf.Tensor):
        parameters = dict(locals())
        self._layer, self._temperature = layer, temperature
        super().__init__(
            dtype=tf.as_dtype(layer.variable_dtype),
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=layer.name,
        )

    def _event_shape(self):
        return tf.TensorShape(self._layer.event_shape)

    def _event_shape_tensor(self):
        return tf.constant(self._layer.event_shape, tf.int32)

    def _batch_shape(self):
        return tf.TensorShape([])

    def _batch_shape_tensor(self):
        return tf.zeros(0, tf.int32)

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {}


class StandardisedLayer(DistributionLayer):
    """A density of x that is described in terms of u = (x - m) / s, with m and s set by `initialise`, from data.

    Before that they are 0 and 1. They are saved and not trained, and log p(x) counts them: it is a choice of units in
    which every parameter is of order 1, so that one learning rate suits data of any scale.
    """

    def build(self, event_shape, context_size=0):
        super().build(event_shape, context_size)
        self.shift = self.add_weight(name="shift", shape=self.event_shape, initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=self.event_shape, initializer="ones", trainable=False)

    @property
    def is_fitted(self):
        """Whether m and s were initialised from data: known by their values, which a checkpoint keeps."""
        return bool(np.any(self.shift.numpy() != 0) or np.any(self.scale.numpy() != 1))

    def initialise(self, x, context=None):
        self._standardise(x)

    def _standardise(self, x) -> np.ndarray:
        """Sets m and s to the moments of x [batch, *event_shape]; returns u, float64. A constant keeps s = 1."""
        x = np.asarray(x, np.float64)
        shift, scale = x.mean(0), x.std(0)
        scale = np.where(scale > 1e-12 * np.abs(x).max(0), scale, 1.0)  # of equal numbers it is rounding
        self.shift.assign(shift)
        self.scale.assign(scale)
        return (x - shift) / scale


class ParametricLayer(StandardisedLayer):
    """A distribution whose parameters are learned or, with a context, a learned offset plus a network's output.

        θ(context) = θ₀ + f(context)

    f is 0 at the start, so that θ₀ can be initialised from data whether or not there is a context.

    Args:
        conditioner: class of f, called as `conditioner(inputs, outputs)`.

    Raises:
        UsageError: an object where the conditioner's class is wanted.
    """

    def __init__(self, conditioner=MLPConditioner, **kwargs):
        super().__init__(**kwargs)
        check_class("conditioner", conditioner)
        self._make_conditioner = conditioner
        self.conditioner = None

    def _add_parameters(self, count: int) -> None:
        """Makes θ₀ [count] and f."""
        self.offset = self.add_weight(name="offset", shape=(count,), initializer="zeros")
        if self.context_size:
            self.conditioner = self._make_conditioner(self.context_size, count)

    def _parameters(self, context: tf.Tensor | None) -> tf.Tensor:
        """θ, [*batch, count]."""
        offset = tf.convert_to_tensor(self.offset)
        if context is None:
            return offset
        flat = self.conditioner(tf.reshape(context, (-1, self.context_size)))
        batch = tf.shape(context)[:-1]
        shaped = tf.reshape(tf.cast(flat, offset.dtype), tf.concat([batch, tf.shape(offset)], 0))
        return offset + tf.ensure_shape(shaped, (*context.shape[:-1], *offset.shape))


def build_latent_distribution(name: str, make, latent_size: int, context_size: int = 0) -> DistributionLayer:
    """A distribution over latents [latent_size], built, from the class that a user gave as the argument `name`.

    Raises:
        UsageError: `make` is not the class of a distribution.
    """
    if isinstance(make, keras.layers.Layer) or not callable(make) or not isinstance(layer := make(), DistributionLayer):
        raise UsageError(
            f"{name}={make!r} does not make a DistributionLayer; give its class, such as StandardNormal (in gin "
            "@StandardNormal, without parentheses), or functools.partial(class, …)"
        )
    layer.build((latent_size,), context_size)
    return layer
