"""What every model answers, and the one training step that all of them share."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.averages import WeightAverages
from tfade.models.players import PerStep, Player, Weighted, passes
from tfade.models.term_means import TermMeans
from tfade.seeds import Seeds

GRADIENT_NORM = "gradient_norm"  # reported for every player beside its terms


class GenerativeModel(keras.Model):
    """A generative model: networks, players, and the questions of likelihood, inference and sample quality.

    A subclass builds its networks with `add_network` and defines `players` and `losses`; tapes, optimizers, replicas,
    precision and reporting are handled here, once.

    Args:
        image_shape: shape of one example, (H, W, C).
    """

    likelihood: str | None = None  # "exact", "lower_bound" or None: what `log_prob` returns

    def __init__(self, image_shape: Sequence[int]):
        super().__init__()
        self.image_shape = tuple(int(size) for size in image_shape)
        self.networks: dict[str, keras.Layer] = {}
        self._makers: dict[str, Callable[[], keras.Layer]] = {}
        self.step = self.add_weight(
            name="step", shape=(), dtype="int64", initializer="zeros", trainable=False, aggregation="only_first_replica"
        )
        self.built = True  # networks make their variables when they are constructed

    # ---- What a subclass defines ----

    def add_network(self, name: str, make: Callable[[], keras.Layer]) -> keras.Layer:
        """Makes a network and registers it, so that it is saved and can be averaged under `name`."""
        self._makers[name] = make
        self.networks[name] = make()
        return self.networks[name]

    def players(self) -> tuple[Player, ...]:
        """The players; each moves its own networks."""
        raise NotImplementedError

    def losses(self, x: tf.Tensor, seeds: Seeds) -> dict[str, dict[str, tf.Tensor | Weighted]]:
        """Every player's terms on this replica's part of the batch.

        Networks run in training mode whichever player moves, so batch normalisation follows every pass.

        Args:
            x: examples as the pipeline yields them, uint8 [batch, H, W, C].
            seeds: the noise of this pass.

        Returns:
            {player: {term: values}}; values are [batch] or scalar, and are averaged; `Weighted` sets a weight.
        """
        raise NotImplementedError

    def validate(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Terms [batch] on held-out examples, in inference mode, for the validation record; none by default."""
        return {}

    def initialise(self, x: tf.Tensor) -> None:
        """Sets what is to be set from data before the first step (ActNorm); nothing by default.

        Args:
            x: the first global batch, as the pipeline yields it.
        """

    # ---- What a user asks ----

    def sample(self, n: int, temperature: float = 1.0, seed=None) -> tf.Tensor:
        """Images [n, H, W, C], float32 in [0, 1].

        Args:
            n: how many.
            temperature: factor on the standard deviation of the prior; 1 is the model itself.
            seed: an integer or a scalar tensor; equal seeds give equal images. None draws fresh entropy.
        """
        raise self.cannot("sample", "its author did not define it")

    def encode(self, x):
        """The distribution over codes [batch, latent_size] given images (uint8, or float in [0, 1])."""
        raise self.cannot("encode", "it has no encoder")

    def codes(self, x) -> tf.Tensor:
        """The code that stands for each image, [batch, latent_size]: the mean of `encode`, or a posterior's centre."""
        return self.encode(x).mean()

    def decode(self, z) -> tf.Tensor:
        """Images in [0, 1], [batch, H, W, C], from codes [batch, latent_size]."""
        raise self.cannot("decode", "it has no decoder")

    def conditional(self, z):
        """The distribution p(· | z) of what a model with a likelihood observes, for codes [batch, latent_size]."""
        raise self.cannot("conditional", "it has no distribution of images around those that it decodes")

    def reconstruct(self, x) -> tf.Tensor:
        """Images in [0, 1] from the codes of images `x` (uint8, or float in [0, 1])."""
        raise self.cannot("reconstruct", "it has no encoder")

    def interpolate(self, first, last, steps: int = 8) -> tf.Tensor:
        """Images on straight lines between codes: [n, steps, H, W, C], from `first` [n, H, W, C] to `last`."""
        ends = [self.codes(images)[:, None] for images in (first, last)]
        weights = tf.reshape(tf.linspace(0.0, 1.0, steps), (1, -1, 1))
        codes = ends[0] * (1 - weights) + ends[1] * weights
        images = self.decode(tf.reshape(codes, (-1, codes.shape[-1])))
        return tf.reshape(images, (-1, steps, *self.image_shape))

    def discriminate(self, x) -> tf.Tensor:
        """The data discriminator's logits [batch] on images (uint8, or float in [0, 1])."""
        raise self.cannot("discriminate", "it has no discriminator")

    def log_prob(self, x, num_samples: int = 1) -> tf.Tensor:
        """Nats per example [batch], of the kind that `likelihood` declares."""
        raise self.cannot("log_prob", "it defines no density")

    def cannot(self, method: str, reason: str) -> NotImplementedError:
        """The error of a question that this model has no answer to."""
        return NotImplementedError(f"{type(self).__name__} cannot {method}: {reason}")

    # ---- Training ----

    def compile(
        self,
        make_optimizer: Callable[[str], keras.Optimizer],
        *,
        seed: int = 0,
        schedule: Sequence[Sequence[str]] | None = None,
        fresh_batches: bool = False,
        fresh_noise: bool = True,
        clip_norm: float | None = None,
        average_decay: dict[str, float] | None = None,
        jit_compile: bool = False,
    ):
        """Prepares training; call it inside the scope of the strategy that made the model.

        Args:
            make_optimizer: player's name → its optimizer. Learning-rate schedules count training steps, however often
                the player moves in one.
            seed: of all noise in training.
            schedule: phases of one step, see `players.passes`. None updates all players together.
            fresh_batches: every pass takes a batch of its own; otherwise the passes of a step share one.
            fresh_noise: every pass draws its own noise; otherwise the passes of a step share it (Flow-GAN's code).
            clip_norm: largest global norm of a player's gradient, summed over replicas. None: no clipping.
            average_decay: network → decay in (0, 1) of its exponential moving average, which then serves
                every method of the public interface.
            jit_compile: compile the step with XLA (it pays on GPUs and for flows, not for convolutions on CPUs). Its
                random numbers are others than those of the same seed without it.

        Raises:
            UsageError: an unknown player or network, or a value out of range.
        """
        super().compile(optimizer=None, jit_compile=jit_compile)
        if clip_norm is not None and not clip_norm > 0:
            raise UsageError(f"clip_norm={clip_norm!r} is not a positive number; use None for no clipping")
        self._players = {player.name: player for player in self.players()}
        self.passes = passes(schedule, tuple(self._players))
        self.batches_per_step = len(self.passes) if fresh_batches else 1
        self._fresh_noise, self._clip_norm, self.seed = fresh_noise, clip_norm, seed
        self.optimizers = {}
        for name, player in self._players.items():
            optimizer = make_optimizer(name)
            updates = sum(name in moving for moving in self.passes)
            if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule) and updates > 1:
                optimizer.learning_rate = PerStep(optimizer._learning_rate, updates)
            if keras.mixed_precision.dtype_policy().name == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            optimizer.build(player.variables)
            self.optimizers[name] = optimizer
        self.averages = WeightAverages(self.networks, self._makers, average_decay or {})
        self.term_means = TermMeans(self._report_names())

    @property
    def metrics(self):
        return [self.term_means] if hasattr(self, "term_means") else []

    def network(self, name: str) -> keras.Layer:
        """The network that serves the public interface: the average of `name` where there is one."""
        averages = getattr(self, "averages", None)
        return averages.networks[name] if averages and name in averages.networks else self.networks[name]

    def fit(self, x=None, *args, **kwargs):
        """Keras' `fit`; before the very first step, what is set from data sees the first batch of a `tf.data` set."""
        if type(self).initialise is not GenerativeModel.initialise and int(tf.convert_to_tensor(self.step.value)) == 0:
            if not isinstance(x, (tf.data.Dataset, tf.distribute.DistributedDataset)):
                raise UsageError(
                    f"x is a {type(x).__name__}; {type(self).__name__} looks at the first batch before it trains: "
                    "give a tf.data.Dataset of batches, such as Dataset.from_tensor_slices(x).batch(64).repeat()"
                )
            with self.distribute_strategy.scope():
                batch = self._global(_images(next(iter(x))))  # a data set begins anew for `fit`
                self.initialise(batch[:, 0] if self.batches_per_step > 1 else batch)
                self.averages.restart()
        return super().fit(x, *args, **kwargs)

    def _global(self, batch) -> tf.Tensor:
        """The whole batch from the parts that lie on the replicas, of all workers."""
        strategy = self.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return batch
        wide = strategy.run(lambda rows: tf.cast(rows, tf.int32) if rows.dtype == tf.uint8 else rows, (batch,))
        return tf.cast(strategy.gather(wide, axis=0), strategy.experimental_local_results(batch)[0].dtype)

    def train_step(self, batch: tf.Tensor) -> dict[str, tf.Tensor]:
        """One step of the whole schedule on this replica's part of the global batch.

        Args:
            batch: [rows, *shape], or [rows, passes, *shape] when every pass has a fresh batch.

        Returns:
            The means since the last reset of every "player/term".
        """
        batch = _images(batch)
        reported: dict[str, list[tf.Tensor]] = {}
        for index, players in enumerate(self.passes):
            x = batch[:, index] if self.batches_per_step > 1 else batch
            for name, value in self._move(players, x, self._seeds(index)).items():
                reported.setdefault(name, []).append(value)
        self.averages.update(self.step)
        self.step.assign_add(1)
        self.term_means.update_state({name: tf.add_n(values) / len(values) for name, values in reported.items()})
        return self.get_metrics_result()

    def _seeds(self, index: int) -> Seeds:
        context = tf.distribute.get_replica_context()
        return Seeds(
            self.seed,
            self.step.value,
            context.replica_id_in_sync_group if context else 0,
            self.distribute_strategy.num_replicas_in_sync,
            scope=str(index) if self._fresh_noise else "",
        )

    def _move(self, players: Sequence[str], x, seeds: Seeds) -> dict[str, tf.Tensor]:
        """One pass: a forward pass, then the players' gradients, then their updates; returns what is reported."""
        reported, gradients = {}, {}
        with tf.GradientTape(persistent=len(players) > 1) as tape:
            losses = self.losses(x, seeds)
            totals = {}
            for name in players:
                terms = {term: _mean(value) for term, value in losses[name].items()}
                reported |= {f"{name}/{term}": value for term, (_, value) in terms.items()}
                totals[name] = self._scaled(name, tf.add_n([weight * value for weight, value in terms.values()]))
        for name in players:
            gradients[name] = tape.gradient(totals[name], self._players[name].variables)
        for name in players:
            reported[f"{name}/{GRADIENT_NORM}"] = self._update(name, gradients[name])
        return reported

    def _scaled(self, name: str, loss: tf.Tensor) -> tf.Tensor:
        """The loss to differentiate: the mean over the global batch, and scaled up in half precision."""
        return self.optimizers[name].scale_loss(loss / self.distribute_strategy.num_replicas_in_sync)

    def _update(self, name: str, gradients: list) -> tf.Tensor:
        """Applies the gradient of the global batch, clipped; returns its norm before clipping."""
        optimizer, variables = self.optimizers[name], self._players[name].variables
        replicas = self.distribute_strategy.num_replicas_in_sync
        reached = [(v, g) for v, g in zip(variables, gradients, strict=True) if g is not None]
        if not reached:
            raise UsageError(f"player {name!r}: its loss depends on none of its networks' variables")
        variables, gradients = zip(*reached)
        if replicas > 1:
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
        norm = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in gradients])
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # An overflow is met by skipping the update; the norm of nothing is 0.
            norm = tf.where(tf.math.is_finite(norm), norm / optimizer.dynamic_scale.value, 0.0)
        # Keras' optimizer sums over the replicas once more, so each of them brings its share of the sum.
        factor = 1.0 / replicas
        if self._clip_norm is not None:
            factor *= self._clip_norm / tf.maximum(norm, self._clip_norm)
        if replicas > 1 or self._clip_norm is not None:
            gradients = [gradient * tf.cast(factor, gradient.dtype) for gradient in gradients]
        optimizer.apply(list(gradients), list(variables))
        return norm

    def _report_names(self) -> list[str]:
        """The names of all terms, found by tracing the losses once without running them."""
        names: list[str] = []

        def trace(x):
            losses = self.losses(x, self._seeds(0))
            for player in self._players:
                names.extend(f"{player}/{term}" for term in losses[player])

        x = tf.TensorSpec((2, *self.image_shape), tf.uint8 if len(self.image_shape) == 3 else tf.float32)
        tf.function(lambda x: self.distribute_strategy.run(trace, args=(x,))).get_concrete_function(x)
        unique = list(dict.fromkeys(names))  # every replica traces
        return unique + [f"{player}/{GRADIENT_NORM}" for player in self._players]

    def make_train_function(self, force: bool = False):
        """Builds the compiled step. Keras' own fails under several workers, this one serves every strategy."""
        if self.train_function is not None and not force:
            return
        strategy = self.distribute_strategy
        step = tf.function(self.train_step, jit_compile=True) if self.jit_compile else self.train_step

        @tf.function
        def train_function(iterator):
            logs = strategy.run(step, args=(next(iterator),))
            # Every replica reports the same means (see TermMeans), so any of them will do.
            return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

        self.train_function = train_function

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Keras would draw a batch to build an unbuilt model; ours is built, and the first batch is not to be spent."""

    def reset_metrics(self):
        """Begins a new reporting interval, except right after a restore into the middle of one."""
        if getattr(self, "keep_metrics_once", False):
            self.keep_metrics_once = False
        else:
            super().reset_metrics()

    # ---- State ----

    def state(self) -> dict[str, keras.Variable]:
        """Every variable that a checkpoint holds, by a name that is the same in every process."""
        groups = dict(self.networks)
        if hasattr(self, "optimizers"):
            groups |= {f"average.{name}": network for name, network in self.averages.networks.items()}
            groups |= {f"optimizer.{name}": optimizer for name, optimizer in self.optimizers.items()}
            groups["report"] = self.term_means
        # By position: Keras numbers layers over the whole process, so their names differ from one model to the next.
        named = {
            f"{group}/{position:03d}": variable
            for group, owner in groups.items()
            for position, variable in enumerate(owner.variables)
        }
        return named | {"step": self.step}


def _images(data) -> tf.Tensor:
    return data["images"] if isinstance(data, dict) else data


def _mean(term: tf.Tensor | Weighted) -> Weighted:
    weight, value = term if isinstance(term, Weighted) else (1.0, term)
    return Weighted(weight, tf.reduce_mean(tf.cast(value, tf.float32)))
