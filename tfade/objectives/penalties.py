"""Regularisers of a discriminator: penalties on the norm of its gradient, and bounds on its weights.

The functions are pure. A model takes one of the classes, which state their name in reports, their weight, and which
discriminators they go with. Examples are tensors or nested structures of them, such as (x, z): the
norm is over all their float parts together, and integer parts (labels) are passed through as they are.
"""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from tfade.errors import UsageError, check_finite, check_positive, check_whole
from tfade.seeds import Seeds

EPSILON = 1e-12  # the square root has no gradient at 0

Discriminator = Callable[..., tf.Tensor]


def squared_gradient_norms(discriminator: Discriminator, examples) -> tf.Tensor:
    """‖∇ discriminator(x)‖₂² of every example, over all axes of all float parts: [batch, ...] → [batch], float32."""
    parts = tf.nest.flatten(examples)
    differentiable = [part for part in parts if part.dtype.is_floating]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(differentiable)
        values = discriminator(examples)
    gradients = tape.gradient(values, differentiable, unconnected_gradients="zero")
    return tf.add_n([_squared_norm(tf.cast(gradient, tf.float32)) for gradient in gradients])


def gradient_norms(discriminator: Discriminator, examples) -> tf.Tensor:
    """‖∇ discriminator(x)‖₂ of every example, over all axes of all float parts: [batch, ...] → [batch], float32."""
    return tf.sqrt(squared_gradient_norms(discriminator, examples) + EPSILON)


def gradient_penalty(
    discriminator: Discriminator, real, fake, mix, target: float = 1.0, one_sided: bool = False
) -> tf.Tensor:
    """(‖∇ discriminator(x̂)‖₂ - t)² at points x̂ = ε x + (1 - ε) x̃ between data and samples: [batch].

    Flow-GAN's code sums the squares over the rows of an image only; the norm here is that of the whole example, as in
    the paper that the penalty is from.

    Args:
        discriminator: function of examples, one value each; it must not mix examples (no batch normalisation).
        real, fake: data x and samples x̃, [batch, ...]; integer parts of the points are those of the data.
        mix: ε in [0, 1), [batch].
        target: the gradient norm t that is aimed at.
        one_sided: only norms above the target are penalised.

    Reference: Gulrajani et al. 2017, equation 3 and algorithm 1.
    """
    points = tf.nest.map_structure(lambda x, y: _interpolated(x, y, mix), real, fake)
    if not target:
        return squared_gradient_norms(discriminator, points)
    excess = gradient_norms(discriminator, points) - target
    return tf.square(tf.nn.relu(excess) if one_sided else excess)


class Penalty:
    """A regulariser of a discriminator.

    Args:
        weight: factor γ ≥ 0 on the term in the discriminator's loss; 0 leaves the term out.
        interval: k ≥ 1. Above 1 the penalty is lazy: it is computed in every k-th training step only, in all passes of
            that step that move the discriminator, and is multiplied by k there, so that its mean over the steps is the
            same. The discriminator is evaluated in inference mode for it. Rates and moments of Adam stay as they
            are; StyleGAN2 rescales them.

    Raises:
        UsageError: a weight that is not a finite number of at least 0, or an interval that is not an integer ≥ 1.

    Reference: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" (lazy regularisation).
    """

    name = "penalty"  # of its term in reports
    data_only = False  # whether the term depends on the data alone, not on the fakes

    def __init__(self, weight: float, interval: int = 1):
        check_finite(f"{type(self).__name__}.weight", weight)
        check_whole(f"{type(self).__name__}.interval", interval)
        self.weight, self.interval = weight, interval

    def of_step(self, discriminator: Discriminator, real, fake, seeds: Seeds) -> tf.Tensor:
        """The term before its weight at the step of `seeds`; see `__call__`."""
        if self.interval == 1:
            return self(discriminator, real, fake, seeds)
        return tf.cond(
            seeds.step % self.interval == 0,
            lambda: self.interval * self(discriminator, real, fake, seeds),
            lambda: tf.zeros((_batch_size(real),)),
        )

    def prepare(self, network: keras.Layer) -> None:
        """Checks or constrains the discriminator before training.

        Raises:
            UsageError: the gradient at each example is to be penalised, but the network normalises across examples.
        """
        if self.weight and (layer := _mixes_examples(network)):
            raise UsageError(
                f"{type(self).__name__} with weight={self.weight} penalises the gradient at each example, but the "
                f"discriminator's layer {layer!r} normalises over the batch; take it out, or use layer normalisation"
            )

    def __call__(self, discriminator: Discriminator, real, fake, seeds: Seeds) -> tf.Tensor:
        """The term before its weight.

        Args:
            discriminator: function of examples, one value each.
            real, fake: data and samples, [batch, ...] or nested alike; no gradient is to flow into what made them.
            seeds: the noise of this pass; a penalty that needs noise draws "penalty" from it.

        Returns:
            [batch], float32.
        """
        raise NotImplementedError


@gin.register
class GradientPenalty(Penalty):
    """γ (‖∇D(x̂)‖ - t)² at points between data and samples; see `gradient_penalty`.

    Args:
        weight: γ ≥ 0; 10 in the paper.
        target: t ≥ 0: 1 as in the paper, 0 for the zero-centred penalty of Thanh-Tung et al. 2019.
        one_sided: only norms above the target are penalised.
        interval: see `Penalty`.

    Raises:
        UsageError: a weight or a target that is not a finite number of at least 0, or an interval that is not
            an integer ≥ 1.

    Reference: Gulrajani et al. 2017, equation 3; Thanh-Tung, Tran and Venkatesh 2019.
    """

    name = "gradient_penalty"

    def __init__(self, weight: float = 10.0, target: float = 1.0, one_sided: bool = False, interval: int = 1):
        super().__init__(weight, interval)
        check_finite(f"{type(self).__name__}.target", target)
        self.target, self.one_sided = target, one_sided

    def __call__(self, discriminator, real, fake, seeds):
        mix = seeds.uniform("penalty", (_batch_size(real),))
        return gradient_penalty(discriminator, real, fake, mix, self.target, self.one_sided)


@gin.register
class R1(Penalty):
    """γ ½ ‖∇D(x)‖² on data.

    Args:
        weight: γ ≥ 0.
        interval: see `Penalty`; 16 in StyleGAN2.

    Raises:
        UsageError: a weight that is not a finite number of at least 0, or an interval that is not an integer ≥ 1.

    Reference: Mescheder, Geiger and Nowozin 2018, equation 9.
    """

    name = "r1"
    data_only = True

    def __init__(self, weight: float = 1.0, interval: int = 1):
        super().__init__(weight, interval)

    def __call__(self, discriminator, real, fake, seeds):
        return 0.5 * squared_gradient_norms(discriminator, real)


@gin.register
class WeightClipping(Penalty):
    """Keeps every weight of the discriminator in [-c, c] after each of its updates; adds nothing to the loss.

    A discriminator with batch normalisation may be clipped, as no gradient at an example is penalised.

    Args:
        limit: c > 0.

    Raises:
        UsageError: a limit that is not a finite number above 0.

    Reference: Arjovsky, Chintala and Bottou 2017, algorithm 1.
    """

    name = "weight_clipping"
    data_only = True

    def __init__(self, limit: float = 0.01):
        super().__init__(0.0)
        check_positive("WeightClipping.limit", limit)
        self.limit = limit

    def prepare(self, network):
        for variable in network.trainable_variables:
            variable.constraint = self._clipped

    def _clipped(self, weights):
        return tf.clip_by_value(tf.convert_to_tensor(weights), -self.limit, self.limit)

    def __call__(self, discriminator, real, fake, seeds):
        return tf.zeros((_batch_size(real),))


def _squared_norm(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.square(x), axis=list(range(1, x.shape.rank)))


def _interpolated(real: tf.Tensor, fake: tf.Tensor, mix: tf.Tensor) -> tf.Tensor:
    """mix · real + (1 - mix) · fake, row by row; integers are those of `real`."""
    if not real.dtype.is_floating:
        return real
    mix = tf.reshape(mix, [-1] + [1] * (real.shape.rank - 1))
    return mix * real + (1.0 - mix) * fake


def _batch_size(examples) -> tf.Tensor:
    return tf.shape(tf.nest.flatten(examples)[0])[0]


def _mixes_examples(network: keras.Layer) -> str | None:
    """The name of a layer that normalises over the batch, or None."""
    kinds = (keras.layers.BatchNormalization,)
    return next((layer.name for layer in network._flatten_layers() if isinstance(layer, kinds)), None)
