"""Stateless noise: a pure function of (run seed, step, name, position in the global batch).

Nothing is carried from step to step, so a resumed run draws what the uninterrupted one drew, and every replica takes
its own rows of one global draw, so a run does not depend on how many devices carry it.
"""

import contextlib
import contextvars
import hashlib
import math
import secrets
from collections.abc import Callable, Iterator, Sequence

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

    Attributes:
        step: the training step, an int32 scalar.
    """

    def __init__(self, run_seed: int, step, replica=0, num_replicas: int = 1, scope: str = ""):
        self._run_seed = int(run_seed)
        self.step = tf.cast(step, tf.int32)
        self._replica = replica
        self._num_replicas = num_replicas
        self._scope = scope

    def __call__(self, name: str) -> tf.Tensor:
        """The int32 seed [2] of the global draw called `name`: the same on every replica."""
        return tf.stack([tf.constant(_digest(f"{self._run_seed}/{self._scope}/{name}"), tf.int32), self.step])

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
        # Under a name of its own: normal noise of the same name is made of the same bits.
        name = f"{name} (uniform)"
        return self.rows(name, shape[0], lambda n, seed: tf.random.stateless_uniform((n, *shape[1:]), seed))


_REPETITION = contextvars.ContextVar("repetition", default=0)


@contextlib.contextmanager
def repetition(number: int) -> Iterator[None]:
    """Inside, `per_example_noise` and `example_keys` are those of examples that came `number` times before.

    A function that TensorFlow traced inside keeps the noise that it was traced with.
    """
    token = _REPETITION.set(number)
    try:
        yield
    finally:
        _REPETITION.reset(token)


def per_example_noise(x: tf.Tensor, draw: int = 0, shape: Sequence[int] | None = None) -> tf.Tensor:
    """Noise uniform on [0, 1), of the shape of `x` or another one, that is a function of each example alone.

    An example gets the same noise wherever it stands in a batch and whatever else the batch holds, so that what is
    computed from it (a likelihood with dequantisation noise) is a property of the example (see `repetition`). A change
    of any number of an image by 1/65,280, or of a vector by 2⁻¹⁶ of its size, changes all noise of its example: they
    are mixed by the finaliser of MurmurHash3.

    Args:
        x: images in [0, 1], float32 [batch, ...], or vectors of any scale, [batch, D]. Rounding in the last bits, as
            between uint8 levels that were divided by 255 here and there, plays no part.
        draw: number of the draw; others give other noise.
        shape: of the noise of one example; None for that of an example itself.
    """
    salt = _salt(f"draw {draw}")
    example = _example_hash(x, salt)
    shape = tuple(x.shape[1:] if shape is None else shape)
    places = _places(math.prod(shape)) + salt
    noise = tf.bitwise.right_shift(_mixed(_mixed(places) + example), tf.constant(8, tf.uint32))
    return tf.reshape(tf.cast(tf.cast(noise, tf.int32), tf.float32) * 2.0**-24, tf.concat([tf.shape(x)[:1], shape], 0))


def example_keys(x: tf.Tensor) -> tf.Tensor:
    """A key for each example that is a function of it alone, uint32 [batch], as in `per_example_noise`.

    Args:
        x: images in [0, 1] or vectors, floats [batch, ...].
    """
    return _example_hash(x, _salt("key"))[:, 0]


def _salt(purpose: str) -> tf.Tensor:
    """A uint32 scalar that is another one in each `repetition`."""
    number = _REPETITION.get()
    return tf.constant(_digest(f"{purpose}, repetition {number}" if number else purpose), tf.uint32)


def _example_hash(x, salt) -> tf.Tensor:
    """uint32 [batch, 1]."""
    if x.shape.rank == 2:  # of vectors, sign, exponent and 15 bits of the significand, rounded
        fine = tf.bitwise.right_shift(tf.bitcast(tf.cast(x, tf.float32) + 0.0, tf.int32) + 128, 8)
    else:
        fine = tf.cast(tf.round(255.0 * 256.0 * x), tf.int32)
    bits = tf.bitcast(tf.reshape(fine, (tf.shape(x)[0], -1)), tf.uint32)
    mixed = _mixed(tf.bitwise.bitwise_xor(bits, _places(tf.shape(bits)[1]) + salt))
    return tf.reduce_sum(mixed, axis=1, keepdims=True)


def per_example_normal_noise(x: tf.Tensor, draw: int, shape: Sequence[int]) -> tf.Tensor:
    """Standard normal noise [batch, *shape] that is a function of each example alone; see `per_example_noise`."""
    cells = tf.floor(per_example_noise(x, draw, shape) * 2.0**23)
    return tf.math.ndtri((cells + 0.5) * 2.0**-23)  # the middle of a cell is never 0 or 1, not after rounding either


class ExampleNoise:
    """Noise of a long simulation that is a function of (name, example, draw, place), by a counter-based generator.

    An example gets the same noise wherever it stands in a batch and whatever else the batch holds. Threefry-2x32 with
    20 rounds is made of 32-bit additions, rotations and exclusive ors, which are the same with and without XLA.

    Args:
        key: of the simulation, see `noise_key`.
        examples: indices of the examples, integers [batch].

    Reference: Salmon et al. 2011, section 3.2.
    """

    def __init__(self, key, examples):
        self._keys = key, tf.cast(examples, tf.uint32)[:, None]

    def uniform(self, draw, shape: Sequence[int]) -> tf.Tensor:
        """Uniform on (0, 1), float32 [batch, *shape]; `draw` is an integer or a scalar tensor."""
        count = math.prod(shape)
        bits = tf.concat(self._bits(draw, -(-count // 2)), 1)[:, :count]
        return tf.reshape((_as_float(bits) + 0.5) * 2.0**-23, (-1, *shape))

    def normal(self, draw, shape: Sequence[int]) -> tf.Tensor:
        """Standard normal, float32 [batch, *shape], by the transformation of Box and Muller."""
        count = math.prod(shape)
        first, second = ((_as_float(bits) + 0.5) * 2.0**-23 for bits in self._bits(draw, -(-count // 2)))
        radius, angle = tf.sqrt(-2.0 * tf.math.log(first)), 2.0 * math.pi * second
        return tf.reshape(tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], 1)[:, :count], (-1, *shape))

    def seed(self, draw: int = 0) -> tf.Tensor:
        """A seed [batch, 2] for each example, for samplers that take one."""
        bits = tf.concat(self._bits(draw, 1), 1)
        return tf.cast(tf.bitwise.right_shift(bits, tf.constant(1, tf.uint32)), tf.int32)

    def _bits(self, draw, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Two words of 32 bits for each example and place, [batch, count] each."""
        return threefry(self._keys, (tf.cast(draw, tf.uint32), tf.cast(tf.range(count), tf.uint32)))


def noise_key(seed: int, name: str) -> tf.Tensor:
    """The key of `ExampleNoise` that belongs to an integer and the name of a simulation, a uint32 scalar."""
    return tf.constant(_digest(f"{seed}/{name}"), tf.uint32)


def threefry(keys, counters) -> tuple[tf.Tensor, tf.Tensor]:
    """Threefry-2x32 with 20 rounds: two words of a key and two of a counter, uint32, to two random words.

    Reference: Salmon et al. 2011, section 3.2.
    """
    schedule = (*keys, keys[0] ^ keys[1] ^ tf.constant(0x1BD11BDA, tf.uint32))
    first, second = (counter + key for counter, key in zip(counters, keys))
    for group in range(5):
        for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[group % 2]:
            first += second
            second = first ^ (
                tf.bitwise.left_shift(second, tf.constant(rotation, tf.uint32))
                | tf.bitwise.right_shift(second, tf.constant(32 - rotation, tf.uint32))
            )
        first += schedule[(group + 1) % 3]
        second += schedule[(group + 2) % 3] + tf.constant(group + 1, tf.uint32)
    return first, second


def _as_float(bits) -> tf.Tensor:
    """The upper 23 bits as a whole number, float32: half a step more is still exact."""
    return tf.cast(tf.cast(tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32)), tf.int32), tf.float32)


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
