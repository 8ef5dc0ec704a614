"""Gin configurations of their own: gin has but one for the whole process."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import gin
from gin import config as gin_config


class Frozen(NamedTuple):
    """A gin configuration as it was when `frozen` was called; see `isolated`."""

    bound: dict
    used: dict
    singletons: dict
    imports: frozenset
    locked: bool


def frozen() -> Frozen:
    """The current configuration, which later changes do not reach."""
    return Frozen(
        {key: dict(parameters) for key, parameters in gin_config._CONFIG.items()},
        {key: dict(parameters) for key, parameters in gin_config._OPERATIVE_CONFIG.items()},
        dict(gin_config._SINGLETONS),
        frozenset(gin_config._IMPORTS),
        gin_config._CONFIG_IS_LOCKED,
    )


@contextlib.contextmanager
def isolated(content: Frozen | None = None) -> Iterator[None]:
    """An empty gin configuration inside, or a frozen one; the caller's untouched outside."""
    callers = frozen()
    gin.clear_config()
    try:
        if content is not None:
            _restore(content)
        yield
    finally:
        gin.clear_config()
        _restore(callers)


def _restore(content: Frozen) -> None:
    gin_config._CONFIG.update({key: dict(parameters) for key, parameters in content.bound.items()})
    gin_config._OPERATIVE_CONFIG.update({key: dict(parameters) for key, parameters in content.used.items()})
    gin_config._SINGLETONS.update(content.singletons)
    gin_config._IMPORTS.update(content.imports)
    gin_config._set_config_is_locked(content.locked)
