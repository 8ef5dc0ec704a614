"""DRAGAN's penalty: on the gradient of a discriminator around the data alone."""

import math

import gin
import tensorflow as tf

from tfade.errors import UsageError, check_between, check_finite
from tfade.numerics import replica_mean
from tfade.objectives.penalties import Penalty, gradient_norms
from tfade.seeds import Seeds


@gin.register
class DRAGAN(Penalty):
    """γ (‖∇D(x′)‖ - t)² at points x′ = x + s (u - ½) around the data, with u ~ U[0, 1) for every pixel.

    s is one number for a batch, the standard deviation over all its pixels. The authors' own code takes a point between
    x and x + ½ s u instead (`interpolate`).

    Args:
        weight: γ ≥ 0; 10 in the paper. Lucic et al. apply it to images in [0, 1]; for images in [-1, 1], 4 γ and t / 2
            are the same penalty.
        target: t ≥ 0; 1 in the paper.
        interpolate: the points of the authors' code; otherwise those of the large comparison of Lucic et al.
        limits: (lowest, highest) that images are clipped to, by default those of images in [-1, 1]; None for no limits.
            Vectors, such as latents, have none.

    Raises:
        UsageError: a weight or a target that is not a finite number ≥ 0, or limits that are not an increasing pair.

    Reference: Kodali et al. 2017, equation 2; Lucic et al. 2018, their code.
    """

    name = "dragan"
    data_only = True

    def __init__(
        self,
        weight: float = 10.0,
        target: float = 1.0,
        interpolate: bool = False,
        limits: tuple[float, float] | None = (-1.0, 1.0),
    ):
        super().__init__(weight)  # never lazy: replicas cannot agree on the deviation inside a branch
        check_finite("DRAGAN.target", target)
        self.target, self.interpolate = target, interpolate
        self.limits = None if limits is None else _checked_limits(limits)

    def __call__(self, discriminator, real, fake, seeds):
        parts = [self._around(part, seeds, index) for index, part in enumerate(tf.nest.flatten(real))]
        return tf.square(gradient_norms(discriminator, tf.nest.pack_sequence_as(real, parts)) - self.target)

    def _around(self, x: tf.Tensor, seeds: Seeds, index: int) -> tf.Tensor:
        """Points around one part of the data; integers as they are."""
        if not x.dtype.is_floating:
            return x
        rows = tf.shape(x)[0]
        noise = seeds.uniform(f"penalty {index}", (rows, *x.shape[1:]))
        if self.interpolate:
            mix = seeds.uniform(f"penalty mix {index}", (rows, *[1] * (x.shape.rank - 1)))
            points = x + 0.5 * mix * global_deviation(x) * noise
        else:
            points = x + global_deviation(x) * (noise - 0.5)
        is_image = x.shape.rank > 2
        return tf.stop_gradient(tf.clip_by_value(points, *self.limits) if is_image and self.limits else points)


def global_deviation(x: tf.Tensor) -> tf.Tensor:
    """The standard deviation of all values of the global batch, a scalar, on however many replicas it lies."""
    first, second = tf.unstack(replica_mean(tf.stack([tf.reduce_mean(x), tf.reduce_mean(tf.square(x))])))
    return tf.sqrt(tf.maximum(second - tf.square(first), 0.0))


def _checked_limits(limits) -> tuple[float, float]:
    try:
        low, high = limits
        check_between("low", low, -math.inf, math.inf)
        check_between("high", high, low, math.inf)
    except (TypeError, ValueError) as error:
        raise UsageError(f"DRAGAN.limits={limits!r} is not (lowest, highest), such as (-1.0, 1.0), or None") from error
    return float(low), float(high)
