"""Class probabilities: from logits, and the most probable class."""

import numpy as np

from tfade.evaluation.checks import checked_probabilities


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities float64 [..., K] of logits [..., K]."""
    logits = logits.astype(np.float64)
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def modes_of(probabilities) -> np.ndarray:
    """The most probable mode: int64 [N] of [N, K]; of [N, C, K] the channels' classes as the digits of one number."""
    probabilities = checked_probabilities("probabilities", probabilities, ranks=(2, 3))
    classes = probabilities.argmax(axis=-1)
    if classes.ndim == 1:
        return classes
    channels, num_classes = probabilities.shape[1:]
    return classes @ num_classes ** np.arange(channels - 1, -1, -1)
