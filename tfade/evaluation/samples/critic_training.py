"""The training of the independent Wasserstein critic, and what is measured with it."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfade.fitting import by_batches, fit, minimise
from tfade.networks.discriminators import MLPDiscriminator
from tfade.networks.sngan import SNGANDiscriminator
from tfade.objectives.penalties import GradientPenalty, gradient_norms, gradient_penalty

LINES = 2000  # between held-out data and samples, on which the norm of the gradient is measured
GRADIENTS, VALUES = 256, 500  # examples at a time


def default_critic(shape: tuple[int, ...]) -> keras.Model:
    """An untrained critic of images (H, W, C) or of vectors (D,)."""
    return SNGANDiscriminator(shape, width=32) if len(shape) == 3 else MLPDiscriminator(shape, width=128)


def train_critic(
    critic: keras.Model,
    real: np.ndarray,
    fake: np.ndarray,
    penalty: GradientPenalty,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    generator: np.random.Generator,
    progress: Callable[[str], None],
) -> None:
    """Maximises E f(real) − E f(fake) − λ E (‖∇f‖ − 1)² by Adam, whose rate falls linearly to 0.

    Args:
        critic: f, trained in place.
        real, fake: uint8 images or float32 vectors, [N, ...] each.
        penalty: λ, and whether gradients below 1 cost.
        steps, batch_size, learning_rate, progress: of `independent_wasserstein_critic`.
        generator: of batches and points.

    Raises:
        UsageError: a critic with batch normalisation.
        NonFiniteError: it diverged.
    """
    penalty.prepare(critic)
    schedule = keras.optimizers.schedules.PolynomialDecay(learning_rate, steps, 0.0)
    optimizer = keras.optimizers.Adam(schedule, beta_1=0.5, beta_2=0.9)

    @tf.function(autograph=False)
    def step(real, fake, mix):
        real, fake = _scaled(real), _scaled(fake)

        def terms():
            values = critic(tf.concat([real, fake], 0), training=True)[:, 0]
            difference = tf.reduce_mean(values[:batch_size]) - tf.reduce_mean(values[batch_size:])
            penalised = gradient_penalty(
                lambda x: critic(x, training=True)[:, 0], real, fake, mix, one_sided=penalty.one_sided
            )
            return {"loss": penalty.weight * tf.reduce_mean(penalised) - difference, "difference": difference}

        return minimise(terms, optimizer, critic.trainable_variables)

    def batch(position):
        chosen = [each[generator.integers(len(each), size=batch_size)] for each in (real, fake)]
        return *chosen, generator.random(batch_size, np.float32)

    fit(by_batches(step, batch), steps, name="Wasserstein critic", progress=progress, learning_rate=learning_rate)


def mean_gradient_norm(critic, test: np.ndarray, fake: np.ndarray, generator: np.random.Generator) -> float:
    """The mean of ‖∇f‖ at random points of lines between test data and samples."""
    count = min(len(test), len(fake), LINES)
    test, fake = (each[generator.permutation(len(each))[:count]] for each in (test, fake))  # folders come by class
    found = []
    for start in range(0, count, GRADIENTS):
        stop = min(start + GRADIENTS, count)
        mix = generator.random((stop - start, *(1,) * (test.ndim - 1)), np.float32)
        points = mix * _scaled(test[start:stop]) + (1.0 - mix) * _scaled(fake[start:stop])
        found.append(gradient_norms(lambda x: critic(x, training=False)[:, 0], points).numpy())
    return float(np.concatenate(found).mean())


def values_of(critic, examples: np.ndarray) -> np.ndarray:
    """f of every example, float64 [N]."""
    starts = range(0, len(examples), VALUES)
    pieces = [critic(_scaled(examples[start : start + VALUES]), training=False)[:, 0] for start in starts]
    return np.concatenate(pieces).astype(np.float64)


def _scaled(examples) -> tf.Tensor:
    """What the critic sees: pixels in [-1, 1], vectors as they are."""
    examples = tf.convert_to_tensor(examples)
    return tf.cast(examples, tf.float32) / 127.5 - 1.0 if examples.dtype == tf.uint8 else examples
