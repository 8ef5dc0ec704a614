"""Likelihoods in nats and in bits per dimension."""

import math

import gin
import numpy as np

from tfade import numerics
from tfade.errors import UsageError, check_whole
from tfade.evaluation.likelihood.latent_model import pixel_protocol
from tfade.evaluation.likelihood.repeats import log_probs
from tfade.evaluation.metric import Metric, Work
from tfade.evaluation.result import Result, standard_error


def negative_log_likelihood(*, log_prob, groups=None) -> Result:
    """Mean of -log p in nats, with its standard error.

    Args:
        log_prob: nats of each example, [N].
        groups: which distinct example each is, integers [N] as in `Repeats.groups`; None where no two are the same.

    Returns:
        `Result` "negative_log_likelihood".

    Raises:
        UsageError: not [N] floats, empty, or not finite (one example of density 0 makes the mean infinite).
    """
    values = checked_nats("log_prob", log_prob)
    protocol = {"num_real": len(values), "unit": "nats"}
    return Result("negative_log_likelihood", -values.mean(), standard_error(values, groups), protocol)


def bits_per_dim(
    *, log_prob, dimensions: int, continuous: bool = True, value_range: tuple[float, float] = (0.0, 1.0), groups=None
) -> Result:
    """Mean of -log₂ p / D + log₂(256 / range), or of -log₂ P / D: bits for each dimension of an image with 256 levels.

    Args:
        log_prob: nats of each image, [N].
        dimensions: D = H · W · C, without padding.
        continuous: whether they are of the density of dequantised images, and not of the pmf of the levels.
        value_range: the smallest and the largest value of a dequantised pixel: (0, 1) of (x + u) / 256, which adds 8
            bits, (-1, 1) of (x + u) / 128 - 1, which adds 7. It has no part in the bits of a pmf.
        groups: as for `negative_log_likelihood`.

    Returns:
        `Result` "bits_per_dim" with its standard error.

    Raises:
        UsageError: as for `negative_log_likelihood`, dimensions below 1, or an empty range.
    """
    if dimensions < 1:
        raise UsageError(f"dimensions={dimensions!r} is below 1; give H · W · C")
    low, high = value_range
    if not 0 < high - low < math.inf:
        raise UsageError(f"value_range={value_range!r} is not a range; (0, 1) and (-1, 1) are usual")
    nats = negative_log_likelihood(log_prob=log_prob, groups=groups)
    value = nats.value / (dimensions * math.log(2))  # `numerics.bits_per_dim` is float32, for the training step
    error = None if nats.std is None else nats.std / (dimensions * np.log(2))
    protocol = {"num_real": nats.protocol["num_real"], "dimensions": dimensions, "levels": numerics.LEVELS}
    if continuous:
        value += math.log2(numerics.LEVELS / (high - low))
        protocol["value_range"] = [low, high]
    return Result("bits_per_dim", value, error, protocol)


@gin.register
class Likelihood(Metric):
    """-log p of the whole split, in nats and for images in bits per dimension, of models that have a likelihood.

    A model without one, such as a GAN, gets the bound of an inference network around its frozen generator, if the
    subject has a `fit_bound` (Lucas et al. 2019 print it in brackets). Where the data are draws from a known density,
    its own -log p is the real-data counterpart, which no model beats on average. Where the likelihood is an unbiased
    estimate, the standard error includes its noise, which is drawn for each example by itself.

    Args:
        draws: draws of what `log_prob` averages for each example: dequantisation noise, the noise of an estimate, or
            latents where it is a bound.
    """

    name = "likelihood"

    def __init__(self, draws: int = 1):
        self.draws = check_whole("Likelihood.draws", draws)

    def work(self, subject):
        return Work(self.draws * subject.real.spec.num_examples, "likelihoods of examples")

    def __call__(self, subject):
        model = subject.likelihood_model
        indices = np.arange(subject.real.spec.num_examples)
        log_prob, repeats = log_probs(model, subject, indices, "likelihood", self.draws)
        shared = {"log_prob": log_prob, "groups": repeats.groups}
        results = [negative_log_likelihood(**shared)]
        levels = model.pixel_levels
        if subject.real.spec.is_image and levels != 2:
            dimensions = subject.real.spec.dimensions
            results.insert(0, bits_per_dim(**shared, dimensions=dimensions, continuous=levels is None))
        protocol = {
            **subject.likelihood_protocol(),
            **repeats.protocol,
            "likelihood": model.likelihood,
            "inference": "its own" if model is subject.model else "fitted around the frozen generator, with one σ",
            "draws": self.draws,
            "probability": "density" if levels is None else f"pmf of {levels} levels",
        }
        protocol |= model.fit_protocol
        if subject.real.spec.is_image:
            protocol |= pixel_protocol(model)
            if model.likelihood in ("exact", "unbiased") and self.draws > 1 and levels is None:
                protocol["dequantisation"] = f"noise by image, mean over draws 0 to {self.draws - 1}"
        if density := subject.real.density:
            examples = subject.real.fetch(np.arange(subject.real.spec.num_examples))
            results[-1] = results[-1].with_real(negative_log_likelihood(log_prob=density.log_density(examples)))
        return [result.with_protocol(**protocol) for result in results]


def checked_nats(name: str, values, count: int | None = None) -> np.ndarray:
    """`values` as float64 [N].

    Raises:
        UsageError: not floats [N], empty, not finite, or not `count` of them.
    """
    values = np.asarray(values)
    if values.dtype.kind != "f" or values.ndim != 1 or not len(values):
        raise UsageError(f"{name} has dtype {values.dtype} and shape {list(values.shape)}; give nats, floats [N]")
    if count is not None and len(values) != count:
        raise UsageError(f"{name} has {len(values)} values for {count} examples; give one for each")
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise UsageError(f"{name} holds {bad} NaN or infinite values of {len(values)}; the mean would not be finite")
    return values


def checked_examples(name: str, values) -> np.ndarray:
    """`values` as an array [N, ...] of floats, of their own precision.

    Raises:
        UsageError: not floats, a scalar, no example, or NaN or infinite values.
    """
    values = np.asarray(values)
    if values.dtype.kind != "f" or values.ndim < 1 or not values.size:
        raise UsageError(f"{name} has dtype {values.dtype} and shape {list(values.shape)}; give floats [N, ...]")
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise UsageError(f"{name} holds {bad} NaN or infinite values of {values.size}; give finite examples")
    return values
