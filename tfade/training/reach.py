"""Bindings of classes that a model makes by default arguments, which gin does not configure by itself."""

import contextlib
import functools
import inspect
from collections.abc import Collection, Iterator, Mapping

import gin
import keras
from gin import config as gin_config

from tfade.errors import UsageError
from tfade.training.building import parameters_of


@contextlib.contextmanager
def configured_defaults() -> Iterator[None]:
    """Inside, gin makes the classes that are defaults of arguments, where something of them is bound.

    As if `Owner.argument = @Class` were bound for every registered owner; what is bound or passed goes before. What a
    scope alone binds is for the references that name the scope, and no default does.
    """
    before = {key: dict(parameters) for key, parameters in gin_config._CONFIG.items()}
    unscoped = {selector: parameters for (scope, selector), parameters in before.items() if parameters and not scope}
    selectors = {registered.wrapped: selector for selector, registered in gin_config._REGISTRY.items()}
    defaults = {
        (selector, name): selectors[parameter.default]
        for owner, selector in selectors.items()
        if inspect.isclass(owner)
        for name, parameter in parameters_of(owner).items()
        if inspect.isclass(parameter.default) and parameter.default in selectors
        if name not in unscoped.get(selector, ())
    }
    references, bound = {}, set(unscoped)
    while found := [argument for argument, kind in defaults.items() if kind in bound and argument not in references]:
        references |= {argument: defaults[argument] for argument in found}
        bound |= {owner for owner, _ in found}  # an owner may be the default of another
    try:
        with gin.unlock_config():
            for (owner, name), kind in references.items():
                reference = gin_config.ConfigurableReference(gin_config._REGISTRY.minimal_selector(kind), False)
                gin.bind_parameter(f"{owner}.{name}", reference)
        yield
    finally:
        gin_config._CONFIG.clear()
        gin_config._CONFIG.update(before)


def require_reached(model) -> None:
    """Rejects bindings of a class that a model has, and that gin made no instance of: the bindings miss it.

    `configured_defaults` leaves two such cases: constructors that call the class itself, and what only a scope binds.

    Raises:
        UsageError: names the binding and the argument to bind.
    """
    made = made_classes(model)
    for (scope, selector), parameters in gin_config._CONFIG.items():
        registered = gin_config._REGISTRY.get(selector)
        if not parameters or registered is None or registered.wrapped not in made:
            continue
        if any(used == selector for _, used in gin_config._OPERATIVE_CONFIG):
            continue
        name, binding = registered.wrapped.__name__, next(iter(parameters))
        scoped = "/".join(filter(None, (scope, name)))
        owners = [f"{owner}.{argument} = @{scoped}" for owner, argument in _defaults_to(registered.wrapped, made)]
        remedy = f"bind {' or '.join(owners)}" if owners else f"let gin make it, as @{scoped}"
        raise UsageError(
            f"{scoped}.{binding} is bound, but {type(model).__name__} makes its {name} from a default "
            f"argument, which gin cannot configure; {remedy}"
        )


def made_classes(model) -> set[type]:
    """The exact classes of a model, its networks, and all that these hold, but for `externally_configured`."""
    seen, found, queue = set(map(id, model.externally_configured)), set(), [model]
    while queue:
        thing = queue.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, Mapping):
            queue.extend(thing.values())
        elif isinstance(thing, (list, tuple, set)):
            queue.extend(thing)
        elif isinstance(thing, functools.partial):
            queue += [*thing.args, *thing.keywords.values()]
        elif isinstance(thing, keras.layers.Layer) or type(thing).__module__.partition(".")[0] not in _THIRD_PARTY:
            found.add(type(thing))
            queue += [value for name, value in getattr(thing, "__dict__", {}).items() if name not in _KERAS_LINKS]
    return found


_THIRD_PARTY = ("builtins", "keras", "tensorflow", "tensorflow_probability", "numpy", "functools", "types", "optree")
# Attributes by which Keras layers lead to graphs of tensors and operations, where nothing of ours lies.
_KERAS_LINKS = ("_inbound_nodes", "_outbound_nodes", "_functional", "train_function", "_tracker")


def _defaults_to(kind: type, made: Collection[type]) -> list[tuple[str, str]]:
    """The arguments of registered, used classes whose default is `kind`: (class, argument)."""
    return [
        (owner.__name__, name)
        for owner in sorted(made, key=lambda owner: owner.__name__)
        if owner.__init__ is not object.__init__
        for name, argument in parameters_of(owner).items()
        if argument.default is kind
    ]
