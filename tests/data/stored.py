"""Arrays written to files, and everything that a source holds."""

import numpy as np

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), np.uint8)
LABELS = np.arange(50) % 4


def everything(source):
    return source.fetch(np.arange(source.spec.num_examples))


def npz(tmp_path, compressed=False, **arrays):
    path = tmp_path / "file.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return f"npz:{path}"


def npy(tmp_path, array):
    np.save(tmp_path / "file.npy", array)
    return f"npy:{tmp_path}/file.npy"
