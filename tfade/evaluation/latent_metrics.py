"""The suite's metrics of codes: is what the decoder learnt from what it gets when it samples?

The posteriors are those of the whole training split, whose mixture the decoder learnt; `Subject.posteriors` holds them.
"""

import time
import weakref
from collections.abc import Callable, Sequence

import gin
import numpy as np

from tfade.distributions.mixture import GaussianMixture
from tfade.errors import UsageError
from tfade.evaluation import latent_figures
from tfade.evaluation.active_units import THRESHOLD, active_units
from tfade.evaluation.checks import to_uint8
from tfade.evaluation.density_ratio import density_ratio, density_ratio_kl
from tfade.evaluation.elbo_surgery import density_model_kl, elbo_surgery, log_prior, marginal_kl, mixture_draws
from tfade.evaluation.metrics import Metric
from tfade.evaluation.result import Result
from tfade.evaluation.subject import NotApplicable, Subject, batch_seed
from tfade.seeds import as_seed

_DRAWS = weakref.WeakKeyDictionary()  # posteriors → {num_samples: draws}: two metrics ask for the same ones
METHODS = ("monte_carlo", "density_ratio", "density_model")


def prior_of(subject: Subject):
    """p(z) of the subject's model.

    Raises:
        NotApplicable: it has none.
    """
    prior = getattr(subject.model, "prior", None)
    if prior is None:
        raise NotApplicable(f"{type(subject.model).__name__} has no prior over codes")
    return prior()


def prior_codes(subject: Subject, count: int, purpose: int) -> np.ndarray:
    """Codes of the prior [count, D], float64; other purposes have other ones."""
    seed = as_seed(batch_seed(subject.seed, 2**20 + purpose))
    return np.asarray(prior_of(subject).sample(count, seed=seed), np.float64)


def code_protocol(subject: Subject) -> dict:
    """What every result here states: the training split, and no temperature, for nothing of it is tempered."""
    protocol = {**subject.protocol(), "split": subject.train.spec.split}
    del protocol["temperature"], protocol["batch_size"]
    return protocol


def draws_of(subject: Subject, num_samples: int):
    """Codes of the aggregate posterior with their densities.

    Raises:
        NotApplicable: the posteriors have no density.
    """
    posteriors, prior = subject.posteriors, prior_of(subject)
    known = _DRAWS.setdefault(posteriors, {})
    if num_samples in known:
        return known[num_samples]
    if not posteriors.has_density:
        raise NotApplicable(
            f"codes of {type(subject.model).__name__} are {posteriors.kind}, so that their mixture has no density; "
            "the density_ratio and density_model methods of marginal_kl estimate it from codes"
        )
    known[num_samples] = mixture_draws(
        posteriors=posteriors,
        prior=prior,
        num_samples=num_samples,
        seed=subject.seed,
        progress=ticker(subject, posteriors.count),
    )
    return known[num_samples]


def ticker(subject: Subject, total: int, every: float = 5.0) -> Callable[[int], None]:
    """Tells a few times a minute how many of the examples a mixture has summed over."""
    last = time.perf_counter()

    def tell(done: int) -> None:
        nonlocal last
        if time.perf_counter() - last > every:
            last = time.perf_counter()
            subject.progress(f"  aggregate posterior: {done:,} of {total:,}")

    return tell


def centres(subject: Subject) -> tuple[np.ndarray, str]:
    """The centre of every training image's posterior, float64 [N, D], and what it is: its mean where that is known."""
    posteriors, train = subject.posteriors, subject.train
    if posteriors.means is not None:
        return posteriors.means, "of the posterior"
    return np.concatenate([np.asarray(subject.model.codes(x)) for x in train.sequential(subject.batch_size)]), "`codes`"


def bounds(subject: Subject, indices: np.ndarray) -> np.ndarray:
    """The bound of these training images, nats [n]."""
    blocks = (indices[start : start + subject.batch_size] for start in range(0, len(indices), subject.batch_size))
    return np.concatenate(
        [np.asarray(subject.model.log_prob(subject.train.fetch(rows)), np.float64) for rows in blocks]
    )


def fit_mixture(codes: np.ndarray):
    """A mixture of ten diagonal Gaussians, fitted by expectation-maximisation; what `MarginalKL.fit` is by default."""
    mixture = gin.get_configurable(GaussianMixture)(covariance="diagonal")
    mixture.build(codes.shape[1:])
    mixture.fit_em(codes)
    return mixture.distribution()


@gin.register
class MarginalKL(Metric):
    """KL of the aggregate posterior from the prior, by one method or several; 0 is a model whose codes match its prior.

    Deterministic codes have no density, so that Monte Carlo does not apply to them; the other methods do.

    Args:
        methods: "monte_carlo" (exact but for its standard error), "density_ratio" (a classifier, see
            `RatioClassifier`), "density_model" (a fitted density, a lower bound).
        num_samples: codes that Monte Carlo draws.
        num_codes: codes of either kind that the other methods take, of which a quarter is held out.
        fit: codes [n, D] → what has `log_prob`, such as @fit_density in gin; None for `fit_mixture`.

    Raises:
        UsageError: an unknown method.

    Reference: Rosca et al. 2018, section 4.
    """

    name = "marginal_kl"
    default = False

    def __init__(
        self,
        methods: Sequence[str] = ("monte_carlo", "density_ratio"),
        num_samples: int = 5000,
        num_codes: int = 20_000,
        fit: Callable | None = None,
    ):
        if not methods or set(methods) - set(METHODS):
            raise UsageError(f"MarginalKL.methods={methods!r}; give some of {', '.join(METHODS)}")
        self.methods, self.num_samples, self.num_codes, self.fit = tuple(methods), num_samples, num_codes, fit

    def __call__(self, subject):
        results, missing = [], {}
        for method in self.methods:
            try:
                results.append(getattr(self, f"_{method}")(subject))
            except NotApplicable as error:
                missing[method] = f"not applicable: {error}"
        if not results:
            raise NotApplicable("; ".join(text.removeprefix("not applicable: ") for text in missing.values()))
        return [result.with_protocol(**code_protocol(subject), **missing) for result in results]

    def _monte_carlo(self, subject) -> Result:
        return marginal_kl(draws=draws_of(subject, self.num_samples))

    def _density_ratio(self, subject) -> Result:
        codes = subject.posteriors.draw(self.num_codes, subject.seed).codes
        return density_ratio_kl(
            codes=codes,
            prior_codes=prior_codes(subject, self.num_codes, 0),
            seed=subject.seed,
            progress=subject.progress,
        )

    def _density_model(self, subject) -> Result:
        codes = subject.posteriors.draw(self.num_codes, subject.seed).codes
        held_out = len(codes) // 4
        fitted = (self.fit or fit_mixture)(codes[held_out:])
        result = density_model_kl(codes=codes[:held_out], density=fitted, prior=prior_of(subject))
        name = getattr(fitted, "density", fitted)
        return result.with_protocol(num_codes=len(codes), density=type(name).__name__)


@gin.register
class ElboSurgery(Metric):
    """The bound's terms on training images: reconstruction, mutual information, and the aggregate posterior's KL.

    Args:
        num_samples: codes that are drawn, and images whose bound is taken.

    Reference: Hoffman and Johnson 2016.
    """

    name = "elbo_surgery"
    default = False

    def __init__(self, num_samples: int = 5000):
        self.num_samples = num_samples

    def __call__(self, subject):
        draws = draws_of(subject, self.num_samples)
        bound, protocol = None, code_protocol(subject)
        if getattr(subject.model, "likelihood", None) == "lower_bound":
            images, places = np.unique(draws.indices, return_inverse=True)
            bound = bounds(subject, images)[places]
        else:
            protocol["elbo"] = f"not applicable: {type(subject.model).__name__} has no bound"
        return [result.with_protocol(**protocol) for result in elbo_surgery(draws=draws, bound=bound)]


@gin.register
class ActiveUnits(Metric):
    """The number of dimensions of the code that move with the data, of the posteriors' centres.

    Args:
        threshold: variance over the data above which a dimension is active.

    Reference: Burda et al. 2016, section 5.2.
    """

    name = "active_units"
    default = False

    def __init__(self, threshold: float = THRESHOLD):
        self.threshold = threshold

    def __call__(self, subject):
        means, kind = centres(subject)
        return [active_units(means=means, threshold=self.threshold).with_protocol(**code_protocol(subject), means=kind)]


@gin.register
class LowPosteriorSamples(Metric):
    """Samples whose codes the aggregate posterior hardly reaches: how many there are, and what they look like.

    q(z) is that of the training split. What it usually is shows on codes of the test split: those of training images
    lie on top of the posteriors that it is made of. Where posteriors have no density, log q(z) is log p(z) and a classifier's log-ratio.

    Args:
        num_samples: codes of the prior, and as many of the test split.
        shown: samples in a grid.
        neighbours: training images at most, evenly spaced, among which the nearest is sought.

    Reference: Rosca et al. 2018, section 5.3, figures 2, 3 and 10–14.
    """

    name = "low_posterior_samples"
    default = False

    def __init__(self, num_samples: int = 5000, shown: int = 36, neighbours: int = 20_000):
        if not 1 <= shown <= num_samples:
            raise UsageError(
                f"LowPosteriorSamples.shown={shown!r} of num_samples={num_samples!r}; show 1 or more of them"
            )
        self.num_samples, self.shown, self.neighbours = num_samples, shown, neighbours

    def __call__(self, subject):
        if not subject.train.spec.is_image:
            raise NotApplicable(f"data {subject.train.spec.name!r} are vectors; `marginal_kl` and `latent_map` apply")
        sampled = prior_codes(subject, self.num_samples, 1)
        encoded = subject.real_posteriors.draw(self.num_samples, subject.seed).codes
        density, method = self._log_mixture(subject, sampled, encoded)
        on_prior, on_posterior = density[: self.num_samples], density[self.num_samples :]
        floor = np.quantile(on_posterior, 0.01)
        below = on_prior < floor
        protocol = {
            **code_protocol(subject),
            "num_posteriors": subject.posteriors.count,
            "num_samples": self.num_samples,
            "log_mixture": method,
            "below": f"the 1 % quantile of log q(z) of codes of the {subject.real.spec.split} split",
        }
        share = Result("low_posterior_share", below.mean(), below.std() / np.sqrt(len(below)), protocol)
        return [share, *self._figures(subject, sampled, on_prior, on_posterior)]

    def _log_mixture(self, subject, sampled, encoded) -> tuple[np.ndarray, str]:
        codes, posteriors = np.concatenate([sampled, encoded]), subject.posteriors
        if posteriors.has_density:
            return posteriors.log_mixture(codes, ticker(subject, posteriors.count)), "exact"
        trained = density_ratio(
            codes=posteriors.draw(4 * self.num_samples, subject.seed + 1).codes,
            prior_codes=prior_codes(subject, 4 * self.num_samples, 2),
            seed=subject.seed,
            progress=subject.progress,
        )
        return log_prior(prior_of(subject), codes) + trained.logits(codes), "log p(z) + density ratio"

    def _figures(self, subject, sampled, on_prior, on_posterior):
        order = np.argsort(on_prior, kind="stable")[: self.shown]
        lowest, ordinary = (self._decoded(subject, sampled[rows]) for rows in (order, slice(self.shown)))
        train = subject.train
        chosen = np.linspace(0, train.spec.num_examples - 1, min(train.spec.num_examples, self.neighbours))
        images = train.fetch(chosen.astype(np.int64))
        lowest_images, ordinary_images = (
            to_uint8("decoded codes", part, train.spec.shape) for part in (lowest, ordinary)
        )
        nearest = images[latent_figures.nearest_images(queries=lowest_images, images=images)]
        yield latent_figures.low_posterior_figure(
            lowest_images, nearest, ordinary_images, stacked=train.stacked is not None
        )
        shown = images[np.linspace(0, len(images) - 1, min(len(images), 10 * self.shown)).astype(np.int64)]
        panels = {
            "log q(z), nats": {"samples": on_prior, "held-out data": on_posterior},
            "pixel": {
                "samples of least q(z)": lowest,
                "ordinary samples": ordinary,
                "data": shown.astype(np.float32) / 255,
            },
        }
        if getattr(subject.model, "likelihood", None) is not None:
            panels["log p(x) of the model, nats"] = {
                label: np.asarray(subject.model.log_prob(x), np.float64)
                for label, x in (("samples of least q(z)", lowest), ("ordinary samples", ordinary), ("data", shown))
            }
        caption = (
            f"log q(z) of {len(on_prior)} codes of the prior and as many of held-out data; pixels, and where the model "
            f"has one the likelihood, of the {self.shown} samples of least q(z), of {self.shown} as they come, and of "
            f"{len(shown)} training images."
        )
        yield latent_figures.histograms(panels, "low_posterior_histograms", caption)

    @staticmethod
    def _decoded(subject, codes) -> np.ndarray:
        try:
            return np.asarray(subject.model.decode(codes.astype(np.float32)))
        except NotImplementedError as error:
            raise NotApplicable(str(error)) from error


@gin.register
class LatentMap(Metric):
    """A map of the latent space: codes of data and of the prior in the plane, by t-SNE, with the data's labels.

    Args:
        num_codes: of either kind; 1,000 take about ten seconds on two cores.
        perplexity: of t-SNE.
    """

    name = "latent_map"
    default = False

    def __init__(self, num_codes: int = 1000, perplexity: float = 30.0):
        if num_codes < 2:
            raise UsageError(f"LatentMap.num_codes={num_codes!r} is below 2; a thousand is usual")
        self.num_codes, self.perplexity = num_codes, perplexity

    def __call__(self, subject):
        drawn = subject.posteriors.draw(self.num_codes, subject.seed)
        codes = np.concatenate([drawn.codes, prior_codes(subject, self.num_codes, 3)])
        points = latent_figures.planar(codes=codes, seed=subject.seed, perplexity=self.perplexity)
        labels = subject.train.labels(drawn.indices) if subject.train.spec.num_classes else None
        dimensions = codes.shape[1]
        how = "as they are" if dimensions <= 2 else f"t-SNE of perplexity {self.perplexity:g}"
        caption = f"{self.num_codes} codes of training images and as many of the prior, {dimensions}-D: {how}."
        return [
            latent_figures.map_figure(points[: self.num_codes], points[self.num_codes :], labels, caption),
        ]
