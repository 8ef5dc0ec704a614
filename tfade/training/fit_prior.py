"""A stage without steps: the prior of an autoencoder fitted to its codes by expectation-maximisation."""

from collections.abc import Callable

import gin
import numpy as np

from tfade.contract import CODES
from tfade.data.pipeline import sequential_batches
from tfade.data.source import Source
from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError, check_choice
from tfade.models.base import GenerativeModel

BATCH_SIZE = 500  # examples encoded at a time


@gin.configurable(denylist=["model", "train", "progress"])
def fit_prior_by_em(
    model: GenerativeModel,
    train: Source,
    *,
    seed: int = 0,
    restarts: int = 5,
    iterations: int = 200,
    codes: str = "centres",
    progress: Callable[[str], None] = print,
) -> None:
    """Fits a model's prior, a `GaussianMixture`, to the codes of the training split: an ex-post density.

    In gin: `density/Stage.fit = @fit_prior_by_em`, with `prior = @GaussianMixture` bound to the model.

    Args:
        model: answers `codes`; its network "prior" is a `GaussianMixture`.
        train: the training split.
        seed, restarts, iterations: see `GaussianMixture.fit_em`.
        codes: "centres" of the posteriors, or "samples", one draw of each.
        progress: receives lines of text.

    Raises:
        UsageError: a model without codes, another prior, fewer codes than components, or codes that are not finite.

    Reference: Ghosh et al. 2020, section 4.
    """
    check_choice("codes", codes, CODES)
    if not model.answers("codes"):
        raise UsageError(f"fit_prior_by_em was given a {type(model).__name__}, which has no codes; give it an encoder")
    prior = model.networks.get("prior")
    if not isinstance(prior, GaussianMixture):
        raise UsageError(
            f"fit_prior_by_em fits a GaussianMixture, and the prior of {type(model).__name__} is a "
            f"{type(prior).__name__}; bind prior = @GaussianMixture"
        )
    prior.fit_em(codes_of_source(model, train, codes, seed), seed, restarts, iterations, progress)


def codes_of_source(model: GenerativeModel, source: Source, codes: str = "centres", seed: int = 0) -> np.ndarray:
    """The codes of every example of a source, in its order, float32 [N, latent_size].

    Args:
        model: answers `codes`.
        source: the examples.
        codes: "centres" of the posteriors, or "samples", one draw of each.
        seed: of the draws.
    """
    found, noise = [], np.random.Generator(np.random.Philox(key=seed))
    for batch in sequential_batches(source, BATCH_SIZE, ("images", "labels") if model.conditional else ("images",)):
        condition = model.conditions(batch.labels)
        if codes == "samples":
            drawn = noise.standard_normal((len(batch.images), model.code_noise_size), np.float32)
            found.append(np.asarray(model.sampled_codes(batch.images, drawn, **condition)))
        else:
            found.append(np.asarray(model.codes(batch.images, **condition)))
    return np.concatenate(found)
