"""Bindings of classes that a model makes by default arguments, which gin does not configure by itself."""

import contextlib
import functools
import inspect
from collections.abc import Iterator, Mapping

import keras
from gin import config as gin_config

from tfade.errors import UsageError
from tfade.training import configuration
from tfade.training.building import parameters_of


@contextlib.contextmanager
def configured_defaults() -> Iterator[None]:
    """Inside, gin makes the classes that are defaults of arguments, as if `Owner.argument = @Class` were bound.

    That holds for registered classes in the constructors of registered classes; what is bound or passed goes before.
    """
    before = {key: dict(parameters) for key, parameters in gin_config._CONFIG.items()}
    selectors = {registered.wrapped: selector for selector, registered in gin_config._REGISTRY.items()}
    for selector, registered in gin_config._REGISTRY.items():
        for name, default in _class_defaults(registered).items():
            if default in selectors and name not in before.get(("", selector), {}):
                short = gin_config._REGISTRY.minimal_selector(selectors[default])
                reference = gin_config.ConfigurableReference(short, evaluate=False)
                gin_config._CONFIG.setdefault(("", selector), {})[name] = reference
    try:
        yield
    finally:
        gin_config._CONFIG.clear()
        gin_config._CONFIG.update(before)


def _class_defaults(registered) -> dict[str, type]:
    """The arguments of a registered class that gin may bind and whose defaults are classes."""
    if not inspect.isclass(registered.wrapped):
        return {}
    return {
        name: parameter.default
        for name, parameter in parameters_of(registered.wrapped).items()
        if inspect.isclass(parameter.default) and parameter.default is not inspect.Parameter.empty
        if name not in (registered.denylist or ()) and name in (registered.allowlist or (name,))
    }


def require_reached(model) -> None:
    """Rejects bindings of a class that a model has, if they reach none of its instances.

    Those are bindings of a class that constructors call themselves, and of a scope that no reference names.

    Raises:
        UsageError: names the binding.
    """
    made = made_classes(model)
    for (scope, selector), parameters in gin_config._CONFIG.items():
        registered = gin_config._REGISTRY.get(selector)
        if not parameters or registered is None or registered.wrapped not in made:
            continue
        scopes = [used for used, name in gin_config._OPERATIVE_CONFIG if name == selector]
        name, owner = registered.wrapped.__name__, type(model).__name__
        binding = "/".join(filter(None, (scope, f"{name}.{next(iter(parameters))}")))
        if not scopes:
            raise UsageError(
                f"{binding} is bound, but {owner} makes its {name} in a constructor that calls the class itself, which "
                f"gin cannot configure; make it of an argument whose default is {name}, of a registered class"
            )
        scopes += [named for named, _ in configuration.references()]
        if scope and not any(f"{each}/".startswith(f"{scope}/") for each in scopes):
            raise UsageError(
                f"{binding} is bound, but nothing of {owner} is made in the scope {scope!r}; leave the scope out, or "
                f"bind the argument that {name} is for to @{scope}/{name}"
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
