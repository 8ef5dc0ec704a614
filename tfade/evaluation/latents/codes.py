"""Shared by the metrics of codes: the prior, draws from the aggregate posterior, centres and bounds.

The posteriors are those of the whole training split, whose mixture the decoder learnt; `Subject.posteriors` holds them.
"""

import weakref
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfade.contract import Contract
from tfade.countdown import duration
from tfade.distributions.topdown_latents import TopDownLatents
from tfade.evaluation.answers import answers
from tfade.evaluation.latents.aggregate_posterior import MixtureDraws, mixture_draws
from tfade.evaluation.progress import ticker
from tfade.evaluation.result import NotApplicable
from tfade.evaluation.sampling import batch_seed
from tfade.evaluation.subject import Subject
from tfade.seeds import as_seed

MAX_PAIRS = 2_000_000  # of a code and an example that go through a decoder: some ten minutes on two cores
PRIOR_CHUNK = 500  # codes that a decoder with latents of its own draws together; fixed, so that it changes no draw

_DRAWS = weakref.WeakKeyDictionary()  # posteriors → {num_samples: draws}: two metrics ask for the same ones


def prior_of(subject: Subject):
    """p(z) of the subject's model.

    Raises:
        NotApplicable: it has no prior.
    """
    if not subject.model.answers("prior"):
        raise NotApplicable(f"{type(subject.model).__name__} has no prior over latents")
    return subject.model.prior()


def prior_latents(subject: Subject, count: int, purpose: int) -> np.ndarray:
    """Latents drawn from the prior [count, D], float64; different purposes get different ones.

    Of a prior of each class they are those of the sampler's labels, in turn.
    """
    prior, number = prior_of(subject), batch_seed(subject.seed, 2**20 + purpose)
    if not isinstance(prior, TopDownLatents):
        labels = np.resize(subject.sampler.labels, count) if subject.model.has_class_prior else None
        return np.asarray(subject.model.draw_prior(count, seed=as_seed(number), labels=labels), np.float64)
    chunks = [
        prior.sample(min(PRIOR_CHUNK, count - start), seed=as_seed(batch_seed(number, start)))
        for start in range(0, count, PRIOR_CHUNK)
    ]
    return np.concatenate(chunks).astype(np.float64)


def code_protocol(subject: Subject) -> dict:
    """The protocol of every result of codes: the training split, and no temperature, which plays no part."""
    protocol = {**subject.protocol(), "split": subject.train.spec.split}
    del protocol["temperature"], protocol["batch_size"]
    return protocol


def require_few_pairs(subject: Subject, num_codes: int, max_pairs: int, num_samples: int) -> None:
    """Rejects log q(z) of so many codes if each takes a pass through the decoder for every example.

    Raises:
        NotApplicable: there are more than `max_pairs` of them, of a hierarchical VAE.
    """
    posteriors = subject.posteriors
    pairs = num_codes * posteriors.count
    if posteriors.decodes and pairs > max_pairs:
        fitting = max_pairs * num_samples // pairs
        raise NotApplicable(
            f"latents inside the decoder: log q(z) of {num_codes:,} codes decodes each with every one of "
            f"{posteriors.count:,} training examples, {pairs:,} pairs or about {duration(posteriors.seconds(pairs))}; "
            + (f"set num_samples to at most {fitting:,}" if fitting > 1 else "set num_samples to less")
            + f", or max_pairs={max_pairs:,} higher"
        )


def draws_of(subject: Subject, num_samples: int, max_pairs: int = MAX_PAIRS) -> MixtureDraws:
    """Codes of the aggregate posterior with their densities.

    Raises:
        NotApplicable: the posteriors have no density, or one that would take more than `max_pairs` decoded codes.
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
    require_few_pairs(subject, num_samples, max_pairs, num_samples)
    known[num_samples] = mixture_draws(
        posteriors=posteriors,
        prior=prior,
        num_samples=num_samples,
        seed=subject.seed,
        progress=mixture_progress(subject),
    )
    return known[num_samples]


def mixture_progress(subject: Subject) -> Callable[[int], None]:
    """Periodically reports how many of the posteriors a mixture has summed over."""
    return ticker(subject.progress, "aggregate posterior", subject.posteriors.count)


def centres(subject: Subject) -> tuple[np.ndarray, str]:
    """The centre of every training image's posterior, float64 [N, D]: its mean if that is known; and which it is."""
    if subject.posteriors.means is not None:
        return subject.posteriors.means, "of the posterior"
    found = answers(subject, lambda x, condition, seed: subject.model.codes(x, **condition), subject.train, "codes")
    return np.concatenate([codes for *_, codes in found]), "`codes`"


def bounds(subject: Subject, indices: np.ndarray) -> np.ndarray:
    """The bound of these training images, nats [n]."""
    found = answers(
        subject, lambda x, condition, seed: subject.model.log_prob(x, **condition), subject.train, "bounds", indices
    )
    return np.concatenate([nats for *_, nats in found]).astype(np.float64)


def codes_of(model: Contract, x, condition: dict, seed, codes: str) -> tf.Tensor:
    """Codes of examples, float32 [batch, latent_size]: "centres" of the posteriors, or "samples" of them by a seed."""
    if codes == "samples":
        return model.encode(x, **condition).sample(seed=as_seed(seed))
    return model.codes(x, **condition)
