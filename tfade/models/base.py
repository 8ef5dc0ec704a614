"""The base class of every model: its networks, how it is compiled, and its state."""

import functools
import re
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfade import numerics
from tfade.contract import Contract, as_spec
from tfade.errors import UsageError, check_class
from tfade.models.averages import WeightAverages
from tfade.models.checks import checked_terms, players_by_name, require_saved
from tfade.models.optimization import Optimization
from tfade.models.players import Player, Weighted
from tfade.models.stages import Stage, StageState
from tfade.models.step import TrainingStep
from tfade.seeds import Seeds
from tfade.spec import Batch, Spec

_COUNTER = re.compile(r"_\d+(?=_|/|$)")  # "conv2d_4/kernel": Keras' fourth convolution in this process


class GenerativeModel(Contract, TrainingStep, keras.Model):
    """A generative model: networks, players, and the questions of likelihood, inference and sample quality.

    A subclass builds its networks with `add_network` and defines `players` and `losses`; what it answers of the public
    contract (`Contract`) it overrides. Tapes, optimizers, replicas, precision and reporting are handled once, in
    `TrainingStep`.

    Args:
        spec: what the data look like, or the bare shape of an example: (H, W, C) or (D,).

    Attributes:
        externally_configured: objects that this run's configuration does not describe, such as a wrapped model; no
            binding need reach their classes.
        gains_by_xla: whether XLA shortens the model's training step.
    """

    externally_configured: Sequence = ()
    gains_by_xla = False

    def __init__(self, spec: Spec | Sequence[int]):
        super().__init__()
        self.spec = as_spec(spec)
        self.image_shape = self.spec.shape
        self.networks: dict[str, keras.Layer] = {}
        self._makers: dict[str, Callable[[], keras.Layer]] = {}
        self.averages: WeightAverages | None = None
        self.stages: tuple[StageState, ...] = ()
        self._variables_of_wrapped: list[Callable[[], list[keras.Variable]]] = []
        self.step = self._counter("step")
        self.stage_index = self._counter("stage")
        self._counters = frozenset(map(id, (self.step, self.stage_index)))
        self.built = True  # networks make their variables when they are constructed

    def _counter(self, name: str) -> keras.Variable:
        return self.add_weight(
            name=name, shape=(), dtype="int64", initializer="zeros", trainable=False, aggregation="only_first_replica"
        )

    # ---- What a subclass defines ----

    def add_network(self, name: str, make: Callable[..., keras.Layer], *arguments) -> keras.Layer:
        """Makes a network and registers it, so that it is saved and can be averaged under `name`.

        Args:
            name: of the network, and of the constructor's argument that `make` is.
            make: its class, or a function that makes it, called with the arguments.

        Raises:
            UsageError: an object where a class is wanted, or a name that checkpoints use for something else.
        """
        check_class(name, make)
        if name in ("model", "report") or "." in name:
            raise UsageError(f"network name {name!r} is one of a checkpoint's own groups; choose another, without dots")
        self._makers[name] = functools.partial(make, *arguments)
        self.networks[name] = self._makers[name]()
        return self.networks[name]

    def wrap(self, model: "GenerativeModel") -> "GenerativeModel":
        """Registers the networks of a model that this one wraps, and what variables it owns besides.

        It shares this one's averages and counter of steps; its `after_step` is for this one to call.
        """
        self.networks |= model.networks
        self._makers |= model._makers
        model.network = self.network  # a bound method: Keras would take this model itself for a layer of the other
        model.step = self.step
        model._counters |= self._counters
        self._variables_of_wrapped.append(model.own_variables)
        return model

    def own_variables(self) -> list[keras.Variable]:
        """Variables beside the networks': the model's own, and those of the models it wraps."""
        mine = [v for v in (*self._trainable_variables, *self._non_trainable_variables) if id(v) not in self._counters]
        return mine + [v for of_wrapped in self._variables_of_wrapped for v in of_wrapped()]

    def players(self) -> tuple[Player, ...]:
        """The players; each moves its own networks."""
        raise NotImplementedError

    def losses(self, batch: Batch, seeds: Seeds) -> dict[str, dict[str, tf.Tensor | Weighted]]:
        """Every player's terms on this replica's part of the batch.

        Networks run in training mode whichever player moves, so batch normalisation follows every pass. The losses are
        traced without AutoGraph, as Keras traces its steps: control flow on tensors is `tf.cond`, `tf.while_loop`, or
        stands in a `tf.function` of its own.

        Args:
            batch: the fields that the class names in `fields`; images as the pipeline yields them, uint8
                [batch, H, W, C], or float32 [batch, D].
            seeds: the noise of this pass.

        Returns:
            {player: {term: values}}; values are [batch] or scalar, and are averaged; `Weighted` sets a weight. Players
            that do not move in the current stage (`moves`) may be left out.
        """
        raise NotImplementedError

    def validate(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Terms [batch] on held-out examples, in inference mode, for the validation record; none by default."""
        return {}

    def initialise(self, batch: Batch) -> None:
        """Data-dependent initialisation before the first step of every stage (ActNorm); nothing by default.

        Args:
            batch: the first global batch.
        """

    @property
    def is_initialised_from_data(self) -> bool:
        """Whether `initialise` does anything."""
        return type(self).initialise is not GenerativeModel.initialise

    def after_step(self, reported: dict[str, tf.Tensor]) -> None:
        """Updates variables that the model itself owns; once a step, however many passes it has. Nothing by default.

        Args:
            reported: "player/term" → its mean over the global batch and the passes of this step, a scalar.
        """
        return  # without a statement, AutoGraph fails on it

    # ---- From examples to networks ----

    def unit(self, x, noise=None) -> tf.Tensor:
        """Examples as float32: images in [0, 1], checked; vectors as they are.

        Args:
            x: images, uint8 or floats in [0, 1], or vectors.
            noise: dequantisation noise u in [0, 1), or a function of the images that returns it: y = (255 x + u) / 256.
                None leaves the levels x / 255.
        """
        if not self.spec.is_image:
            return tf.cast(x, tf.float32)
        unit = numerics.checked_unit(x, self.image_shape)
        return unit if noise is None else numerics.dequantised(unit, noise(unit) if callable(noise) else noise)

    def network_input(self, x, noise=None) -> tf.Tensor:
        """Examples as networks see them: images in [-1, 1], vectors as they are; `noise` as in `unit`."""
        return self.network_range(self.unit(x, noise))

    def network_range(self, unit) -> tf.Tensor:
        """Images in [0, 1] as images in [-1, 1]; vectors as they are."""
        return numerics.to_signed(unit) if self.spec.is_image else unit

    def uniform_noise(self, seeds: Seeds) -> Callable[[tf.Tensor], tf.Tensor]:
        """Dequantisation noise of this pass, as `unit` takes it."""
        return lambda x: seeds.uniform("dequantisation", (tf.shape(x)[0], *self.image_shape))

    def network(self, name: str) -> keras.Layer:
        """The network that serves the public contract: the average of `name` where there is one."""
        averaged = self.averages.networks if self.averages else {}
        return averaged.get(name, self.networks[name])

    # ---- Training ----

    def compile(
        self,
        make_optimizer: Callable[..., keras.Optimizer],
        optimization: Optimization | None = None,
        *,
        seed: int = 0,
        stages: Sequence[Stage] = (),
    ):
        """Prepares training; call it inside the scope of the strategy that made the model.

        Args:
            make_optimizer: player's name → its optimizer; with stages also given `Stage.optimizer`, as a second
                argument. Learning-rate schedules count the training steps of a stage, however often the player moves
                in one.
            optimization: how the players are updated; None for all at once, on one batch.
            seed: of all noise in training.
            stages: the stages of the run, in order; none for a single one that moves every player.

        Raises:
            UsageError: an unknown player or network, two players of one name, a network that is not built or of a
                player and not registered with `add_network`, a player without losses, losses of an unknown player, a
                term of a wrong shape, one variable in two players, or an attribute that would not be saved.
        """
        optimization = optimization or Optimization()
        super().compile(optimizer=None, jit_compile=optimization.compiles(self))
        self.seed, self.optimization = seed, optimization
        players = players_by_name(self)
        require_saved(self, players.values())
        make = (lambda name, chosen: make_optimizer(name, chosen)) if stages else lambda name, _: make_optimizer(name)
        self.stages = tuple(StageState(stage, players, make, optimization) for stage in stages or (None,))
        self.averages = WeightAverages(self.networks, self._makers, dict(optimization.average_decay))
        for index, stage in enumerate(self.stages):
            self._stage = index
            if stage.players:
                stage.report(checked_terms(self, stage))
        self.enter_stage(0)

    @property
    def metrics(self):
        means = self.stages[self._stage].running_means if self.stages else None
        return [] if means is None else [means]

    # ---- State ----

    def state(self) -> dict[str, keras.Variable]:
        """Every variable that a checkpoint holds, by a name that is the same in every process.

        A name consists of the owner's name, the variable's position and its path: by position alone, two variables of
        the same shape could be swapped without notice. Keras' process-wide counters are stripped from the path, so
        layers whose names differ only in a number are distinguished only by position.
        """
        groups: dict[str, object] = dict(self.networks)
        if self.averages:
            groups |= {f"average.{name}": network for name, network in self.averages.networks.items()}
        for stage in self.stages:
            groups |= stage.state()
        variables = {group: owner.variables for group, owner in groups.items()} | {"model": self.own_variables()}
        state = {
            f"{group}/{position:03d}.{_without_counters(variable.path, group.startswith('optimizer.'))}": variable
            for group, owned in variables.items()
            for position, variable in enumerate(owned)
        }
        return state | {"step": self.step, "stage": self.stage_index}


def _without_counters(path: str, everywhere: bool) -> str:
    """A variable's path without Keras' counters; numbers in its own name, such as "kernel_0", stay unless `everywhere`.

    The name of an optimizer's variable contains the whole path of a weight, counters included.
    """
    folders, slash, name = path.rpartition("/")
    everywhere = everywhere or name.startswith("variable")  # one without a name
    return _COUNTER.sub("", folders) + slash + (_COUNTER.sub("", name) if everywhere else name)
