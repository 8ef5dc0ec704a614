"""Flow-GAN's comparison: the exact likelihood of a model beside the estimates that serve models without one."""

from collections.abc import Callable, Sequence

import numpy as np

from tfade.errors import UsageError
from tfade.evaluation.latents.latent_model import dequantised, latent_model
from tfade.evaluation.likelihood.annealed_importance import annealed_importance_sampling
from tfade.evaluation.likelihood.nll import checked_nats, standard_error
from tfade.evaluation.likelihood.parzen import BANDWIDTHS, parzen_log_likelihood
from tfade.evaluation.result import Result
from tfade.evaluation.subject import NotApplicable

PREFIX = "comparison_"


def likelihood_comparison(
    *,
    model,
    real,
    validation,
    fake,
    sigma: float = 0.1,
    bandwidths: Sequence[float] = BANDWIDTHS,
    simulated: bool = True,
    chains: int = 16,
    steps: int = 1000,
    leapfrogs: int = 10,
    step_size: float = 0.1,
    batch_size: int = 64,
    seed: int = 0,
    jit_compile: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """log p of the same test data by the model itself, by annealed importance sampling, and by kernels around samples.

    All three are nats of the same dequantised images, with the same noise. The second is of another density: the
    model's images with normal noise, N(G(z), σ² I). The paper finds that the three rank models unlike.

    Args:
        model: has an exact `log_prob`, `decode` and `prior`.
        real: test data, images [N, H, W, C], uint8 or floats in [0, 1], or vectors [N, D].
        validation: other data, for the kernels' bandwidth, [V, ...].
        fake: samples of the model [M, ...], uint8 (taken at the middles of the levels' bins), or floats in [0, 1].
        sigma: σ of the observation model, a standard deviation, see `latent_model`.
        bandwidths: see `parzen_log_likelihood`.
        simulated: whether the bidirectional gap is estimated, too; it takes twice as long again.
        chains, steps, leapfrogs, step_size, batch_size, seed, jit_compile, progress: see
            `annealed_importance_sampling`.

    Returns:
        `Result`s "comparison_exact_log_likelihood", "comparison_annealed_importance_sampling" and
        "comparison_parzen_log_likelihood".

    Raises:
        NotApplicable: the likelihood is not exact, or there is no decoder.
        UsageError: what the estimators refuse.

    Reference: Grover, Dhar and Ermon 2018, table 3.
    """
    if getattr(model, "likelihood", None) != "exact":
        raise NotApplicable(f"{type(model).__name__} has no exact likelihood to compare the estimates with")
    if batch_size < 1:
        raise UsageError(f"batch_size={batch_size!r} is below 1")
    view = latent_model(model, real, sigma)
    progress(f"  exact log-likelihood of {len(view.x):,} examples")
    starts = range(0, len(view.x), batch_size)
    nats = np.concatenate([np.asarray(model.log_prob(real[start : start + batch_size])) for start in starts])
    nats = checked_nats("log_prob", nats, len(view.x))
    shared = {key: view.protocol[key] for key in ("dequantisation",) if key in view.protocol}
    exact = Result(
        "exact_log_likelihood", nats.mean(), standard_error(nats), {"num_real": len(nats), "unit": "nats", **shared}
    )
    progress(f"  annealed importance sampling of {len(view.x):,} examples")
    annealed = annealed_importance_sampling(
        x=view.x,
        log_likelihood=view.log_likelihood,
        prior=view.prior,
        simulate=view.simulate if simulated else None,
        chains=chains,
        steps=steps,
        leapfrogs=leapfrogs,
        step_size=step_size,
        batch_size=batch_size,
        seed=seed,
        jit_compile=jit_compile,
        progress=progress,
    )
    progress(f"  kernels around {len(fake):,} samples")
    real, validation, fake = (
        part.reshape(len(part), -1) for part in (view.x, dequantised(validation), at_middles(fake))
    )
    parzen = parzen_log_likelihood(real=real, fake=fake, validation=validation, bandwidths=bandwidths)
    results = exact, annealed.with_protocol(**view.protocol), parzen.with_protocol(**shared)
    return [result.renamed(PREFIX + result.name) for result in results]


def at_middles(images) -> np.ndarray:
    """Samples on the scale of dequantised images: uint8 levels as (255 x + ½) / 256, floats and vectors as they are."""
    images = np.asarray(images)
    return (images.astype(np.float32) + 0.5) / 256 if images.dtype == np.uint8 else images
