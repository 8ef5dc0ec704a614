"""Pseudo-random numbers as a pure function of position, so that training can resume exactly."""

import hashlib

import numpy as np


def hashed(positions: np.ndarray, key: str) -> np.ndarray:
    """64 well-mixed bits for every position.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014) over positions offset by a hash of `key`.

    Args:
        positions: unsigned integers of any shape.
        key: name of the stream; different keys give unrelated numbers.

    Returns:
        uint64 array of the same shape.
    """
    offset = np.uint64(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big"))
    with np.errstate(over="ignore"):
        bits = (np.asarray(positions, np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + offset
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return bits ^ (bits >> np.uint64(31))
