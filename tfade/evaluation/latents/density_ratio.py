"""The density ratio of two distributions from a classifier of their samples, and their KL divergence from that."""

import dataclasses
from collections.abc import Callable

import gin
import numpy as np
import tensorflow as tf

from tfade.errors import UsageError
from tfade.evaluation.checks import checked_features
from tfade.evaluation.latents.ratio_classifier import RatioClassifier, Trainer
from tfade.evaluation.result import Result, standard_error
from tfade.fitting import fit

HELD_OUT = 0.25  # share of the samples that the classifier is not trained on, for the estimate


def density_ratio(
    *,
    codes,
    prior_latents,
    classifier: RatioClassifier | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Trainer:
    """A classifier trained to tell codes from the prior's, whose logit estimates log q(z)/p(z).

    Args:
        codes, prior_latents: samples of q and of p, [N, D] and [M, D].
        classifier: its settings; those that gin binds, or the defaults, if None.
        seed: of the weights and of the order of the samples.
        progress: receives lines of text.

    Raises:
        UsageError: samples that are not finite matrices of equal width.
        NonFiniteError: the classifier diverged.
    """
    codes, prior_latents = _checked(codes, prior_latents)
    settings = classifier or gin.get_configurable(RatioClassifier)()
    q, p = (tf.constant(part, tf.float32) for part in (codes, prior_latents))

    def draw(step):
        rows = [
            tf.random.stateless_uniform(
                [settings.batch_size], tf.stack([step, seed % 2**30 + 2**30 * side]), maxval=len(part), dtype=tf.int32
            )
            for side, part in enumerate((q, p))
        ]
        return tf.gather(q, rows[0]), tf.gather(p, rows[1])

    trainer = Trainer(settings, draw, codes.shape[1], seed)
    rate = settings.learning_rate
    fit(trainer.advance, settings.steps, name="density ratio", progress=progress, learning_rate=rate)
    for part in (codes, prior_latents):
        trainer.finite_logits(part)
    return trainer


def density_ratio_kl(
    *,
    codes,
    prior_latents,
    classifier: RatioClassifier | None = None,
    held_out: float = HELD_OUT,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Result:
    """KL(q ‖ p) = E_q[log q(z)/p(z)], with a classifier's logit in the place of the log-ratio.

    The classifier is trained on one part of the samples, the mean is over the codes of the other. The estimate is
    neither a bound nor unbiased: compare it only with estimates of the same settings, and do not rely on it in many
    dimensions (`python -m launch.density_ratio` measures its error).

    Args:
        codes, prior_latents, classifier, seed, progress: as for `density_ratio`.
        held_out: share of the samples, in (0, 1), that the classifier does not learn from.

    Returns:
        `Result` "marginal_kl_density_ratio" in nats; the standard error is that of the held-out mean and does
        not include the classifier's error.

    Raises:
        UsageError: as `density_ratio`; or a share that leaves fewer than 2 samples on either side.
        NonFiniteError: the classifier diverged.

    Reference: Rosca et al. 2018, section 4.
    """
    codes, prior_latents = _checked(codes, prior_latents)
    settings = classifier or gin.get_configurable(RatioClassifier)()
    counts = [round(held_out * len(part)) if 0 < held_out < 1 else 0 for part in (codes, prior_latents)]
    if min(counts) < 2 or min(len(codes) - counts[0], len(prior_latents) - counts[1]) < 2:
        raise UsageError(
            f"held_out={held_out!r} of {len(codes)} codes and {len(prior_latents)} prior_latents leaves fewer than 2 "
            f"on a side; {HELD_OUT} of thousands is usual"
        )
    generator = np.random.Generator(np.random.Philox(key=seed))
    codes, prior_latents = (part[generator.permutation(len(part))] for part in (codes, prior_latents))
    trainer = density_ratio(
        codes=codes[counts[0] :],
        prior_latents=prior_latents[counts[1] :],
        classifier=settings,
        seed=seed,
        progress=progress,
    )
    logits = trainer.finite_logits(codes[: counts[0]])
    protocol = {
        "num_codes": len(codes),
        "num_prior_latents": len(prior_latents),
        "num_held_out": counts[0],
        "seed": seed,
        "unit": "nats",
        "method": "density ratio",
        "classifier": dataclasses.asdict(settings),
    }
    diagnostics = {"latent_size": codes.shape[1]}
    return Result("marginal_kl_density_ratio", logits.mean(), standard_error(logits), protocol, diagnostics)


def _checked(codes, prior_latents) -> tuple[np.ndarray, np.ndarray]:
    codes, prior_latents = checked_features("codes", codes), checked_features("prior_latents", prior_latents)
    if codes.shape[1] != prior_latents.shape[1]:
        raise UsageError(
            f"prior_latents have {prior_latents.shape[1]} dimensions and codes {codes.shape[1]}; they must be the same"
        )
    return codes, prior_latents
