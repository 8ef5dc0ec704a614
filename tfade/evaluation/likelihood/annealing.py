"""Annealed chains by Hamiltonian Monte Carlo: from a tractable distribution of latents to the posterior, and back."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfade.countdown import Countdown
from tfade.errors import UsageError, check_whole
from tfade.evaluation.likelihood.annealing_weights import Annealed, check_acceptance, check_weights
from tfade.seeds import ExampleNoise, noise_key

ADAPTATION = 1.02, 0.98  # factors on the step size after a transition that accepted more or less than the target
STEP_SIZES = 1e-4, 0.5
JITTER = 0.5
END = 10, 20  # the acceptance at the end is that of the last tenth of the transitions, or of 20 where those are more
SECONDS = 2.0  # of one call of the compiled loop, roughly, so that progress can be reported


class Annealing:
    """Chains through the distributions f_t(z) ∝ q(z)^(1-β_t) (p(z) p(x | z))^β_t.

        log w = Σ_t (β_{t+1} - β_t) r(z_t),   r(z) = log p(z) + log p(x | z) - log q(z)

    z_{t+1} comes from z_t by one Hamiltonian transition that leaves f_{t+1} invariant: the weight takes the state
    before it. A proposal has `leapfrogs` steps of unit mass. Their size is that of the example up to a factor, uniform
    on [½, 1½] for every chain and transition, so that no direction stays in phase with the trajectories. After a
    transition the size of an example is multiplied by 1.02 if the mean acceptance of its chains exceeds the target and
    otherwise by 0.98, within [1e-4, 0.5]. That the size follows the chains is usual; only with sizes that do not would
    the mean weight be unbiased strictly.

    Noise belongs to (seed, direction, example), so an example's chains do not depend on its batch mates.

    Args:
        log_likelihood: latents [rows, latent_size] and examples [rows, ...] → log p(x | z) in nats [rows].
        prior: p(z), a TFP distribution over [latent_size].
        initial: examples [batch, ...] → q, a TFP distribution of batch shape [batch]; None for the prior.
        chains: C ≥ 2 of every example.
        leapfrogs: steps of a proposal.
        step_size: at the start, within [1e-4, 0.5]. Where it is far too small the first temperatures are lost to its
            growth, which takes 35 steps for a factor of 2 (0.01 in Wu et al., with 10,000 steps).
        target_acceptance: in (0, 1).
        batch_size: examples at a time, each with all of its chains.
        seed: of all noise.
        jit_compile: compile the loop by XLA.
        progress: receives a line at the start of each batch and every few seconds, with the time left of all that was
            planned.

    Raises:
        UsageError: an argument out of range.

    Reference: Neal 2001; Wu et al. 2017, section 4 (HMC, its adaptation and the schedule).
    """

    def __init__(
        self,
        *,
        log_likelihood: Callable,
        prior,
        initial: Callable | None = None,
        chains: int = 16,
        leapfrogs: int = 10,
        step_size: float = 0.1,
        target_acceptance: float = 0.65,
        batch_size: int = 64,
        seed: int = 0,
        jit_compile: bool = True,
        progress: Callable[[str], None] = lambda line: None,
    ):
        for name, value, least in (("chains", chains, 2), ("leapfrogs", leapfrogs, 1), ("batch_size", batch_size, 1)):
            check_whole(name, value, least)
        if not STEP_SIZES[0] <= step_size <= STEP_SIZES[1]:
            raise UsageError(f"step_size={step_size!r} is not within {list(STEP_SIZES)}")
        if not 0 < target_acceptance < 1:
            raise UsageError(f"target_acceptance={target_acceptance!r} is not between 0 and 1; 0.65 is usual")
        self.log_likelihood, self.prior, self.initial = log_likelihood, prior, initial
        self.chains, self.leapfrogs, self.step_size = chains, leapfrogs, step_size
        self.target_acceptance, self.batch_size, self.seed = target_acceptance, batch_size, seed
        self._progress, self._planned = progress, 0
        self._dtype, self.latent_size = prior.dtype, int(prior.event_shape[-1])
        # As a partial function, or TensorFlow takes those of several objects for one that is traced too often.
        self._advance = tf.function(functools.partial(self._transitions), autograph=False, jit_compile=jit_compile)

    def plan(self, counts: Sequence[int], steps: int) -> None:
        """Announces runs of so many examples each through `steps` temperatures, for the time left in progress lines."""
        self._countdown = Countdown(
            steps * sum(-(-n // min(self.batch_size, n)) * min(self.batch_size, n) for n in counts)
        )
        self._planned = len(counts)

    def run(self, x, betas: np.ndarray, start=None, name: str = "forward") -> Annealed:
        """The chains of examples x [N, ...] through inverse temperatures `betas`, upwards or downwards.

        Args:
            x: the examples.
            betas: [steps + 1].
            start: latents [N, latent_size] that all chains of an example start from, or [chains, N, latent_size]; None
                draws each from q.
            name: of the noise, and of the run in progress lines.

        Raises:
            UsageError: a weight that is not finite, or an example that accepts no proposal at the end.
        """
        if not self._planned:
            self.plan([len(x)], len(betas) - 1)
        parts, size = [], min(self.batch_size, len(x))
        shape = self.chains, size, self.latent_size
        for first in range(0, len(x), size):
            # The last batch is filled up by its last example: one shape, one compilation.
            rows = np.minimum(np.arange(first, first + size), len(x) - 1)
            latents = None if start is None else np.broadcast_to(start[..., rows, :], shape)
            label = f"{name}, examples {first + 1} to {rows[-1] + 1} of {len(x)}"
            result = self._run(x[rows], betas, latents, tf.constant(rows, tf.int32), name, label)
            parts.append([value[..., : len(x) - first] for value in result])
        self._planned -= 1
        annealed = Annealed(*(np.concatenate(values, -1) for values in zip(*parts)))
        check_acceptance(annealed)
        return annealed

    def _run(self, x, betas, latents, examples, name, label):
        """Log weights [chains, batch], acceptance and step size [batch] of one batch."""
        x = tf.convert_to_tensor(x)
        if latents is None:
            latents = self._drawn(x, ExampleNoise(noise_key(self.seed, f"{name} start"), examples).seed())
        key, betas, steps = noise_key(self.seed, name), tf.constant(betas, tf.float64), len(betas) - 1
        state = self._first_state(x, tf.cast(latents, self._dtype))
        block, done, reported = 1, 0, time.perf_counter()
        self._progress(f"  {label}: temperature 0 of {steps:,}{self._countdown.left()}")
        while done < steps:
            stop, began = min(done + block, steps), time.perf_counter()
            state = self._advance(x, key, examples, betas, tf.constant(done), tf.constant(stop), state)
            check_weights(state.log_weight.numpy())
            now = time.perf_counter()
            if done:  # the first call compiles
                block = int(np.clip(SECONDS / (now - began) * (stop - done), 1, 10 * block))
            self._countdown.advance((stop - done) * x.shape[0])
            done = stop
            if now - reported > 5:
                reported = now
                self._progress(f"  {label}: temperature {done:,} of {steps:,}{self._countdown.left()}")
        accepted = state.accepted.numpy() / (steps - _end(steps))
        return state.log_weight.numpy(), accepted, state.step_size.numpy()

    def _drawn(self, x, seeds) -> tf.Tensor:
        """Latents of q, [chains, batch, latent_size], example by example: each from a seed of its own."""
        draws = []
        for row, seed in enumerate(seeds):
            if self.initial is None:
                draws.append(self.prior.sample(self.chains, seed=seed))
            else:
                draws.append(self.initial(x[row : row + 1]).sample(self.chains, seed=seed)[:, 0])
        return tf.stack(draws, 1)

    def _first_state(self, x, z) -> "_State":
        batch = z.shape[1]
        point = self._point(self._tiled(x), self._initial(x), z)
        step_size = tf.fill([batch], tf.cast(self.step_size, z.dtype))
        return _State(point, tf.zeros(z.shape[:2], tf.float64), step_size, tf.zeros([batch], z.dtype))

    def _tiled(self, x) -> tf.Tensor:
        return tf.tile(x, [self.chains] + [1] * (x.shape.rank - 1))

    def _initial(self, x):
        return None if self.initial is None else self.initial(x)

    def _point(self, tiled, initial, z) -> "_Point":
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(z)
            flat = tf.reshape(z, (-1, self.latent_size))
            ratio = tf.cast(tf.reshape(self.log_likelihood(flat, tiled), z.shape[:2]), z.dtype)
            base = tf.reshape(self.prior.log_prob(flat), z.shape[:2])
            if initial is not None:
                prior, base = base, tf.cast(initial.log_prob(z), z.dtype)
                ratio += prior - base
        gradients = (tape.gradient(value, z, unconnected_gradients="zero") for value in (base, ratio))
        return _Point(z, base, ratio, *gradients)

    def _transitions(self, x, key, examples, betas, start, stop, state: "_State") -> "_State":
        """Temperatures start + 1 to stop: the weights' increments, each followed by a transition."""
        # What belongs to the examples is computed once for all transitions, not in the loop.
        tiled, initial, noise = self._tiled(x), self._initial(x), ExampleNoise(key, examples)
        end = _end(betas.shape[0] - 1)

        def body(step, state):
            ratio = tf.cast(state.point.ratio, tf.float64)
            log_weight = state.log_weight + (betas[step + 1] - betas[step]) * ratio
            beta = tf.cast(betas[step + 1], self._dtype)
            point, accepted, probability = self._transition(tiled, initial, beta, step, noise, state)
            up, down = (tf.cast(factor, self._dtype) for factor in ADAPTATION)
            factor = tf.where(tf.reduce_mean(probability, 0) > self.target_acceptance, up, down)
            step_size = tf.clip_by_value(state.step_size * factor, *STEP_SIZES)
            share = tf.reduce_mean(tf.cast(accepted, self._dtype), 0)
            total = state.accepted + tf.where(step >= end, share, tf.zeros_like(share))
            return step + 1, _State(point, log_weight, step_size, total)

        return tf.while_loop(lambda step, state: step < stop, body, (start, state))[1]

    def _transition(self, tiled, initial, beta, step, noise, state: "_State"):
        """One Hamiltonian transition: the next points, whether they are the proposals, and acceptance probabilities."""
        z, dtype = state.point.z, self._dtype
        momentum = tf.transpose(tf.cast(noise.normal(2 * step, (self.chains, self.latent_size)), dtype), (1, 0, 2))
        jitter, uniform = tf.unstack(tf.cast(noise.uniform(2 * step + 1, (2, self.chains)), dtype), axis=1)
        size = (state.step_size * (1 + JITTER * (2 * tf.transpose(jitter) - 1)))[..., None]

        def leap(count, point, momentum):
            point = self._point(tiled, initial, point.z + size * momentum)
            return count + 1, point, momentum + size * point.gradient(beta)

        first = momentum + 0.5 * size * state.point.gradient(beta)
        _, proposal, last = tf.while_loop(
            lambda count, *_: count < self.leapfrogs, leap, (tf.constant(0), state.point, first)
        )
        last -= 0.5 * size * proposal.gradient(beta)
        gain = proposal.log_density(beta) - state.point.log_density(beta)
        gain += 0.5 * (tf.reduce_sum(momentum**2, -1) - tf.reduce_sum(last**2, -1))
        # A trajectory that overflowed has no finite energy: it is rejected like any other bad proposal.
        gain = tf.where(tf.math.is_finite(gain), tf.minimum(gain, 0.0), tf.fill(tf.shape(gain), dtype.min))
        accepted = tf.math.log(tf.transpose(uniform)) < gain
        merged = (
            tf.where(tf.reshape(accepted, (*z.shape[:2], *[1] * (new.shape.rank - 2))), new, old)
            for new, old in zip(proposal, state.point)
        )
        return _Point(*merged), accepted, tf.exp(gain)


class _Point(NamedTuple):
    """Latents [chains, batch, latent_size], log q and r there [chains, batch], and their gradients."""

    z: tf.Tensor
    base: tf.Tensor
    ratio: tf.Tensor
    base_gradient: tf.Tensor
    ratio_gradient: tf.Tensor

    def log_density(self, beta) -> tf.Tensor:
        """log f, not normalised."""
        return self.base + beta * self.ratio

    def gradient(self, beta) -> tf.Tensor:
        return self.base_gradient + beta * self.ratio_gradient


class _State(NamedTuple):
    """Where the chains are, their weights in nats [chains, batch], and of the examples [batch] the step size and the
    summed acceptance of the transitions at the end."""

    point: _Point
    log_weight: tf.Tensor
    step_size: tf.Tensor
    accepted: tf.Tensor


def _end(steps: int) -> int:
    """The first of the transitions that count for the acceptance at the end."""
    return max(steps - max(steps // END[0], END[1]), 0)
