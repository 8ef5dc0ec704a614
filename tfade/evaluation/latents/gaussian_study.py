"""The error of density-ratio estimates: Gaussians of many dimensions whose divergence is known.

Estimation: a classifier learns the ratio of two fixed Gaussians. Learning: a generator, an affine map of normal noise,
is trained by the classifier's ratio to become one of them, while its true divergence is known at every step.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import gin
import keras
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError, check_positive, check_whole
from tfade.evaluation.latents.ratio_classifier import RatioClassifier, Trainer
from tfade.fitting import minimise

HELD_OUT = 10_000  # fresh samples that every estimate is the mean over
MODES = ("estimation", "learning")


@dataclasses.dataclass(frozen=True)
class AffineGaussian:
    """A ε + b, ε ~ N(0, I): N(b, A Aᵀ).

    Attributes:
        matrix: A, float64 [D, D], non-singular.
        shift: b, float64 [D].
    """

    matrix: np.ndarray
    shift: np.ndarray

    @classmethod
    def random(cls, dimensions: int, shift: float, spread: float, seed: int = 1) -> "AffineGaussian":
        """A = I + spread · G / √D and b = shift · g with normal G and g: its KL from N(0, I) grows as D does."""
        generator = np.random.Generator(np.random.Philox(key=[seed, dimensions]))
        noise = generator.standard_normal((dimensions, dimensions)) / math.sqrt(dimensions)
        return cls(np.eye(dimensions) + spread * noise, shift * generator.standard_normal(dimensions))

    @classmethod
    def standard(cls, dimensions: int) -> "AffineGaussian":
        """N(0, I)."""
        return cls(np.eye(dimensions), np.zeros(dimensions))


def gaussian_kl(first: AffineGaussian, second: AffineGaussian) -> float:
    """KL(N(b₁, A₁A₁ᵀ) ‖ N(b₂, A₂A₂ᵀ)) in nats; infinite where A₁ is singular.

    With M = A₂⁻¹A₁:   ½ (‖M‖² + ‖A₂⁻¹(b₁ - b₂)‖² - D) - log |det M|
    """
    both = np.concatenate([first.matrix, (first.shift - second.shift)[:, None]], axis=1)
    solved = np.linalg.solve(second.matrix, both)
    sign, log_det = np.linalg.slogdet(solved[:, :-1])
    return float("inf") if sign == 0 else float(0.5 * ((solved**2).sum() - len(solved)) - log_det)


@gin.register
@dataclasses.dataclass(frozen=True)
class DensityRatioStudy:
    """The settings of a study. The paper takes 10⁶ steps and 10 seeds; the defaults take minutes.

    Attributes:
        dimensions: of the Gaussians.
        seeds: of the classifiers, and of the generators' noise; the Gaussians are the same for all.
        modes: "estimation", "learning", or both.
        steps: of training in each run.
        reports: points of a curve.
        shift, spread: of the target, see `AffineGaussian.random`.
        generator_rate: of Adam for the generator, which moves once after every step of the classifier.

    Raises:
        UsageError: a value out of range.

    Reference: Rosca et al. 2018, appendix D.
    """

    dimensions: Sequence[int] = (1, 10, 100, 1000)
    seeds: Sequence[int] = (0, 1, 2)
    modes: Sequence[str] = MODES
    steps: int = 2000
    reports: int = 20
    shift: float = 1.0
    spread: float = 0.5
    generator_rate: float = 1e-3

    def __post_init__(self):
        for name, least in (("dimensions", 1), ("seeds", 0)):
            values = tuple(getattr(self, name))
            if not values or len(set(values)) < len(values) or min(values) < least:
                raise UsageError(f"DensityRatioStudy.{name}={values!r}; give integers ≥ {least}, each once")
        if not self.modes or set(self.modes) - set(MODES):
            raise UsageError(f"DensityRatioStudy.modes={self.modes!r}; give some of {', '.join(MODES)}")
        for name in ("steps", "reports"):
            check_whole(f"DensityRatioStudy.{name}", getattr(self, name))
        check_positive("DensityRatioStudy.generator_rate", self.generator_rate)

    def target(self, dimensions: int) -> AffineGaussian:
        """The Gaussian that N(0, I) is compared with, the same for every seed."""
        return AffineGaussian.random(dimensions, self.shift, self.spread)

    def report_steps(self) -> list[int]:
        """The steps after which a curve has a point, the last one included."""
        return sorted({round(self.steps * (report + 1) / self.reports) for report in range(self.reports)} - {0})


def run(study: DensityRatioStudy, mode: str, dimensions: int, seed: int, classifier: RatioClassifier | None = None):
    """One run of a study.

    Args:
        study: its settings.
        mode: "estimation" or "learning".
        dimensions, seed: of this run.
        classifier: its settings; those that gin binds, or the defaults, if None. Its `steps` play no part.

    Returns:
        Points of a curve: [{"step", "known", "estimate"}], the true divergence and the classifier's in nats; None where
        a number is not finite, and the curve ends there.

        Estimation: KL(target ‖ N(0, I)). Learning: KL(generator ‖ target).
    """
    settings = classifier or gin.get_configurable(RatioClassifier)()
    measure = _estimation if mode == "estimation" else _learning
    curve = []
    for step, known, estimate in measure(study, settings, dimensions, seed):
        finite = [float(value) if math.isfinite(value) else None for value in (known, estimate)]
        curve.append({"step": step, "known": finite[0], "estimate": finite[1]})
        if None in finite:
            break
    return curve


def _estimation(study: DensityRatioStudy, settings: RatioClassifier, dimensions: int, seed: int):
    target, standard = study.target(dimensions), AffineGaussian.standard(dimensions)
    known = gaussian_kl(target, standard)
    sample = _sampler(target, seed)

    def draw(step):
        return sample(step, settings.batch_size), _noise(step, (settings.batch_size, dimensions), seed, "p")

    trainer = Trainer(settings, draw, dimensions, seed)
    held_out = sample(tf.constant(-1), HELD_OUT)
    for step in study.report_steps():
        trainer.advance(trainer.step, step)
        yield step, known, trainer.logits(held_out).mean()


def _learning(study: DensityRatioStudy, settings: RatioClassifier, dimensions: int, seed: int):
    """They move in turn; the generator minimises KL(generator ‖ target) = -E[log p_target/p_gen], the logit for it."""
    target = study.target(dimensions)
    sample = _sampler(target, seed)
    matrix = keras.Variable(np.eye(dimensions, dtype=np.float32))
    shift = keras.Variable(np.zeros(dimensions, np.float32))
    optimizer = keras.optimizers.Adam(study.generator_rate, settings.beta_1, settings.beta_2)
    optimizer.build([matrix, shift])

    def generated(noise):
        return tf.matmul(noise, matrix, transpose_b=True) + shift

    def draw(step):
        """Moves the generator by the classifier as it is, then draws what that learns from."""
        noise = _noise(step, (settings.batch_size, dimensions), seed, "generator")
        minimise(
            lambda: {"loss": -tf.reduce_mean(trainer.network(generated(noise), training=True))},
            optimizer,
            [matrix, shift],
        )
        noise = _noise(step, (settings.batch_size, dimensions), seed, "p")
        return sample(step, settings.batch_size), generated(noise)

    trainer = Trainer(settings, draw, dimensions, seed)
    held_out = _noise(tf.constant(-1), (HELD_OUT, dimensions), seed, "generator")
    for step in study.report_steps():
        trainer.advance(trainer.step, step)
        generator = AffineGaussian(np.asarray(matrix, np.float64), np.asarray(shift, np.float64))
        finite = np.isfinite(generator.matrix).all() and np.isfinite(generator.shift).all()
        known = gaussian_kl(generator, target) if finite else math.nan
        yield step, known, -trainer.logits(generated(held_out)).mean()


def _sampler(target: AffineGaussian, seed: int) -> Callable:
    """(step, count) → samples of the target [count, D]."""
    matrix, shift = (tf.constant(part, tf.float32) for part in (target.matrix, target.shift))

    def sample(step, count):
        return tf.matmul(_noise(step, (count, len(target.shift)), seed, "q"), matrix, transpose_b=True) + shift

    return sample


def _noise(step, shape: Sequence[int], seed: int, name: str) -> tf.Tensor:
    """Standard normal noise of a step; other names and seeds have other noise."""
    place = ("q", "p", "generator").index(name)
    return tf.random.stateless_normal(shape, tf.stack([step, tf.constant(seed % 2**29 + 2**29 * place)]))
