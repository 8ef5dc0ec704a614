"""Which bindings a run has used, and which scopes it has entered."""

from collections.abc import Callable, Collection

from gin import config as gin_config

from tfade.errors import UsageError


def unused() -> list[str]:
    """Bindings that nothing has used so far, the evaluation's aside, which come later; such as "VGH.latent_size".

    Among them are a parameter that every caller passes itself, such as a generator's latent size by its model, and one
    that is bound anew in the scope of every call.

    Raises:
        UsageError: one of them is in a scope that nothing has entered: a misspelt player, for example.
    """
    check_scopes(lambda selector: not _of_other_use(selector))
    used = {
        (_binding_scope(scope, selector, parameter), selector, parameter)
        for (scope, selector), parameters in gin_config._OPERATIVE_CONFIG.items()
        for parameter in parameters
    }
    return [
        "/".join(filter(None, (scope, f"{selector.rpartition('.')[2]}.{parameter}")))
        for (scope, selector), parameters in gin_config._CONFIG.items()
        for parameter in parameters
        if not _of_other_use(selector) and (scope, selector, parameter) not in used
    ]


def _binding_scope(scope: str, selector: str, parameter: str) -> str:
    """The scope whose binding a call gets in `scope`: the innermost around it; "" where none binds the parameter."""
    while scope and parameter not in gin_config._CONFIG.get((scope, selector), ()):
        scope = scope.rpartition("/")[0]
    return scope


def _of_other_use(selector: str) -> bool:
    """Whether a binding is not for training: a macro, or something of the evaluation, which comes later."""
    return selector == "gin.macro" or selector.startswith("tfade.evaluation")


def check_scopes(concerns: Callable[[str], bool], besides: Collection[str] = ()) -> None:
    """Raises a UsageError if something is bound in a scope that nothing has entered: a misspelt player, for example.

    What enters "a/b" enters "a".

    Args:
        concerns: full name of what is bound → whether to look at it.
        besides: scopes that need not have been entered.
    """
    entered = {scope for scope, _ in gin_config._OPERATIVE_CONFIG}
    within = {
        "/".join(parts[:depth]) for parts in (scope.split("/") for scope in entered) for depth in range(len(parts))
    }
    scopes = entered | within | {"", *besides}
    for (scope, selector), parameters in gin_config._CONFIG.items():
        if parameters and concerns(selector) and scope not in scopes:
            known = ", ".join(sorted(scopes - {""}))
            name = selector.rpartition(".")[2]
            raise UsageError(
                f"gin configuration: no scope {scope!r} is used, but {scope}/{name} is bound; scopes in use: "
                f"{known or 'none'}"
            )
