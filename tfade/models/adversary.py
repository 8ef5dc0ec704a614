"""A discriminator, what it estimates and what regularises it: the adversarial part that models share."""

import functools
from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from tfade.errors import UsageError, check_class
from tfade.models.players import Weighted
from tfade.seeds import Seeds


class Adversary:
    """Both sides' adversarial losses, from one evaluation of the discriminator on the data and one on each fake.

        generator      as the divergence has it, on D(x̃), for each kind of fake
        discriminator  real(D(x)) + Σ fake(D(x̃)) + γ · penalty

    The discriminator of a `shift_invariant` divergence always takes the mean over the kinds of fakes in place of their
    sum, so that a constant in D cancels.

    It owns no variable: the model registers the network (`add_network`) and names the player that moves it.

    Args:
        network: D, examples [batch, ...] → [batch, 1], or [batch, h, w, 1] of patches, over which losses are averaged;
            of nested examples, such as (x, z), if it is called with such.
        divergence: class of the losses, see `tfade.objectives.divergences`; made without arguments.
        penalty: class of the penalty, see `tfade.objectives.penalties`; made without arguments. None for none.

    Raises:
        UsageError: an object where a class is wanted, or a penalty that is incompatible with the network.
    """

    def __init__(self, network: keras.Layer, divergence, penalty=None):
        check_class("divergence", divergence)
        check_class("penalty", penalty, optional=True)
        self.network = network
        self.divergence = divergence()
        self.penalty = penalty() if penalty is not None else None
        if self.penalty is not None:
            self.penalty.prepare(network)

    def terms(
        self,
        real,
        fakes: Mapping,
        seeds: Seeds,
        *,
        train_real_side: bool = False,
        together: bool = False,
        mean_of_fakes: bool = False,
        discriminator_fakes: Mapping | None = None,
        outputs: Sequence[tf.Tensor] | None = None,
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor | Weighted]]:
        """The generator's loss on each fake, and the discriminator's terms.

        The penalty moves the discriminator alone: its points are constants to whatever made the samples. With several
        fakes it is the mean over them, unless it depends on the data alone.

        Args:
            real: data as the network sees them, float32 [batch, ...], or a nested structure such as (x, z).
            fakes: {name: samples}, each of the structure of `real`.
            seeds: the noise of this pass; the penalty draws "penalty" from it.
            train_real_side: whether the real side is generated, too, as by the encoder in (x, E(x)), whose loss then is
                among the generator's terms as "real".
            together: the discriminator is called once, on all examples in one batch. It matters where it normalises
                over the batch.
            mean_of_fakes: whether the discriminator takes the mean over the kinds of fakes in place of their sum.
            discriminator_fakes: what the discriminator sees in the place of the fakes, under their names, such as draws
                of a `HistoryPool`; constants to whatever made them. None for the fakes themselves.
            outputs: the discriminator's, on `real`, each fake and each of `discriminator_fakes`, where they are known,
                and `together` has no effect; None to evaluate it.

        Returns:
            The generator's terms {name: values [batch]}, and the discriminator's {"real", every name, and the
            penalty's name}: values [batch], or `Weighted` ones.

        Raises:
            UsageError: no fakes, a fake with the name of another term, `discriminator_fakes` under other names, or
                another number of `outputs`.
        """
        reserved = {"real"} | ({self.penalty.name} if self.penalty is not None else set())
        if not fakes or reserved & set(fakes):
            raise UsageError(
                f"fakes={list(fakes)} must be non-empty and must not use the reserved names {sorted(reserved)}"
            )
        seen = {}
        if discriminator_fakes is not None:
            names = list(discriminator_fakes)
            if set(names) != set(fakes):
                raise UsageError(f"discriminator_fakes={names} must have the names of fakes={list(fakes)}")
            seen = {name: tf.nest.map_structure(tf.stop_gradient, discriminator_fakes[name]) for name in fakes}
        examples = [real, *fakes.values(), *seen.values()]
        if outputs is None:
            outputs = self._logits(examples, together)
        elif len(outputs) != len(examples):
            raise UsageError(f"outputs has {len(outputs)} entries; give {len(examples)}, of the data and of each fake")
        on_real, *values = outputs
        on_fakes, on_seen = dict(zip(fakes, values)), dict(zip(fakes, values[-len(fakes) :]))
        generator = {name: of_example(self.divergence.generator(values)) for name, values in on_fakes.items()}
        if train_real_side:
            generator["real"] = of_example(self.divergence.swapped(on_real))
        terms = {"real": of_example(self.divergence.real(on_real))}
        of_fakes = {name: of_example(self.divergence.fake(values)) for name, values in on_seen.items()}
        if (mean_of_fakes or self.divergence.shift_invariant) and len(fakes) > 1:
            of_fakes = {name: Weighted(1 / len(fakes), values) for name, values in of_fakes.items()}
        terms |= of_fakes
        if self.penalty is not None and self.penalty.weight:
            values = functools.partial(self._penalty, real, list((seen or fakes).values()), seeds)
            if self.penalty.interval == 1:  # a branch would be computed in passes that do not use it, too
                values = values()
            terms[self.penalty.name] = Weighted(self.penalty.weight, values)
        return generator, terms

    def _penalty(self, real, fakes: list, seeds: Seeds) -> tf.Tensor:
        if self.penalty.data_only:
            fakes = fakes[:1]
        fakes = tf.nest.map_structure(tf.stop_gradient, fakes)
        values = [self.penalty.of_step(self._penalised, real, fake, seeds) for fake in fakes]
        return tf.add_n(values) / len(values) if len(values) > 1 else values[0]

    def _logits(self, examples: list, together: bool) -> list[tf.Tensor]:
        """The discriminator's values on each kind of examples."""
        if not together:
            return [self._discriminate(each) for each in examples]
        values = self._discriminate(tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *examples))
        return tf.split(values, len(examples))

    def _discriminate(self, examples):
        return self.network(examples, training=True)

    def _penalised(self, examples) -> tf.Tensor:
        """One value of each example. A lazy penalty stands in a branch, in which replicas cannot update variables."""
        return of_example(self.network(examples, training=self.penalty.interval == 1))


def of_example(values: tf.Tensor) -> tf.Tensor:
    """One value of each example: the mean over the places of a discriminator of patches, [batch, ...] → [batch]."""
    return values if values.shape.rank == 1 else tf.reduce_mean(values, list(range(1, values.shape.rank)))
