"""The one training step that every model shares: passes, gradients, replicas, precision, reports."""

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.players import Weighted
from tfade.models.stages import GRADIENT_NORM, StageState
from tfade.seeds import Seeds
from tfade.spec import Batch


class TrainingStep:
    """Keras' `fit` and `train_step` of a model with players; mixed into `GenerativeModel`."""

    _stage = 0
    keep_metrics_once = False  # set right after a restore into the middle of a reporting interval

    # ---- Stages ----

    def enter_stage(self, index: int) -> None:
        """Makes a stage the current one: its players move, with its optimizers, and are reported."""
        self._stage = index
        self.stage_index.assign(index)
        self.train_function = None  # traced for the players of another stage

    def restore_stage(self) -> None:
        """Enters the stage that a restored counter names."""
        index = int(self.stage_index.numpy())
        self.enter_stage(min(index, len(self.stages) - 1))
        self.stage_index.assign(index)

    def finish_stage(self) -> None:
        """Ends the current stage; the next one, if there is one, is entered."""
        if self._stage + 1 < len(self.stages):
            self.enter_stage(self._stage + 1)
        else:
            self.stage_index.assign(len(self.stages))

    @property
    def is_in_last_stage(self) -> bool:
        """Whether no stage follows the current one."""
        return self._stage + 1 == len(self.stages)

    @property
    def is_finished(self) -> bool:
        """Whether the last stage was ended by `finish_stage`."""
        return int(self.stage_index.numpy()) == len(self.stages)

    @property
    def stage(self) -> StageState:
        """The current stage."""
        return self.stages[self._stage]

    @property
    def optimizers(self) -> Mapping[str, keras.Optimizer]:
        """The optimizers of the current stage by player."""
        return self.stage.optimizers if self.stages else {}

    @property
    def passes(self) -> tuple[tuple[str, ...], ...]:
        """The passes of a step of the current stage, each the players that are updated together."""
        return self.stage.passes

    @property
    def batches_per_step(self) -> int:
        """Fresh global batches that a step of the current stage takes."""
        return self.stage.batches_per_step

    def moves(self, player: str) -> bool:
        """Whether a player moves in the current stage; all of them, in a model that is not compiled."""
        return not self.stages or player in self.stage.players

    # ---- fit ----

    def fit(self, x=None, *args, **kwargs):
        """Keras' `fit`, preceded in a stage's first step by data-dependent initialisation on its first batch.

        Args:
            x: a `tf.data` set of batches: the images alone, or dictionaries of the fields of a `Batch`.
        """
        if self.is_initialised_from_data and self._at_start_of_stage():
            if not isinstance(x, (tf.data.Dataset, tf.distribute.DistributedDataset)):
                raise UsageError(
                    f"x is a {type(x).__name__}; {type(self).__name__} is initialised from the first batch: give a "
                    "tf.data.Dataset of batches, such as Dataset.from_tensor_slices(x).batch(64).repeat()"
                )
            with self.distribute_strategy.scope():
                batch = Batch.of(self._global(next(iter(x))))  # a data set starts again for `fit`
                self.initialise(self._of_pass(batch, 0))
                self.averages.restart(self.stage.players.values())
        return super().fit(x, *args, **kwargs)

    def _at_start_of_stage(self) -> bool:
        before = sum(state.stage.steps for state in self.stages[: self._stage])
        return int(tf.convert_to_tensor(self.step.value)) == before

    def _global(self, batch):
        """The whole batch from the parts that lie on the replicas, of all workers."""
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return batch

        def gathered(part):
            wide = strategy.run(lambda rows: tf.cast(rows, tf.int32) if rows.dtype == tf.uint8 else rows, (part,))
            return tf.cast(strategy.gather(wide, axis=0), strategy.experimental_local_results(part)[0].dtype)

        return {field: gathered(part) for field, part in batch.items()} if isinstance(batch, dict) else gathered(batch)

    def make_train_function(self, force: bool = False):
        """Builds the compiled step. Keras' own fails under several workers, this one serves every strategy."""
        if self.train_function is not None and not force:
            return
        strategy = self.distribute_strategy
        step = self.train_step
        if self.jit_compile:
            step = tf.function(step, jit_compile=True, autograph=False)

        @tf.function(autograph=False)
        def train_function(iterator):
            logs = strategy.run(step, args=(next(iterator),))
            # Every replica reports the same means (see RunningMeans), so any of them will do.
            return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

        self.train_function = train_function

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Keras would draw a batch to build an unbuilt model; ours is built, and the first batch is not to be spent."""

    def reset_metrics(self):
        """Begins a new reporting interval, except right after a restore into the middle of one."""
        if self.keep_metrics_once:
            self.keep_metrics_once = False
        else:
            super().reset_metrics()

    # ---- One step ----

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """One step of the whole schedule on this replica's part of the global batch.

        Args:
            data: the fields of a `Batch` in a dictionary, or images alone: [rows, *shape], or [rows, passes, *shape]
                when every pass has a fresh batch.

        Returns:
            The means since the last reset of every "player/term".
        """
        batch, reported = Batch.of(data), {}
        for index, players in enumerate(self.passes):
            for name, value in self._move(players, self._of_pass(batch, index), self._seeds(index)).items():
                reported.setdefault(name, []).append(value)
        self.averages.update(self.step, self.stage.players.values())
        self.step.assign_add(1)
        means = self.stage.running_means
        of_step = means.update_state({name: tf.add_n(values) / len(values) for name, values in reported.items()})
        self.after_step(means.named(of_step))
        return self.get_metrics_result()

    def _of_pass(self, batch: Batch, index: int) -> Batch:
        """The batch of one pass of a step."""
        if self.stage.batches_per_step == 1:
            return batch
        return Batch(*(None if field is None else field[:, index] for field in batch))

    def _seeds(self, index: int) -> Seeds:
        context = tf.distribute.get_replica_context()
        return Seeds(
            self.seed,
            self.step.value,
            context.replica_id_in_sync_group if context else 0,
            self.distribute_strategy.num_replicas_in_sync,
            scope=str(index) if self.optimization.fresh_noise else "",
        )

    def over_global_batch(self, values: tf.Tensor) -> tf.Tensor:
        """The rows of every replica, for a loss that couples the examples of the whole batch (MMD over codes).

        Every replica gets all rows in the order of the global batch, and its gradient is that of the one loss.

        Args:
            values: this replica's rows, [rows, ...].

        Returns:
            [global batch, ...].
        """
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return values
        if not tf.executing_eagerly():
            return tf.ensure_shape(context.all_gather(values, axis=0), (None, *values.shape[1:]))
        # There is no gathering in eager execution, so the rows of every replica are summed with zeros for the others.
        own = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync, dtype=values.dtype)
        placed = tf.reshape(own, (-1, *[1] * len(values.shape))) * values
        return tf.concat(tf.unstack(context.all_reduce(tf.distribute.ReduceOp.SUM, placed)), 0)

    def _move(self, players: Sequence[str], batch: Batch, seeds: Seeds) -> dict[str, tf.Tensor]:
        """One pass: a forward pass, then the players' gradients, then their updates; returns what is reported."""
        reported, gradients = {}, {}
        with tf.GradientTape(persistent=len(players) > 1) as tape:
            losses = self.losses(batch, seeds)
            totals = {}
            for name in players:
                terms = {term: _mean(value) for term, value in losses[name].items()}
                reported |= {f"{name}/{term}": value for term, (_, value) in terms.items()}
                totals[name] = self._scaled(name, tf.add_n([weight * value for weight, value in terms.values()]))
        for name in players:
            gradients[name] = tape.gradient(totals[name], self.stage.players[name].variables)
        for name in players:
            reported[f"{name}/{GRADIENT_NORM}"] = self._update(name, gradients[name])
        return reported

    def _scaled(self, name: str, loss: tf.Tensor) -> tf.Tensor:
        """The loss to differentiate: the mean over the global batch, and scaled up in half precision."""
        return self.optimizers[name].scale_loss(loss / self.distribute_strategy.num_replicas_in_sync)

    def _update(self, name: str, gradients: list) -> tf.Tensor:
        """Applies the gradient of the global batch, clipped; returns its norm before clipping."""
        optimizer, variables = self.optimizers[name], self.stage.players[name].variables
        replicas, clip_norm = self.distribute_strategy.num_replicas_in_sync, self.optimization.clip_norm
        reached = [(v, g) for v, g in zip(variables, gradients, strict=True) if g is not None]
        if not reached:
            raise UsageError(f"player {name!r}: its loss has no gradient with respect to its variables")
        variables, gradients = zip(*reached)
        if replicas > 1:
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
        norm = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in gradients])
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # An overflow is met by skipping the update; the norm of nothing is 0.
            norm = tf.where(tf.math.is_finite(norm), norm / optimizer.dynamic_scale.value, 0.0)
        # Keras' optimizer sums over the replicas once more, so each of them brings its share of the sum.
        factor = 1.0 / replicas
        if clip_norm is not None:
            factor *= clip_norm / tf.maximum(norm, clip_norm)
        if replicas > 1 or clip_norm is not None:
            gradients = [gradient * tf.cast(factor, gradient.dtype) for gradient in gradients]
        optimizer.apply(list(gradients), list(variables))
        return norm


def _mean(term: tf.Tensor | Weighted) -> Weighted:
    weight, value = Weighted.of(term)
    return Weighted(weight, tf.reduce_mean(tf.cast(value, tf.float32)))
