"""Which arrays of a NumPy file are the examples and the labels of which split."""

import itertools
from collections.abc import Iterable

from tfade.data.npy import StoredArray
from tfade.data.work import note
from tfade.errors import UsageError

SPLIT_KEYS = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}
STYLES = (("x_{}", "y_{}"), ("{}_images", "{}_labels"))  # Keras, MedMNIST
PAIRS = (("images", "labels"), ("x", "y"), ("arr_0", "arr_1"))  # the last are NumPy's names for arrays without one


def split_keys(name: str, found: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The names of the images and labels of every split that a file stores by name; empty where it does not.

    Raises:
        UsageError: two arrays are the same split.
    """
    keys = {}
    for split, words in SPLIT_KEYS.items():
        candidates = [tuple(part.format(word) for part in style) for style in STYLES for word in words]
        present = [pair for pair in candidates if pair[0] in found]
        if len(present) > 1:
            raise UsageError(f"data={name!r} has both {present[0][0]} and {present[1][0]}; keep one")
        if present:
            keys[split] = present[0]
    return keys


def pair_arrays(name: str, arrays: dict[str, StoredArray]) -> dict[str, tuple[StoredArray, StoredArray | None]]:
    """Examples and labels (None where there are none) of every stored split; a note names the other arrays.

    Args:
        name: the data set, for messages.
        arrays: the arrays of a file by their names, in any case.

    Raises:
        UsageError: the names are not known ones, or two arrays are the same split.
    """
    lower = {key.lower(): array for key, array in arrays.items()}
    found = lower if len(lower) == len(arrays) else arrays
    unsplit = [pair for pair in PAIRS if pair[0] in found]
    keys = split_keys(name, found) or ({"train": unsplit[0]} if unsplit else {})
    if keys:
        ignored = sorted(set(found) - set(itertools.chain(*keys.values())))
        if ignored:
            note(f"data={name!r}: the arrays {', '.join(ignored)} are not read")
        return {split: (found[examples], found.get(labels)) for split, (examples, labels) in keys.items()}
    if len(found) == 1:
        return {"train": (next(iter(found.values())), None)}
    raise UsageError(
        f"data={name!r} holds the arrays {', '.join(sorted(arrays)) or '(none)'}; "
        f"call them images and labels, or x_train, y_train, x_test, y_test"
    )
