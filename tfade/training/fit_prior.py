"""A stage without steps: the prior of an autoencoder fitted to its codes by expectation-maximisation."""

import gin
import numpy as np

from tfade.data.pipeline import sequential_batches
from tfade.data.source import Source
from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError
from tfade.models.base import GenerativeModel

BATCH_SIZE = 500  # examples encoded at a time


@gin.configurable(denylist=["model", "train"])
def fit_prior_by_em(
    model: GenerativeModel, train: Source, *, seed: int = 0, restarts: int = 5, iterations: int = 200
) -> None:
    """Fits a model's prior, a `GaussianMixture`, to the codes of the training split: an ex-post density.

    In gin: `density/Stage.fit = @fit_prior_by_em`, with `prior = @GaussianMixture` bound to the model.

    Args:
        model: answers `codes`; its network "prior" is a `GaussianMixture`.
        train: the training split.
        seed, restarts, iterations: see `GaussianMixture.fit_em`.

    Raises:
        UsageError: a model without codes, another prior, fewer codes than components, or codes that are not finite.

    Reference: Ghosh et al. 2020, section 4.
    """
    if not model.answers("codes"):
        raise UsageError(f"fit_prior_by_em was given a {type(model).__name__}, which has no codes; give it an encoder")
    prior = model.networks.get("prior")
    if not isinstance(prior, GaussianMixture):
        raise UsageError(
            f"fit_prior_by_em fits a GaussianMixture, and the prior of {type(model).__name__} is a "
            f"{type(prior).__name__}; bind prior = @GaussianMixture"
        )
    fields = ("images", "labels") if model.conditional else ("images",)
    codes = [
        np.asarray(model.codes(batch.images, **model.conditions(batch.labels)))
        for batch in sequential_batches(train, BATCH_SIZE, fields)
    ]
    prior.fit_em(np.concatenate(codes), seed, restarts, iterations)
