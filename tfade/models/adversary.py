"""A discriminator, what it estimates and what regularises it: the adversarial part that models share."""

import keras
import tensorflow as tf

from tfade.errors import UsageError
from tfade.models.players import Weighted
from tfade.objectives.divergences import Divergence
from tfade.objectives.penalties import Penalty
from tfade.seeds import Seeds


class Adversary:
    """Both sides' adversarial losses from one evaluation of the discriminator on data and one on samples.

        generator      as the divergence says, on D(x̃)
        discriminator  real(D(x)) + fake(D(x̃)) + γ · penalty

    It owns no variable: the model registers the network (`add_network`) and names the player that moves it.

    Args:
        network: D, examples [batch, ...] → [batch, 1].
        divergence: class of the losses, see `tfade.objectives.divergences`; made without arguments.
        penalty: class of the penalty, see `tfade.objectives.penalties`; made without arguments. None for none.

    Raises:
        UsageError: an object where a class is wanted, or a penalty that does not go with the network.
    """

    def __init__(self, network: keras.Layer, divergence, penalty=None):
        for name, given, kind in (("divergence", divergence, Divergence), ("penalty", penalty, Penalty)):
            if isinstance(given, kind) or not (callable(given) or (given is None and name == "penalty")):
                raise UsageError(
                    f"{name}={given!r} is no class; give one such as functools.partial(R1, weight=2.0), or in gin @R1 "
                    "without parentheses"
                )
        self.network = network
        self.divergence = divergence()
        self.penalty = penalty() if penalty is not None else None
        if self.penalty is not None:
            self.penalty.prepare(network)

    def terms(self, real, fake, seeds: Seeds) -> tuple[tf.Tensor, dict[str, tf.Tensor | Weighted]]:
        """The generator's loss on `fake`, and the discriminator's terms.

        The penalty moves the discriminator alone: its points are constants to whatever made the samples.

        Args:
            real, fake: data and samples as the network sees them, float32 [batch, ...].
            seeds: the noise of this pass; the penalty draws "penalty" from it.

        Returns:
            The generator's values [batch], and {"real", "fake", and the penalty's name}: values [batch].
        """
        on_real, on_fake = self._critic(real), self._critic(fake)
        terms = {"real": self.divergence.real(on_real), "fake": self.divergence.fake(on_fake)}
        if self.penalty is not None and self.penalty.weight:
            mix = seeds.uniform("penalty", (tf.shape(real)[0],))
            value = self.penalty(self._critic, real, tf.stop_gradient(fake), mix)
            terms[self.penalty.name] = Weighted(self.penalty.weight, value)
        return self.divergence.generator(on_fake), terms

    def _critic(self, examples):
        return self.network(examples, training=True)
