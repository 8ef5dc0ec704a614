"""A density of some vectors, in one call."""

from collections.abc import Callable

import gin
import keras
import numpy as np

from tfade.data.source import ArraySource
from tfade.distributions.layer import DistributionLayer
from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError, check_whole
from tfade.fitting import fit
from tfade.models.density import DensityModel
from tfade.models.optimization import Optimization
from tfade.spec import Batch
from tfade.training.fitting import steps_of
from tfade.training.optimizers import LinearDecay

METHODS = ("gradient", "em")
REPORTS = 10  # lines of progress in a fit
INITIAL_VECTORS = 10_000  # at most so many show a density where the data lie before the first step


@gin.configurable(denylist=["vectors", "progress"])
def fit_density(
    vectors,
    distribution: Callable[[], DistributionLayer] = GaussianMixture,
    *,
    method: str = "gradient",
    steps: int = 2000,
    batch_size: int = 256,
    learning_rate: float = 2e-3,
    clip_norm: float | None = 10.0,
    seed: int = 0,
    jit_compile: bool = False,
    progress: Callable[[str], None] = print,
) -> DensityModel:
    """Fits a density to vectors by maximum likelihood.

        model = fit_density(codes, functools.partial(GaussianMixture, components=20), method="em")
        model.log_prob(codes), model.sample(100, temperature=0.7)

    The vectors are taken as they are: nothing is standardised, and likelihoods are of the vectors as given.

    Args:
        vectors: [N, D], finite numbers.
        distribution: class of the density, made without arguments.
        method: "gradient", or "em": expectation-maximisation by scikit-learn, for a `GaussianMixture`.
        steps: training steps; the learning rate falls linearly to a hundredth. Of no meaning to "em", as are the other
            settings of training.
        batch_size: vectors in a step.
        learning_rate: of Adam, at the start.
        clip_norm: largest norm of the gradient; None for no clipping.
        seed: of initial weights and the order of the vectors; sets the seeds of Keras, NumPy and Python.
        jit_compile: compile the step with XLA: seconds at the start, for faster steps of large networks.
        progress: receives lines of text.

    Returns:
        The model, trained.

    Raises:
        UsageError: vectors that are not a finite matrix, an unknown method, or one that does not suit the density.
        NonFiniteError: the likelihood or its gradient was not finite.
    """
    vectors = checked_vectors(vectors)
    if method not in METHODS:
        raise UsageError(f"method={method!r} is unknown; use one of {', '.join(METHODS)}")
    check_whole("steps", steps)
    keras.utils.set_random_seed(seed)
    model = DensityModel(vectors.shape[1:], distribution)
    if method == "em":
        if not isinstance(model.density, GaussianMixture):
            raise UsageError(f"method='em' fits a GaussianMixture, not a {type(model.density).__name__}")
        model.density.fit_em(vectors, seed)
        return model
    schedule = LinearDecay(learning_rate, steps, learning_rate / 100)
    model.compile(
        lambda player: keras.optimizers.Adam(schedule, 0.9, 0.999),
        Optimization(clip_norm=clip_norm, jit_compile=jit_compile),
        seed=seed,
    )
    source = ArraySource("vectors", "train", vectors)
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(vectors))
    model.initialise(Batch(vectors[order[:INITIAL_VECTORS]]))
    fit(
        steps_of(model, source, batch_size, seed),
        steps,
        name="density",
        progress=progress,
        reports=REPORTS,
        learning_rate=learning_rate,
    )
    return model


def checked_vectors(vectors) -> np.ndarray:
    """The vectors in float32, or an error that says which of them is not a finite number."""
    array = np.asarray(vectors)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise UsageError(f"vectors is {array.dtype} of shape {array.shape}; give numbers [N, D]")
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    if not np.all(np.isfinite(single)):
        row, column = map(int, np.argwhere(~np.isfinite(single))[0])
        count = int(np.sum(~np.isfinite(single)))
        raise UsageError(
            f"vectors[{row}, {column}] is {array[row, column]}, which is not finite in float32, and so are "
            f"{count} in all; remove or fix them"
        )
    return single
