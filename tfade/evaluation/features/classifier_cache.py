"""Trained classifiers on disk: whole or absent, checked when read, trained again when damaged."""

import dataclasses
import hashlib
import json
import warnings
from pathlib import Path

import keras
import numpy as np

from tfade.data.source import Source
from tfade.files import read_arrays, write_atomically

_SAMPLE = 256  # examples that stand for a data set in the key of the cache


def weights_fingerprint(weights: list[np.ndarray]) -> str:
    """16 hexadecimal digits that change with any weight."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def data_identity(source: Source) -> dict:
    """An identity of a data set: the specification, and a hash of images and labels spread over the set."""
    count = source.spec.num_examples
    chosen = np.unique(np.linspace(0, count - 1, min(_SAMPLE, count)).astype(np.int64))
    digest = hashlib.sha256(np.ascontiguousarray(source.fetch(chosen)).tobytes())
    digest.update(source.labels(chosen).astype(np.int64).tobytes())
    return json.loads(json.dumps({**dataclasses.asdict(source.spec), "sample": digest.hexdigest()}))


def write_classifier(path: Path, network: keras.Model, record: dict) -> None:
    arrays = {f"weight_{i:03d}": array for i, array in enumerate(network.get_weights())}
    text = json.dumps({**record, "fingerprint": weights_fingerprint(network.get_weights())}, sort_keys=True)
    write_atomically(path, lambda file: np.savez(file, record=np.array(text), **arrays))


def read_classifier(path: Path, network: keras.Model, identity: dict) -> dict | None:
    """Restores `network` and returns its record; or reports that the file is damaged and returns None."""
    try:
        arrays = read_arrays(path)
        record = json.loads(str(arrays.pop("record")))
        weights = [arrays[name] for name in sorted(arrays)]
        if record.pop("fingerprint") != weights_fingerprint(weights) or record["identity"] != identity:
            raise ValueError("its content does not match its own record")
        network.set_weights(weights)
        float(record["accuracy"])
    except (ValueError, KeyError, TypeError) as error:
        warnings.warn(f"cached classifier {path} is damaged ({error}); it is trained again", stacklevel=3)
        return None
    return record
