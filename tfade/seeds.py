"""Stateless noise: a pure function of (run seed, step, name, position in the global batch).

Nothing is carried from step to step, so a resumed run draws what the uninterrupted one drew, and every replica takes
its own rows of one global draw, so a run does not depend on how many devices carry it.
"""

import hashlib
import secrets
from collections.abc import Callable

import tensorflow as tf


def _digest(text: str) -> int:
    """A 31-bit hash of `text` that is the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") & 0x7FFFFFFF


class Seeds:
    """The noise of one forward pass of one training step.

    Args:
        run_seed: the run's seed, an integer.
        step: the training step, an integer or a scalar integer tensor.
        replica: position of this replica among all replicas, an integer or a scalar tensor.
        num_replicas: how many replicas share the global batch.
        scope: distinguishes passes of the same step (the phases of a schedule).
    """

    def __init__(self, run_seed: int, step, replica=0, num_replicas: int = 1, scope: str = ""):
        self._run_seed = int(run_seed)
        self._step = tf.cast(step, tf.int32)
        self._replica = replica
        self._num_replicas = num_replicas
        self._scope = scope

    def __call__(self, name: str) -> tf.Tensor:
        """The int32 seed [2] of the global draw called `name`: the same on every replica."""
        return tf.stack([tf.constant(_digest(f"{self._run_seed}/{self._scope}/{name}"), tf.int32), self._step])

    def rows(self, name: str, count, draw: Callable) -> tf.Tensor:
        """This replica's `count` rows of `draw(global count, seed)`, e.g. `seeds.rows("prior", n, prior.sample)`."""
        if self._num_replicas == 1:
            return draw(count, seed=self(name))
        start = tf.cast(self._replica, tf.int32) * count
        return draw(count * self._num_replicas, seed=self(name))[start : start + count]

    def normal(self, name: str, shape) -> tf.Tensor:
        """Standard normal noise, float32 `shape`; the first axis is this replica's part of the batch."""
        return self.rows(name, shape[0], lambda n, seed: tf.random.stateless_normal((n, *shape[1:]), seed))

    def uniform(self, name: str, shape) -> tf.Tensor:
        """Noise uniform on [0, 1), float32 `shape`; the first axis is this replica's part of the batch."""
        return self.rows(name, shape[0], lambda n, seed: tf.random.stateless_uniform((n, *shape[1:]), seed))


def as_seed(seed) -> tf.Tensor:
    """The int32 seed [2] of a user's `seed`: an integer, a scalar integer tensor, or None for fresh entropy."""
    if seed is None:
        seed = secrets.randbits(31)
    seed = tf.cast(seed, tf.int64)
    low, high = (
        tf.bitwise.bitwise_and(part, tf.constant(0x7FFFFFFF, tf.int64))
        for part in (seed, tf.bitwise.right_shift(seed, tf.constant(31, tf.int64)))
    )
    return tf.cast(tf.stack([low, high]), tf.int32)
