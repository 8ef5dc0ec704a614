"""The terms of the evidence lower bound, and the weights they are minimised with."""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from tfade.errors import UsageError, check_finite, check_whole
from tfade.models.players import Weighted
from tfade.objectives.bounds import free_bits, importance_weighted_bound, warmed_up


class ELBOTerms(NamedTuple):
    """The terms of the bound, in nats.

    Attributes:
        log_likelihood: log p(f(y) | z) of every sampled code, [batch, k].
        log_weight: log p(f(y), z) - log q(z | y) + log |det ∂f/∂y|, [batch, k].
        log_det: log |det ∂f/∂y|, [batch]; 0 without a flow.
        kl: KL(q(z | y) ‖ p(z)), [batch, groups]: of every dimension in closed form where prior and posterior are
            diagonal normals, otherwise of all of them together, by one sample; then of every level of a hierarchy.
        entropy: -log q(z | y) of the sampled code, [batch], where the KL divergence is by that sample; else None.
    """

    log_likelihood: tf.Tensor
    log_weight: tf.Tensor
    log_det: tf.Tensor
    kl: tf.Tensor
    entropy: tf.Tensor | None = None


@dataclasses.dataclass(frozen=True)
class BoundWeights:
    """How the negative bound is weighted; see `VAE` for the fields."""

    kl_weight: float
    warm_up: int
    free_bits: float
    importance_samples: int

    def __post_init__(self):
        check_whole("importance_samples", self.importance_samples)
        for name in ("kl_weight", "warm_up", "free_bits"):
            check_finite(name, getattr(self, name))
        if self.importance_samples > 1 and (self.kl_weight != 1 or self.warm_up or self.free_bits):
            raise UsageError(
                f"importance_samples={self.importance_samples} has no separate KL term to be weighted; leave "
                f"kl_weight={self.kl_weight!r}, warm_up={self.warm_up!r} and free_bits={self.free_bits!r} at 1, 0 and 0"
            )

    def losses(self, terms: ELBOTerms, scale: float, step, has_flow: bool) -> dict[str, Weighted]:
        """The negative bound as terms in nats, each with its weight times `scale`.

        Where the KL divergence is by sampling, its parts are reported beside it: "entropy", -E log q(z | y), and
        "prior", -E log p(z).

        Args:
            terms: of a batch.
            scale: factor on all weights, such as one over the dimensions of an example.
            step: the training step, for the warm-up.
            has_flow: whether the log-determinant is a term.
        """
        if self.importance_samples > 1:
            return {"bound": Weighted(scale, -importance_weighted_bound(terms.log_weight))}
        kl = tf.reduce_sum(terms.kl, -1)
        weight = warmed_up(self.kl_weight * scale, step, self.warm_up)
        losses = {"reconstruction": Weighted(scale, -terms.log_likelihood[:, 0]), "kl": Weighted(weight, kl)}
        if self.free_bits:
            losses["kl"] = Weighted(0.0, kl)
            losses["kl_with_free_bits"] = Weighted(weight, free_bits(terms.kl, self.free_bits))
        if terms.entropy is not None:  # the two parts of the KL divergence, to be watched
            losses["entropy"] = Weighted(0.0, terms.entropy)
            losses["prior"] = Weighted(0.0, kl + terms.entropy)
        if has_flow:
            losses["log_det"] = Weighted(scale, -terms.log_det)
        return losses
