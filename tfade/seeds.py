"""Stateless noise: a pure function of (run seed, step, name, position in the global batch).

Nothing is carried from step to step, so a resumed run draws what the uninterrupted one drew, and every replica takes
its own rows of one global draw, so a run does not depend on how many devices carry it.
"""

import hashlib
import math
import secrets
from collections.abc import Callable, Sequence

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


def noise_of(x: tf.Tensor, draw: int = 0, shape: Sequence[int] | None = None) -> tf.Tensor:
    """Noise uniform on [0, 1), of the shape of `x` or another one, that is a function of each example alone.

    An example gets the same noise whatever its place in a batch and whoever its batch mates are, so that what is
    computed from it (a likelihood with dequantisation noise) is a property of the example. A change of any number by
    1/65,280 changes all noise of its example: they are mixed by the finaliser of MurmurHash3.

    Args:
        x: images in [0, 1], float32 [batch, ...]. Rounding in the last bits, as between uint8 levels that were divided
            by 255 here and there, plays no part.
        draw: number of the draw; others give other noise.
        shape: of the noise of one example; None for that of an example itself.
    """
    fine = tf.cast(tf.round(255.0 * 256.0 * x), tf.int32)
    bits = tf.bitcast(tf.reshape(fine, (tf.shape(x)[0], -1)), tf.uint32)
    salt = tf.constant(_digest(f"draw {draw}"), tf.uint32)
    mixed = _mixed(tf.bitwise.bitwise_xor(bits, _places(tf.shape(bits)[1]) + salt))
    example = tf.reduce_sum(mixed, axis=1, keepdims=True)
    shape = tuple(x.shape[1:] if shape is None else shape)
    places = _places(math.prod(shape)) + salt
    noise = tf.bitwise.right_shift(_mixed(_mixed(places) + example), tf.constant(8, tf.uint32))
    return tf.reshape(tf.cast(tf.cast(noise, tf.int32), tf.float32) * 2.0**-24, tf.concat([tf.shape(x)[:1], shape], 0))


def normal_noise_of(x: tf.Tensor, draw: int, shape: Sequence[int]) -> tf.Tensor:
    """Standard normal noise [batch, *shape] that is a function of each example alone; see `noise_of`."""
    cells = tf.floor(noise_of(x, draw, shape) * 2.0**23)
    return tf.math.ndtri((cells + 0.5) * 2.0**-23)  # the middle of a cell is never 0 or 1, not after rounding either


def _places(count) -> tf.Tensor:
    return tf.cast(tf.range(count), tf.uint32) * tf.constant(0x9E3779B1, tf.uint32)


def _mixed(bits: tf.Tensor) -> tf.Tensor:
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        bits = tf.bitwise.bitwise_xor(bits, tf.bitwise.right_shift(bits, tf.constant(shift, tf.uint32)))
        bits *= tf.constant(factor, tf.uint32)
    return bits


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
