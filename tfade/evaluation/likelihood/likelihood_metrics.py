"""The suite's metrics of likelihood that take minutes: bounds and estimates on some of the test data."""

import gin
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError
from tfade.evaluation.choice import chosen
from tfade.evaluation.latents.latent_model import (
    LatentModel,
    dequantised,
    has_conditional,
    latent_model,
    pixel_protocol,
)
from tfade.evaluation.likelihood.annealed_importance import annealed_importance_sampling
from tfade.evaluation.likelihood.importance_weighted import bound_result, importance_weighted_bound
from tfade.evaluation.likelihood.likelihood_comparison import at_middles, likelihood_comparison
from tfade.evaluation.likelihood.nll import bits_per_dim
from tfade.evaluation.likelihood.parzen import BANDWIDTHS, parzen_log_likelihood
from tfade.evaluation.metrics import Metric
from tfade.evaluation.result import Result
from tfade.evaluation.subject import NotApplicable, Subject

TOGETHER = 16  # images whose bounds are computed at a time


@gin.register
class ImportanceWeightedBound(Metric):
    """The importance-weighted bound on log p of some test data, in nats and for images in bits per dimension.

    Of a model with a bound it is the one of its `log_prob`, of another one with a stochastic encoder that of images
    with normal noise, see `latent_model`. The noise that dequantises an image is a function of the image and not of
    the seed, see `latent_model.dequantised`.

    Args:
        k: codes of an example.
        num_real: examples of the real split.
        sigma: σ of the observation model where the model has none of its own.

    Reference: Burda et al. 2016.
    """

    name = "importance_weighted_bound"
    default = False

    def __init__(self, k: int = 1000, num_real: int = 256, sigma: float = 0.1):
        self.k, self.num_real, self.sigma = k, num_real, sigma

    def __call__(self, subject):
        model, examples = _model(subject), chosen(subject.real, self.num_real, subject.seed)
        if getattr(model, "likelihood", None) == "exact":
            raise NotApplicable(f"the likelihood of {type(model).__name__} is exact and needs no bound")
        if getattr(model, "likelihood", None) == "lower_bound":
            result = bound_result(self._own(model, examples, subject), self.k)
            protocol = {**pixel_protocol(model), **_observation(model, subject)}
        else:
            view = latent_model(model, examples, None if has_conditional(model) else self.sigma)
            if view.posterior is None:
                raise NotApplicable(f"{type(model).__name__} has no encoder with a density over codes")
            result, protocol = self._with_noise(view, subject), view.protocol
        return _with_bits([result.with_protocol(**subject.protocol(), **protocol)], model, subject)

    def _own(self, model, examples, subject) -> np.ndarray:
        values = []
        for start in range(0, len(examples), TOGETHER):
            rows = examples[start : start + TOGETHER]
            values.append(np.asarray(model.log_prob(rows, num_samples=self.k), np.float64))
            subject.progress(f"  {self.name}: {start + len(rows):,} of {len(examples):,}")
        return np.concatenate(values)

    def _with_noise(self, view: LatentModel, subject) -> Result:
        return importance_weighted_bound(
            x=view.x,
            k=self.k,
            log_likelihood=view.log_likelihood,
            prior=view.prior,
            posterior=view.posterior,
            log_det=view.log_det,
            seed=subject.seed,
            progress=subject.progress,
        )


@gin.register
class AnnealedImportanceSampling(Metric):
    """log p of some test data by annealed importance sampling, its bits, and the bidirectional gap on simulated data.

    Args:
        num_real: examples of the real split.
        num_simulated: examples of the model for the gap; 0 for none.
        start: "prior", or "posterior" of the model's encoder, where chains start.
        sigma: σ of the observation model where the model has none of its own, see `latent_model`.
        chains, steps, leapfrogs, step_size, batch_size: see `annealed_importance_sampling`.
        jit_compile: likewise; None for XLA on a GPU only, as it slows convolutions on CPUs.

    Reference: Wu et al. 2017.
    """

    name = "annealed_importance_sampling"
    default = False

    def __init__(
        self,
        num_real: int = 64,
        num_simulated: int = 16,
        start: str = "prior",
        sigma: float = 0.1,
        chains: int = 16,
        steps: int = 1000,
        leapfrogs: int = 10,
        step_size: float = 0.1,
        batch_size: int = 64,
        jit_compile: bool | None = None,
    ):
        if start not in ("prior", "posterior"):
            raise UsageError(f"AnnealedImportanceSampling.start={start!r} is neither 'prior' nor 'posterior'")
        self.num_real, self.num_simulated, self.start, self.sigma = num_real, num_simulated, start, sigma
        self.settings = {
            "chains": chains,
            "steps": steps,
            "leapfrogs": leapfrogs,
            "step_size": step_size,
            "batch_size": batch_size,
            "jit_compile": on_gpu() if jit_compile is None else jit_compile,
        }

    def __call__(self, subject):
        model, examples = _model(subject), chosen(subject.real, self.num_real, subject.seed)
        view = latent_model(model, examples, None if has_conditional(model) else self.sigma)
        if self.start == "posterior" and view.posterior is None:
            raise NotApplicable(f"{type(model).__name__} has no encoder with a density where chains could start")
        result = annealed_importance_sampling(
            x=view.x,
            log_likelihood=view.log_likelihood,
            prior=view.prior,
            initial=view.posterior if self.start == "posterior" else None,
            simulate=view.simulate if self.num_simulated else None,
            num_simulated=self.num_simulated,
            log_det=view.log_det,
            seed=subject.seed,
            progress=subject.progress,
            **self.settings,
        ).with_protocol(**subject.protocol(), **{**view.protocol, **_observation(model, subject)})
        results = _with_bits([result], model, subject)
        if self.num_simulated:
            said = result.protocol
            gap = said["bidirectional_gap"], said["bidirectional_gap_std"]
            results.append(Result(f"{self.name}_gap", *gap, {**said, "of": f"{self.num_simulated} simulated examples"}))
        return results


@gin.register
class ParzenLogLikelihood(Metric):
    """log p of some test data under kernels around the samples, whose bandwidth is chosen on validation data.

    Images are dequantised, samples of them lie at the middles of their bins, both in [0, 1]. Vectors are as they are,
    and bandwidths in their units. Without a validation split the training split takes its place, as the protocol says.

    Args:
        num_real: test data.
        num_validation: validation data for the choice; no test data take part in it.
        bandwidths: see `parzen_log_likelihood`.

    Raises:
        UsageError: the validation split holds some of the test data.

    Reference: Goodfellow et al. 2014, section 5.
    """

    name = "parzen_log_likelihood"
    default = False

    def __init__(self, num_real: int = 1000, num_validation: int = 1000, bandwidths=BANDWIDTHS):
        self.num_real, self.num_validation, self.bandwidths = num_real, num_validation, bandwidths

    def __call__(self, subject):
        fake, real = _samples(subject), chosen(subject.real, self.num_real, subject.seed)
        validation, choice = _validation(subject, self.num_validation, real, self.bandwidths)
        parts = fake, dequantised(real), dequantised(validation)
        fake, real, validation = (part.reshape(len(part), -1) for part in parts)
        result = parzen_log_likelihood(real=real, fake=fake, validation=validation, bandwidths=self.bandwidths)
        return [result.with_protocol(**subject.protocol(), **choice)]


@gin.register
class LikelihoodComparison(Metric):
    """Flow-GAN's table 3: exact log-likelihood, annealed importance sampling and kernels, of the same test data.

    Args:
        num_real: test data.
        num_validation: validation data for the choice of the bandwidth, see `ParzenLogLikelihood`.
        sigma, chains, steps, leapfrogs, step_size, simulated, batch_size, bandwidths: see `likelihood_comparison`.
        jit_compile: likewise; None for XLA on a GPU only.

    Reference: Grover, Dhar and Ermon 2018, table 3.
    """

    name = "likelihood_comparison"
    default = False

    def __init__(
        self,
        num_real: int = 64,
        num_validation: int = 1000,
        sigma: float = 0.1,
        chains: int = 16,
        steps: int = 1000,
        leapfrogs: int = 10,
        step_size: float = 0.1,
        simulated: bool = True,
        batch_size: int = 64,
        jit_compile: bool | None = None,
        bandwidths=BANDWIDTHS,
    ):
        self.num_real, self.num_validation = num_real, num_validation
        self.settings = {
            "sigma": sigma,
            "chains": chains,
            "steps": steps,
            "leapfrogs": leapfrogs,
            "step_size": step_size,
            "simulated": simulated,
            "batch_size": batch_size,
            "jit_compile": on_gpu() if jit_compile is None else jit_compile,
            "bandwidths": bandwidths,
        }

    def __call__(self, subject):
        if getattr(subject.model, "likelihood", None) != "exact":
            raise NotApplicable(f"{type(subject.model).__name__} has no exact likelihood to compare estimates with")
        real = chosen(subject.real, self.num_real, subject.seed)
        validation, choice = _validation(subject, self.num_validation, real, self.settings["bandwidths"])
        results = likelihood_comparison(
            model=subject.model,
            real=real,
            validation=validation,
            fake=_samples(subject),
            seed=subject.seed,
            progress=subject.progress,
            **self.settings,
        )
        exact, annealed, parzen = (result.with_protocol(**subject.protocol()) for result in results)
        return [exact, annealed, parzen.with_protocol(**choice)]


def on_gpu() -> bool:
    """Whether TensorFlow has a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def _model(subject: Subject):
    """The model; where it has no likelihood and one is to be fitted around its decoder, the model with that."""
    wanted = getattr(subject.model, "likelihood", None) is None and subject.fit_bound is not None
    return subject.likelihood_model if wanted else subject.model


def _observation(model, subject: Subject) -> dict:
    """What p(x | z) is, where it is not assumed."""
    if model is not subject.model:
        fitted = getattr(model, "fit_protocol", {})
        return {"observation": "N(G(z), σ² I), σ fitted with an inference network", **fitted}
    return {"observation": "the model's p(x | z)"} if has_conditional(model) else {}


def _samples(subject: Subject) -> np.ndarray:
    """What the model drew: images at the middles of their bins, or vectors."""
    return at_middles(subject.samples) if subject.real.spec.is_image else subject.sampled_vectors


def _validation(subject: Subject, count: int, real: np.ndarray, bandwidths) -> tuple[np.ndarray, dict]:
    """Data for the choice of a bandwidth, and what the protocol says of them.

    They are of the validation split; without one of the training split, of which the model may know more.

    Raises:
        UsageError: more than a tenth of the validation split is among `real`; public sets hold a few images twice.
    """
    source = subject.validation
    given = source is not None
    source = source if given else subject.train
    examples = chosen(source, count, subject.seed)
    if given and np.size(bandwidths) > 1:
        known = {row.tobytes() for row in real}
        shared = sum(row.tobytes() in known for row in examples)
        if shared > len(examples) / 10:
            raise UsageError(
                f"validation: {shared} of {len(examples)} examples of the {source.spec.split} split are among the "
                f"{len(real)} test data; give another split, or a single value as bandwidths"
            )
    return examples, {"bandwidth_chosen_on": f"{source.spec.split} split"}


def _with_bits(results: list[Result], model, subject: Subject) -> list[Result]:
    """The nats, and before them bits per dimension where they are of images of 256 levels."""
    levels = getattr(model, "levels", None)
    if not subject.real.spec.is_image or levels == 2:
        return results
    nats, dimensions = results[0], int(np.prod(subject.real.spec.shape))
    bits = bits_per_dim(log_prob=np.array([nats.value]), dimensions=dimensions, continuous=levels is None)
    std = None if nats.std is None else nats.std / (dimensions * np.log(2))
    protocol = {**bits.protocol, **nats.protocol}
    return [Result(f"{nats.name}_bits_per_dim", bits.value, std, protocol), *results]
