"""Results that depend on data and settings alone, kept between evaluations: whole or absent, checked when read."""

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tfade.errors import UsageError
from tfade.evaluation.result import Result
from tfade.files import write_json


def cached_result(
    folder, name: str, settings: dict, arrays: Sequence[np.ndarray], compute: Callable[[], Result]
) -> Result:
    """What `compute()` gives, from the cache where it gave something for the same settings and arrays before.

    A file that is damaged or cannot be read is computed again, and a folder that cannot be written keeps nothing; each
    with a warning.

    Args:
        folder: of the cache; None for no caching.
        name: of the files, which end with a hash of settings and arrays.
        settings: all that the result depends on besides the arrays, of what JSON can hold.
        arrays: the data.
        compute: makes the result.
    """
    if folder is None:
        return compute()
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    path = Path(folder) / f"{name}-{digest.hexdigest()[:16]}.json"
    try:
        return Result.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        warnings.warn(f"cached result {path} cannot be read ({error.strerror}); it is computed again", stacklevel=2)
    except (ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        warnings.warn(f"cached result {path} is damaged ({error}); it is computed again", stacklevel=2)
    result = compute()
    try:
        write_json(path, result.to_json())
    except OSError as error:
        warnings.warn(f"{name} is not cached: {path} cannot be written ({error.strerror})", stacklevel=2)
    return result
