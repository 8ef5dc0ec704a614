"""The density ratio of two distributions from a classifier of their samples, and their KL divergence from that."""

import dataclasses
from collections.abc import Callable

import gin
import keras
import numpy as np
import tensorflow as tf

from tfade.errors import NonFiniteError, UsageError, check_finite, check_whole
from tfade.evaluation.checks import checked_features
from tfade.evaluation.result import Result, standard_error
from tfade.networks.layers import leaky_relu
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.penalties import gradient_penalty

LOGIT_BLOCK = 10_000  # codes whose logits are computed together
HELD_OUT = 0.25  # share of the samples that the estimate is of and the classifier does not see


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
            mix: uniform on [0, 1), [batch]: where between them the slope is penalised.
        """
        losses = CrossEntropy()
        loss = tf.reduce_mean(losses.real(network(q, training=True)))
        loss += tf.reduce_mean(losses.fake(network(p, training=True)))
        if self.gradient_penalty:
            slope = gradient_penalty(lambda x: network(x, training=True)[:, 0], q, p, mix)
            loss += self.gradient_penalty * tf.reduce_mean(slope)
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
            for step in tf.range(first, last):
                q, p = draw(step)
                # Negative, so that it has nothing to do with what `draw` makes of the same step.
                mix = tf.random.stateless_uniform(tf.shape(q)[:1], tf.stack([-1 - step, seed % 2**31]))
                with tf.GradientTape() as tape:
                    loss = settings.loss(self.network, q, p, mix)
                optimizer.apply(tape.gradient(loss, variables), variables)

        self._run = run

    def train(self, steps: int) -> None:
        """Takes so many more steps."""
        self._run(tf.constant(self.step), tf.constant(self.step + steps))
        self.step += steps

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


def density_ratio(
    *,
    codes,
    prior_codes,
    classifier: RatioClassifier | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Trainer:
    """A classifier trained to tell codes from the prior's, whose logit estimates log q(z)/p(z).

    Args:
        codes, prior_codes: samples of q and of p, [N, D] and [M, D].
        classifier: its settings; those that gin binds, or the defaults, if None.
        seed: of the weights and of the order of the samples.
        progress: receives a line now and then.

    Raises:
        UsageError: samples that are not finite matrices of equal width.
        NonFiniteError: the classifier diverged.
    """
    codes, prior_codes = _checked(codes, prior_codes)
    settings = classifier or gin.get_configurable(RatioClassifier)()
    q, p = (tf.constant(part, tf.float32) for part in (codes, prior_codes))

    def draw(step):
        rows = [
            tf.random.stateless_uniform(
                [settings.batch_size], tf.stack([step, seed % 2**30 + 2**30 * side]), maxval=len(part), dtype=tf.int32
            )
            for side, part in enumerate((q, p))
        ]
        return tf.gather(q, rows[0]), tf.gather(p, rows[1])

    trainer = Trainer(settings, draw, codes.shape[1], seed)
    interval = -(-settings.steps // 5)
    while trainer.step < settings.steps:
        trainer.train(min(interval, settings.steps - trainer.step))
        progress(f"  density ratio: step {trainer.step:,} of {settings.steps:,}")
    for part in (codes, prior_codes):
        trainer.finite_logits(part)
    return trainer


def density_ratio_kl(
    *,
    codes,
    prior_codes,
    classifier: RatioClassifier | None = None,
    held_out: float = HELD_OUT,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Result:
    """KL(q ‖ p) = E_q[log q(z)/p(z)], with a classifier's logit in the place of the log-ratio.

    The classifier sees a part of the samples, the mean is over the codes of the other. Neither a bound nor unbiased:
    compare it only with estimates of the same settings, and do not believe it in many dimensions (see
    `python -m launch.density_ratio`, which measures how far it is off).

    Args:
        codes, prior_codes, classifier, seed, progress: as for `density_ratio`.
        held_out: share of the samples, in (0, 1), that the classifier does not learn from.

    Returns:
        `Result` "marginal_kl_density_ratio" in nats; the standard error is that of the held-out mean, and says nothing
        of how wrong the classifier is.

    Raises:
        UsageError: as `density_ratio`; or a share that leaves fewer than 2 samples on either side.
        NonFiniteError: the classifier diverged.

    Reference: Rosca et al. 2018, section 4.
    """
    codes, prior_codes = _checked(codes, prior_codes)
    settings = classifier or gin.get_configurable(RatioClassifier)()
    counts = [round(held_out * len(part)) if 0 < held_out < 1 else 0 for part in (codes, prior_codes)]
    if min(counts) < 2 or min(len(codes) - counts[0], len(prior_codes) - counts[1]) < 2:
        raise UsageError(
            f"held_out={held_out!r} of {len(codes)} codes and {len(prior_codes)} prior_codes leaves fewer than 2 on a "
            f"side; {HELD_OUT} of thousands is usual"
        )
    generator = np.random.Generator(np.random.Philox(key=seed))
    codes, prior_codes = (part[generator.permutation(len(part))] for part in (codes, prior_codes))
    trainer = density_ratio(
        codes=codes[counts[0] :],
        prior_codes=prior_codes[counts[1] :],
        classifier=settings,
        seed=seed,
        progress=progress,
    )
    logits = trainer.finite_logits(codes[: counts[0]])
    protocol = {
        "num_codes": len(codes),
        "num_prior_codes": len(prior_codes),
        "num_held_out": counts[0],
        "seed": seed,
        "unit": "nats",
        "method": "density ratio",
        "classifier": dataclasses.asdict(settings),
    }
    diagnostics = {"latent_size": codes.shape[1]}
    return Result("marginal_kl_density_ratio", logits.mean(), standard_error(logits), protocol, diagnostics)


def _checked(codes, prior_codes) -> tuple[np.ndarray, np.ndarray]:
    codes, prior_codes = checked_features("codes", codes), checked_features("prior_codes", prior_codes)
    if codes.shape[1] != prior_codes.shape[1]:
        raise UsageError(f"prior_codes have {prior_codes.shape[1]} numbers and codes {codes.shape[1]}; give the same")
    return codes, prior_codes
