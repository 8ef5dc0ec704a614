"""What `compile` checks of a model's players, networks and losses, so that a slip ends in one line before training."""

from collections.abc import Iterable, Mapping, Sequence

import keras
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.players import Player, Weighted
from tfade.models.stages import StageState
from tfade.spec import Batch, Spec

EXAMPLES = 2  # in the batch that losses are traced with


def players_by_name(model) -> dict[str, Player]:
    """The players of a model.

    Raises:
        UsageError: anything but players, or two of one name.
    """
    players, kind = model.players(), type(model).__name__
    players = tuple(players) if isinstance(players, Iterable) else players
    if not isinstance(players, tuple) or not all(isinstance(player, Player) for player in players):
        raise UsageError(f"{kind}.players returns {players!r}; give a tuple of Players")
    names = [player.name for player in players]
    if len(set(names)) < len(names):
        raise UsageError(f"{kind}.players returns {names}; give every player a name of its own")
    return dict(zip(names, players))


def require_saved(model, players: Iterable[Player]) -> None:
    """Rejects networks that are not built, and networks and attributes that no checkpoint would hold.

    Raises:
        UsageError: a network that is not built, one of a player that is not registered, or an attribute that is a
            `tf.Variable` or a metric.
    """
    kind = type(model).__name__
    for name, network in model.networks.items():
        if not _is_built(network):
            raise UsageError(
                f"the network {name!r} of {kind} has no variables yet; build it when it is made (a keras.Sequential "
                "begins with keras.Input)"
            )
    registered = {id(variable) for network in model.networks.values() for variable in network.variables}
    for player in players:
        for network in player.networks:
            variables = network.trainable_variables
            if not _is_built(network) or any(id(variable) not in registered for variable in variables):
                raise UsageError(
                    f"player {player.name!r} trains the network {network.name!r}, which {kind} did not register and "
                    "which would not be saved; make it with add_network"
                )
    for name, value in vars(model).items():
        if isinstance(value, (tf.Variable, keras.Metric)) and name != "_loss_tracker":  # Keras' own, which is not used
            raise UsageError(f"{kind}.{name} is a {type(value).__name__}, which would not be saved; use add_weight")


def _is_built(network: keras.Layer) -> bool:
    """Whether a network has the variables it will have; one without a `build` makes none, or made them already."""
    return network.built or bool(network.variables) or type(network).build is keras.Layer.build


def checked_terms(model, stage: StageState) -> list[str]:
    """The names "player/term" of a stage's terms, found by tracing the losses once without running them.

    Raises:
        UsageError: losses that are not a dictionary of dictionaries, a moving player without terms, terms of an
            unknown player, or a term that is not [batch] or scalar.
    """
    known, names = {player.name for player in model.players()}, []

    def trace(data):
        losses = model.losses(Batch.of(data), model._seeds(0))
        kind = type(model).__name__
        if not isinstance(losses, Mapping):
            raise UsageError(f"{kind}.losses returns a {type(losses).__name__}; give {{player: {{term: values}}}}")
        if strange := [name for name in losses if name not in known]:
            raise UsageError(
                f"{kind}.losses returns terms of unknown players {strange}; the players are {sorted(known)}"
            )
        for player in stage.players:
            terms = losses.get(player)
            if terms is None or (isinstance(terms, Mapping) and not terms):
                raise UsageError(f"{kind}.losses returns no term of player {player!r}; a player needs a loss")
            if not isinstance(terms, Mapping):
                raise UsageError(
                    f"{kind}.losses returns a {type(terms).__name__} of player {player!r}; give {{term: values}}"
                )
            for term, value in terms.items():
                shape = Weighted.of(value).value.shape
                if shape.rank != 0 and not (shape.rank == 1 and shape.is_compatible_with([EXAMPLES])):
                    raise UsageError(
                        f"term {player}/{term} of {kind} has shape {shape} for a batch of {EXAMPLES}; give one "
                        "value per example, [batch], or a scalar"
                    )
                names.append(f"{player}/{term}")

    with tf.__internal__.FuncGraph("losses").as_default():  # a graph that is no function: it is never run
        signature = _signature(model.spec, model.fields)
        data = {field: tf.compat.v1.placeholder(of.dtype, of.shape) for field, of in signature.items()}
        model.distribute_strategy.run(trace, args=(data,))
    return list(dict.fromkeys(names))  # every replica traces


def _signature(spec: Spec, fields: Sequence[str]) -> dict[str, tf.TensorSpec]:
    """What a batch of a few examples looks like.

    Raises:
        UsageError: a field that the data do not have.
    """
    specs = {
        "images": tf.TensorSpec((EXAMPLES, *spec.shape), spec.dtype),
        "index": tf.TensorSpec((EXAMPLES,), tf.int64),
    }
    if spec.num_classes:
        specs["labels"] = tf.TensorSpec((EXAMPLES,), tf.int32)
    if spec.other is not None:
        specs["other"] = tf.TensorSpec((EXAMPLES, *spec.other.shape), spec.other.dtype)
    for field in fields:
        if field not in specs:
            raise UsageError(
                f"data={spec.name!r} has no {field}, which the model trains on; give "
                + ("other_data, a second data set" if field == "other" else "labelled data")
            )
    return {field: specs[field] for field in fields}
