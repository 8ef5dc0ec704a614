"""The view that likelihood estimators have of a model with a decoder: p(z), p(x | z), and data to evaluate."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.contract import Contract
from tfade.distributions.implicit import ImplicitCodes
from tfade.errors import UsageError
from tfade.evaluation.latents.posterior_kinds import is_deterministic
from tfade.evaluation.likelihood.repeats import Repeats
from tfade.evaluation.result import NotApplicable
from tfade.seeds import per_example_noise

tfd = tfp.distributions

DEQUANTISATION = "noise by image, draw 0"
ROWS = 64  # images that are made observations of together


@dataclasses.dataclass(frozen=True, eq=False)
class LatentModel:
    """The arguments of `annealed_importance_sampling` and `importance_weighted_bound` for a model and some data.

    Attributes:
        x: observations [N, ...], float32: dequantised images, features of them, levels of a pmf, or vectors.
        log_det: nats [N] of the map from dequantised images to observations.
        prior: p(z).
        log_likelihood: latents [rows, latent_size] and observations [rows, ...] → log p(x | z) in nats [rows].
        simulate: latents [rows, latent_size] and a seed → observations [rows, ...].
        posterior: observations → q(z | x), of an implicit one the normal with its moments; None where there is no
            encoder, or a deterministic one.
        protocol: how images became observations, and which p(x | z) is meant.
        repeats: which of the examples are the same.
    """

    x: np.ndarray
    log_det: np.ndarray
    prior: Any
    log_likelihood: Callable
    simulate: Callable
    posterior: Callable | None
    protocol: dict
    repeats: Repeats


def latent_model(model: Contract, data, sigma: float | None = None) -> LatentModel:
    """The view of a model and its data.

    A model that answers `observation` has its own p(x | z). Around the images of any other decoder G a normal is
    assumed, p(x | z) = N(x; G(z), σ² I): the number then is that of the model with this noise, and depends on σ. In the
    code of Wu et al. 2017 `sigma` is the variance σ²; here it is the standard deviation.

    Args:
        model: answers `prior` and `decode`, or `prior`, `observation`, `to_observation` and `to_image`.
        data: images [N, H, W, C], uint8 or floats in [0, 1], or vectors [N, D].
        sigma: σ > 0 in units of images in [0, 1] (or of the vectors), for a model without p(x | z); None otherwise.

    Raises:
        NotApplicable: the model has no decoder or no prior, or is conditional; or it has a bound, which is one of an
            observation model of its own, but does not answer `observation`: with normal noise it would be another
            model.
        UsageError: no σ for a model that needs it, one for a model that does not, or one that is not positive.
    """
    name = type(model).__name__
    if not (model.answers("prior") and model.answers("decode")):
        raise NotApplicable(f"{name} has no decoder of latents with a known prior")
    if model.conditional:
        raise NotApplicable(f"{name} is conditional; this estimator takes an unconditional p(x | z)")
    prior = model.prior()
    if not model.answers("observation"):
        if model.likelihood == "lower_bound":
            raise NotApplicable(
                f"{name} has a bound but does not answer `observation`, its p(x | z); Gaussian noise of "
                "a standard deviation σ is not assumed"
            )
        return _with_noise(model, data, prior, sigma)
    if sigma is not None:
        raise UsageError(f"sigma={sigma!r}, but {name} has its own p(x | z); leave sigma None")
    repeats = Repeats([data])
    x, log_det = repeats.apply(model.to_observation, ROWS, fetch=lambda rows: (data[rows],))
    return LatentModel(
        x,
        log_det,
        prior,
        lambda z, x: model.observation(z).log_prob(x),
        lambda z, seed: model.observation(z).sample(seed=seed),
        _posterior(model, lambda x: model.encode(model.to_image(x)), x[:1]),
        {"observation": "the model's p(x | z)", **pixel_protocol(model), **repeats.protocol},
        repeats,
    )


def pixel_protocol(model: Contract) -> dict:
    """How images became observations of the model: by dequantisation, by binarisation, or unchanged."""
    if model.pixel_levels is None:
        return {"dequantisation": DEQUANTISATION}
    return {"binarisation": f"binarised with p(1) = x, {DEQUANTISATION}"} if model.pixel_levels == 2 else {}


def _with_noise(model, data, prior, sigma) -> LatentModel:
    if sigma is None or not 0 < sigma < np.inf:
        raise UsageError(
            f"sigma={sigma!r}: {type(model).__name__} decodes without noise; give the standard deviation σ > 0 of a "
            "normal around its images, such as 0.1"
        )
    repeats = Repeats([data])
    x = dequantised(data, repeats)
    rank = x.ndim - 1

    def observation(z):
        return tfd.Independent(tfd.Normal(tf.cast(model.decode(z), tf.float32), np.float32(sigma)), rank)

    protocol = {"observation": "N(G(z), σ² I)", "sigma_standard_deviation": float(sigma), "variance": float(sigma) ** 2}
    protocol |= repeats.protocol
    if rank == 3:
        protocol["dequantisation"] = DEQUANTISATION
    return LatentModel(
        x,
        np.zeros(len(x)),
        prior,
        lambda z, x: observation(z).log_prob(x),
        lambda z, seed: observation(z).sample(seed=seed),
        _posterior(model, lambda x: model.encode(tf.clip_by_value(x, 0.0, 1.0) if rank == 3 else x), x[:1]),
        protocol,
        repeats,
    )


def dequantised(data, repeats: Repeats | None = None) -> np.ndarray:
    """Images as (255 x + u) / 256 with the noise of `log_prob`, a function of each image; vectors as they are: float32.

    Unlike the suite's other noise it does not depend on the seed: an image has the same value in every run, metric and
    batch, and differences between metrics do not come from the noise. Protocols state it as "noise by image, draw 0".
    An image that comes again in `data` has other noise, by how often it came before.

    Args:
        data: images [N, H, W, C], uint8 or floats in [0, 1], or vectors [N, D].
        repeats: those of `data`, where they are known.
    """
    data = np.asarray(data)
    if data.ndim != 4:
        return data.astype(np.float32)
    unit = np.asarray(numerics.checked_unit(data, data.shape[1:]))

    def draw(images):
        return (numerics.dequantised(images, per_example_noise(tf.convert_to_tensor(images))),)

    return (repeats or Repeats([data])).apply(draw, ROWS, fetch=lambda rows: (unit[rows],))[0]


def _posterior(model: Contract, encode: Callable, x) -> Callable | None:
    """`encode`, if the model has an encoder with a density; of an implicit one, the normal with its moments."""
    if not model.answers("encode"):
        return None
    if isinstance(first := encode(tf.constant(x)), ImplicitCodes):
        return lambda x: encode(x).normal_approximation()
    return None if is_deterministic(first) else encode


def encodes_implicitly(model: Contract, data) -> bool:
    """Whether a model has an encoder whose codes can be drawn and have no density, as one of `data`, some examples,
    shows. A conditional model has none."""
    unconditional = model.answers("encode") and not model.conditional
    return unconditional and isinstance(model.encode(tf.constant(data[:1])), ImplicitCodes)
