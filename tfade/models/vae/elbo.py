"""The evidence lower bound: its terms, its values, and the weights it is minimised with."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfade import slices
from tfade.errors import UsageError, check_finite, check_whole
from tfade.models.players import Weighted
from tfade.models.vae.latents import FlatLatents
from tfade.models.vae.observation_model import Network, ObservationModel
from tfade.objectives.bounds import free_bits, importance_weighted_bound, warmed_up
from tfade.seeds import per_example_noise, per_example_normal_noise


class ELBOTerms(NamedTuple):
    """The terms of the bound, in nats.

    Attributes:
        log_likelihood: log p(f(y) | z) of every sampled code, [batch, k].
        log_weight: log p(f(y), z) - log q(z | y) + log |det ∂f/∂y|, [batch, k].
        log_det: log |det ∂f/∂y|, [batch]; 0 without a flow.
        kl: KL(q(z | y) ‖ p(z)), [batch, groups]: of every dimension in closed form where prior and posterior are
            diagonal normals, otherwise of all of them together, by one sample; then of every level of a hierarchy.
        entropy: -log q(z | y) of the sampled code, [batch], where the KL divergence is by that sample; else None.
        codes: the sampled codes of all latents, [batch, k, size]; None where they were not kept.
    """

    log_likelihood: tf.Tensor
    log_weight: tf.Tensor
    log_det: tf.Tensor
    kl: tf.Tensor
    entropy: tf.Tensor | None = None
    codes: tf.Tensor | None = None


class EvidenceLowerBound:
    """The bound of latents and of an observation model given them; `VAE` has the equation.

    It owns no variables: `network` arguments look networks up in the model, `served` arguments do so for the labels of
    the examples (None in an unconditional model). Values outside of training draw noise that is a function of the
    example, and take few examples or codes at a time where the decoder's outputs are large: 256 levels of large images
    are gigabytes for a whole batch. A batch of unknown size (an export's) is taken whole.

    Args:
        observation_model: p(f(y) | z), and f.
        latents: p(z) and q(z | y).
    """

    def __init__(self, observation_model: ObservationModel, latents: FlatLatents):
        self._observation_model, self._latents = observation_model, latents

    def context(self, target, network: Network, training: bool = False):
        """What the posterior of y [batch, ...] is conditioned on."""
        return self._latents.context(self._observation_model.encoder_input(target), network, training)

    def terms(self, target, noise, network: Network, training: bool = False) -> ELBOTerms:
        """The bound's terms for y [batch, ...] and standard normal noise [batch, k, noise_size]."""
        rows, count = tf.shape(noise)[0], noise.shape[1]
        features, log_det = self._observation_model.features(target, network)
        drawn = self._latents.infer(self.context(target, network, training), noise, network, training)
        likelihood = network("pixels").distribution(drawn.parameters)
        log_likelihood = tf.reshape(likelihood.log_prob(tf.repeat(features, count, 0)), (rows, count))
        log_weight = log_likelihood + drawn.log_prior - drawn.log_posterior + log_det[:, None]
        entropy = -drawn.log_posterior[:, 0] if drawn.by_sample else None
        return ELBOTerms(log_likelihood, log_weight, log_det, drawn.kl, entropy, drawn.codes)

    def value_and_kl(self, unit, labels, served: Callable[..., Network]) -> tuple[tf.Tensor, tf.Tensor]:
        """The bound of one code, and the KL divergence, in nats [batch], of images in [0, 1] or vectors."""

        def evaluate(unit, labels):
            terms = self.terms(*self._drawn_for(unit, 1), served(labels))
            kl = tf.reduce_sum(terms.kl, -1)
            return terms.log_likelihood[:, 0] - kl + terms.log_det, kl

        return self._of_few(evaluate, unit, labels, (tf.float32, tf.float32))

    def importance_weighted(self, unit, labels, served: Callable[..., Network], num_samples: int) -> tf.Tensor:
        """The importance-weighted bound of `num_samples` codes in nats [batch], of images in [0, 1] or vectors."""

        def evaluate(unit, labels):
            (target, noise), network = self._drawn_for(unit, num_samples), served(labels)
            together = max(1, slices.OUTPUTS_AT_ONCE // ((unit.shape[0] or 1) * self._observation_model.activations))
            if num_samples <= together:
                return importance_weighted_bound(self.terms(target, noise, network).log_weight)

            def part(chosen):
                some = tf.ensure_shape(tf.gather(noise, chosen, axis=1), (None, together, noise.shape[-1]))
                return tf.transpose(self.terms(target, some, network).log_weight)

            return importance_weighted_bound(tf.transpose(slices.in_slices(part, num_samples, together, tf.float32)))

        return self._of_few(evaluate, unit, labels, tf.float32)

    def _drawn_for(self, unit, num_samples: int) -> tuple[tf.Tensor, tf.Tensor]:
        """y, and noise of codes [batch, num_samples, noise_size], functions of the example."""
        noise = per_example_normal_noise(unit, 1, (num_samples, self._latents.noise_size))
        return self._observation_model.target(unit, per_example_noise), noise

    def _of_few(self, function: Callable, unit, labels, dtypes):
        return slices.of_few_examples(function, (unit, labels), self._observation_model.activations, dtypes)


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
