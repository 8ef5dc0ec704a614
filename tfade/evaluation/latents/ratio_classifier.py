"""The classifier whose logit estimates a log density ratio: its network, its settings, and its training."""

import dataclasses
from collections.abc import Callable

import gin
import keras
import numpy as np
import tensorflow as tf

from tfade.errors import NonFiniteError, UsageError, check_finite, check_whole
from tfade.fitting import minimise
from tfade.networks.layers import leaky_relu
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.penalties import gradient_penalty

LOGIT_BLOCK = 10_000  # codes whose logits are computed together


@gin.register
@dataclasses.dataclass(frozen=True)
class RatioClassifier:
    """A classifier of vectors and how it is trained.

    The estimate depends on all of these settings, on activation noise by orders of magnitude (Rosca et al. 2018,
    appendix D).

    Attributes:
        layers: hidden layers, each followed by a leaky rectifier of slope 0.2.
        width: units of each.
        steps: of training.
        batch_size: vectors of either kind in a step.
        learning_rate: of Adam.
        beta_1, beta_2: of Adam; the paper has 0.5 and 0.9.
        activation_noise: standard deviation of normal noise on every hidden layer's output, in training only.
        gradient_penalty: weight γ ≥ 0 of (‖∇ logit‖ - 1)² at points between the samples.
        dropout: share of every hidden layer's outputs that is dropped in training, in [0, 1).

    Raises:
        UsageError: a value out of range.

    Reference: Rosca et al. 2018, section 4 and appendix D; Mohamed and Lakshminarayanan 2016, section 3.1.
    """

    layers: int = 4
    width: int = 256
    steps: int = 3000
    batch_size: int = 256
    learning_rate: float = 1e-3
    beta_1: float = 0.5
    beta_2: float = 0.9
    activation_noise: float = 0.0
    gradient_penalty: float = 0.0
    dropout: float = 0.0

    def __post_init__(self):
        for name in ("layers", "width", "steps", "batch_size"):
            check_whole(f"RatioClassifier.{name}", getattr(self, name))
        for name in ("activation_noise", "gradient_penalty"):
            check_finite(f"RatioClassifier.{name}", getattr(self, name))
        if not self.learning_rate > 0:
            raise UsageError(f"RatioClassifier.learning_rate={self.learning_rate!r} is not positive")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"RatioClassifier.dropout={self.dropout!r} is not in [0, 1)")

    def network(self, dimensions: int, seed: int = 0) -> keras.Model:
        """The untrained classifier, [batch, D] → logit [batch, 1]; weights, noise and dropout are of this seed."""
        seeds = iter(np.random.SeedSequence(seed).generate_state(3 * self.layers + 1).tolist())
        layers = [keras.Input((dimensions,))]
        for _ in range(self.layers):
            initial = keras.initializers.HeNormal(seed=next(seeds))
            layers += [keras.layers.Dense(self.width, kernel_initializer=initial), leaky_relu()]
            noise, dropout = next(seeds), next(seeds)
            if self.activation_noise:
                layers.append(keras.layers.GaussianNoise(self.activation_noise, seed=noise))
            if self.dropout:
                layers.append(keras.layers.Dropout(self.dropout, seed=dropout))
        last = keras.initializers.GlorotUniform(seed=next(seeds))
        return keras.Sequential([*layers, keras.layers.Dense(1, kernel_initializer=last)])

    def optimizer(self, variables) -> keras.Optimizer:
        """Adam, ready for these variables."""
        optimizer = keras.optimizers.Adam(self.learning_rate, self.beta_1, self.beta_2)
        optimizer.build(variables)
        return optimizer

    def loss(self, network: keras.Model, q, p, mix) -> tf.Tensor:
        """Cross entropy of samples of q, label 1, and of p, label 0, and the penalty: a scalar.

        Args:
            network: the classifier.
            q, p: vectors [batch, D].
            mix: uniform on [0, 1), [batch]: where between them the gradient is penalised.
        """
        losses = CrossEntropy()
        loss = tf.reduce_mean(losses.real(network(q, training=True)))
        loss += tf.reduce_mean(losses.fake(network(p, training=True)))
        if self.gradient_penalty:
            penalised = gradient_penalty(lambda x: network(x, training=True)[:, 0], q, p, mix)
            loss += self.gradient_penalty * tf.reduce_mean(penalised)
        return loss


class Trainer:
    """A classifier in training, on pairs of batches that a function of the step draws.

    Attributes:
        settings: the classifier.
        network: its layers.
        step: how many it has taken.

    Args:
        settings: the classifier.
        draw: step, a scalar tensor → batches of q and of p, [batch, D] each; it is compiled.
        dimensions: D.
        seed: of the classifier.
    """

    def __init__(self, settings: RatioClassifier, draw: Callable, dimensions: int, seed: int = 0):
        self.settings, self.network = settings, settings.network(dimensions, seed)
        variables = self.network.trainable_variables
        optimizer = settings.optimizer(variables)
        self.step = 0

        @tf.function
        def run(first, last):
            values = {"loss": tf.constant(0.0)}
            for step in tf.range(first, last):
                q, p = draw(step)
                # Negative, so that it has nothing to do with what `draw` makes of the same step.
                mix = tf.random.stateless_uniform(tf.shape(q)[:1], tf.stack([-1 - step, seed % 2**31]))
                values = minimise(lambda q=q, p=p, mix=mix: self._terms(q, p, mix), optimizer, variables)
            return values

        self._run = run

    def advance(self, start: int, stop: int) -> dict[str, tf.Tensor]:
        """Takes the steps from `start` up to `stop`, for `fit`; the loss of the last one."""
        self.step = stop
        return self._run(tf.constant(start), tf.constant(stop))

    def _terms(self, q, p, mix) -> dict[str, tf.Tensor]:
        return {"loss": self.settings.loss(self.network, q, p, mix)}

    def logits(self, vectors) -> np.ndarray:
        """log q(z)/p(z) as the classifier has it, of vectors [n, D]: float64 [n]."""
        vectors = np.asarray(vectors, np.float32)
        blocks = (vectors[start : start + LOGIT_BLOCK] for start in range(0, len(vectors), LOGIT_BLOCK))
        return np.concatenate([np.asarray(self.network(block, training=False), np.float64)[:, 0] for block in blocks])

    def finite_logits(self, vectors) -> np.ndarray:
        """As `logits`.

        Raises:
            NonFiniteError: the classifier diverged.
        """
        logits = self.logits(vectors)
        if not np.isfinite(logits).all():
            raise NonFiniteError(f"the classifier's logits are not finite after {self.step} steps; lower learning_rate")
        return logits
