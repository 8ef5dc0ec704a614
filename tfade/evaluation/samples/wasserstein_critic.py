"""The independent Wasserstein critic: trained after the generator, on data that the generator never met."""

import math
from collections.abc import Callable

import gin
import keras
import numpy as np

from tfade.errors import NonFiniteError, UsageError, check_finite, check_positive, check_sizes
from tfade.evaluation.checks import checked_features
from tfade.evaluation.features.images import as_levels
from tfade.evaluation.metric import Metric, Work
from tfade.evaluation.result import Result
from tfade.evaluation.result_cache import cached_result
from tfade.evaluation.samples.critic_training import default_critic, mean_gradient_norm, train_critic, values_of
from tfade.objectives.penalties import GradientPenalty

NAME = "independent_wasserstein_critic"
DESIGN = 1  # of the default critics and their training; raised when either changes


def independent_wasserstein_critic(
    *,
    real,
    fake,
    test=None,
    train=None,
    network: Callable[[tuple[int, ...]], keras.Model] | None = None,
    steps: int = 1000,
    batch_size: int = 64,
    penalty: float = 10.0,
    one_sided: bool = True,
    learning_rate: float = 1e-3,
    normalize: bool = True,
    value_range: tuple[float, float] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Result]:
    """The Wasserstein-1 distance by a critic that learns from held-out data, and signs of overfitting.

        W₁ ≈ (E f(test) − E f(fake')) / max(1, s),   f = argmax E f(real) − E f(fake) − λ E (‖∇f‖ − 1)²

    The critic f learns from `real` and half of the samples; the numbers are of `test` and the other half. The penalty
    is a soft bound: where the distance is W, the best f has gradients of norm 1 + W/(2λ), and the plain difference of
    means is too large by that factor. It is therefore divided by s, the mean norm of the gradient on lines between
    held-out data and samples, where that is above 1. A critic that has not converged gives too small a
    distance.

    Args:
        real: data for the critic, which the generator was not trained on: images [N, H, W, C] or vectors [N, D].
        fake: samples of the same shape. One half is held out.
        test: further such data that the critic does not learn from; None for a half of `real`.
        train: the generator's training data, if its overfitting is to be measured.
        network: event shape → Keras network with values [batch, 1] and without batch normalisation. None for a
            `SNGANDiscriminator` of width 32 without spectral normalisation for images, an `MLPDiscriminator` for
            vectors.
        steps: of training.
        batch_size: data, and samples, a step.
        penalty: λ.
        one_sided: only gradients of a norm above 1 cost, as a Lipschitz bound has it. False for the paper's penalty of
            smaller ones, too: it can hold the critic at a linear function that distinguishes nothing.
        learning_rate: of Adam (β = 0.5, 0.9) at the start; it falls linearly to 0.
        normalize: division by s; False gives the plain difference.
        value_range: of floating-point images; see `as_levels`. Distances between images are Euclidean in [-1, 1]^D.
        seed: of halves, batches, lines and initial weights: it seeds Keras.
        progress: receives lines of text.

    Returns:
        `Result`s with standard errors over the held-out examples, for this one critic:
        "independent_wasserstein_critic": the distance; about 0 for equal distributions, and negative by chance.
        "independent_wasserstein_critic_gap": (E f(real) − E f(test)) / s, the critic's own overfitting to the data it
            learnt from. A gap as large as the distance says that there is too little data or too long a training.
        "independent_wasserstein_critic_overfitting", with `train`: (E f(test) − E f(train)) / s, the generator's.
            Above 0 the samples are closer to its training data than to new data.

    Raises:
        UsageError: sets of different shapes, not finite, of fewer than 4 examples, settings out of range, or a network
            with batch normalisation.
        NonFiniteError: the critic diverged.

    Reference: Danihelka et al. 2017, "Comparison of Maximum Likelihood and GAN-based training of Real NVPs"; Rosca et
        al. 2018, section 5; Gulrajani et al. 2017, eq. 3; Petzka, Fischer and Lukovnikov 2018, "On the Regularization
        of Wasserstein GANs" (the one-sided penalty).
    """
    _check_settings(NAME, steps, batch_size, penalty, learning_rate)
    sets = {"real": real, "fake": fake, "test": test, "train": train}
    sets = {name: _examples(name, each, value_range) for name, each in sets.items() if each is not None}
    shape = _common_shape(sets)
    generator = np.random.Generator(np.random.Philox(key=seed))
    fake, held_out = _halves(sets["fake"], generator)
    real, test = (sets["real"], sets["test"]) if test is not None else _halves(sets["real"], generator)
    keras.utils.set_random_seed(seed)
    critic = default_critic(shape) if network is None else network(shape)
    settings = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate}
    penalty_term = GradientPenalty(penalty, one_sided=one_sided)
    train_critic(critic, real, fake, penalty_term, generator=generator, progress=progress, **settings)
    gradient_norm = mean_gradient_norm(critic, test, held_out, generator)
    scale = max(1.0, gradient_norm) if normalize else 1.0
    protocol = {
        "num_real": len(test),
        "num_fake": len(held_out),
        "num_critic": len(real),
        "num_critic_fake": len(fake),
        "network": type(critic).__name__,
        "network_parameters": critic.count_params(),
        "steps": steps,
        "critic_batch_size": batch_size,
        "penalty": penalty,
        "one_sided": one_sided,
        "learning_rate": learning_rate,
        "normalize": normalize,
        "space": "pixels in [-1, 1]" if len(shape) == 3 else "as given",
        "critic_seed": seed,
        "dtype": "float32",
    }
    values = {"real": real, "test": test, "fake": held_out} | ({"train": sets["train"]} if train is not None else {})
    values = {name: values_of(critic, each) / scale for name, each in values.items()}
    if not all(np.isfinite(each).all() for each in values.values()):
        raise NonFiniteError(f"{NAME}: the critic's values are not finite; lower learning_rate={learning_rate}")
    return _differences(values, protocol, {"mean_gradient_norm": gradient_norm})


def _differences(values: dict[str, np.ndarray], protocol: dict, diagnostics: dict) -> list[Result]:
    """The distance, the critic's gap, and the generator's overfitting where there are its training data."""
    pairs = {"": ("test", "fake"), "_gap": ("real", "test"), "_overfitting": ("test", "train")}
    return [
        Result(NAME + suffix, *_difference(values[more], values[less]), protocol, diagnostics)
        for suffix, (more, less) in pairs.items()
        if less in values
    ]


@gin.register
class IndependentWassersteinCritic(Metric):
    """W₁ between samples and test images by an independent critic; its counterpart is that of training images.

    The critic is trained on validation images and evaluated on test images; without a validation split it is trained on
    one half of the test images and evaluated on the other. One half of the samples takes part in each.

    Args:
        network, steps, batch_size, penalty, one_sided, learning_rate: as in `independent_wasserstein_critic`.
        reference: also trains a critic of training images against test images, for the real-data counterpart. With the
            default network it is trained once for a data set and settings, and kept in the cache.
    """

    name = NAME
    default = False  # it trains one or two networks

    def __init__(
        self,
        network: Callable[[tuple[int, ...]], keras.Model] | None = None,
        steps: int = 1000,
        batch_size: int = 64,
        penalty: float = 10.0,
        one_sided: bool = True,
        learning_rate: float = 1e-3,
        reference: bool = True,
    ):
        _check_settings(type(self).__name__, steps, batch_size, penalty, learning_rate)
        self.settings = {
            "network": network,
            "steps": steps,
            "batch_size": batch_size,
            "penalty": penalty,
            "one_sided": one_sided,
            "learning_rate": learning_rate,
        }
        self.reference = reference

    def work(self, subject):
        images = self.settings["steps"] * self.settings["batch_size"]
        return Work(images * (2 if self.reference else 1), "images that a critic learns from")

    def __call__(self, subject):
        if subject.validation is None:
            sets = {"real": subject.real_images}
            trained_on = f"half of the {subject.real.spec.split} split"
        else:
            sets = {"real": subject.validation_images, "test": subject.real_images}
            trained_on = f"{subject.validation.spec.split} split"
        shared = {**self.settings, **sets, "seed": subject.seed, "progress": subject.progress}
        results = independent_wasserstein_critic(fake=subject.samples, train=subject.train_images, **shared)
        results = [result.with_protocol(fake="samples") for result in results]
        if self.reference:
            counterpart = self._counterpart(subject, shared)
            results[0] = results[0].with_real(counterpart.with_protocol(fake=f"{subject.train.spec.split} split"))
        return [result.with_protocol(**subject.protocol(), critic_learnt_from=trained_on) for result in results]

    def _counterpart(self, subject, arguments: dict) -> Result:
        """The distance of training images: the same for every model of the data, so it is kept in the cache."""

        def compute():
            return independent_wasserstein_critic(fake=subject.train_images, **arguments)[0]

        settings = {**self.settings, "seed": subject.seed, "has_test_set": "test" in arguments}
        if settings.pop("network") is not None:  # what a class is bound to is not known here
            return compute()
        data = [arguments["real"], arguments.get("test", arguments["real"]), subject.train_images]
        return cached_result(subject.cache_dir, NAME, {**settings, "design": DESIGN}, data, compute)


def _check_settings(owner: str, steps: int, batch_size: int, penalty: float, learning_rate: float) -> None:
    check_sizes(owner, steps=steps, batch_size=batch_size)
    check_finite(f"{owner}.penalty", penalty)
    check_positive(f"{owner}.learning_rate", learning_rate)


def _examples(name: str, examples, value_range) -> np.ndarray:
    """uint8 images [N, H, W, C], or float32 vectors [N, D]."""
    examples = np.asarray(examples)
    if examples.ndim not in (2, 4):
        raise UsageError(f"{name} has shape {list(examples.shape)}; give images [N, H, W, C] or vectors [N, D]")
    if examples.ndim == 2:
        examples = checked_features(name, examples).astype(np.float32)
    else:
        examples = as_levels(examples, value_range=value_range, name=name)
    if len(examples) < 4:
        raise UsageError(f"{name} has {len(examples)} example(s); a critic needs at least 4, and thousands are usual")
    return examples


def _common_shape(sets: dict[str, np.ndarray]) -> tuple[int, ...]:
    shape = sets["real"].shape[1:]
    for name, examples in sets.items():
        if examples.shape[1:] != shape:
            raise UsageError(f"{name} has examples of shape {list(examples.shape[1:])} and real of {list(shape)}")
    return shape


def _halves(examples: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    order, middle = generator.permutation(len(examples)), len(examples) // 2
    return examples[order[:middle]], examples[order[middle:]]


def _difference(more: np.ndarray, less: np.ndarray) -> tuple[float, float]:
    """The difference of the means, and its standard error."""
    error = math.sqrt(more.var(ddof=1) / len(more) + less.var(ddof=1) / len(less))
    return more.mean() - less.mean(), error
