"""CycleGAN (Zhu, Park, Isola and Efros 2017): translation between two sets of images that are not paired."""

import gin
import keras
import tensorflow as tf

from tfade import numerics
from tfade.errors import UsageError, check_finite, one_line
from tfade.models.adversary import Adversary, of_example
from tfade.models.base import GenerativeModel
from tfade.models.history_pool import HistoryPool
from tfade.models.players import Player, Weighted
from tfade.networks.translation import PatchDiscriminator, ResidualTranslator
from tfade.objectives.divergences import LeastSquares
from tfade.objectives.reconstruction import absolute_error
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class CycleGAN(GenerativeModel):
    """Translators G: X → Y and F: Y → X, each undone by the other, and a discriminator of each domain.

        translators          w [D_Y(G(x)) as data + D_X(F(y)) as data]
                             + λ [‖F(G(x)) − x‖₁ + ‖G(F(y)) − y‖₁] + λ_id [‖G(y) − y‖₁ + ‖F(x) − x‖₁]
        discriminator        D_X on data x, and on translations F(y)
        other_discriminator  D_Y on data y, and on translations G(x)

    with the least squares of Mao et al., ½ (v − 1)² and ½ v², for which w = 2 gives the translators the paper's
    (D − 1)², and norms that are means over the dimensions of an image in [-1, 1]. Each discriminator is shown
    translations from a `HistoryPool`, the translators by new ones. `discriminate` is D_X, averaged over its
    patches.

    Args:
        spec: what the data look like, with the second domain in `other`; both are images. Domains of different channels
            are possible with λ_id = 0, where the networks take them.
        cycle_weight: λ ≥ 0, 10 in the paper.
        identity_weight: λ_id ≥ 0, 0 in the paper's equation 3; 5 for paintings (section 5.2), and by default in the
            authors' code. It needs domains of one shape.
        adversarial_weight: w ≥ 0.
        pool_size: images of each domain that are remembered, 50 in the paper; 0 for none.
        translator: network class, called as `translator(image_shape, output_shape)`; see `tfade.networks.translation`.
        discriminator: network class, called as `discriminator(image_shape)`.
        divergence: class of the adversarial losses, see `tfade.objectives.divergences`.
        penalty: class of the discriminators' penalty, see `tfade.objectives.penalties`; None for none.

    Raises:
        UsageError: no second domain, domains that are not images, or not of one shape with λ_id > 0; a weight or a pool
            size out of range; a translator whose images are not of the other domain's shape.

    Reference: Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
        equations 1 to 3 and section 4.
    """

    fields = ("images", "other")

    def __init__(
        self,
        spec,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.0,
        adversarial_weight: float = 2.0,
        pool_size: int = 50,
        translator=ResidualTranslator,
        discriminator=PatchDiscriminator,
        divergence=LeastSquares,
        penalty=None,
    ):
        super().__init__(spec)
        check_finite("cycle_weight", cycle_weight)
        check_finite("identity_weight", identity_weight)
        check_finite("adversarial_weight", adversarial_weight)
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.adversarial_weight = adversarial_weight
        self.other_shape = self._checked_domains()
        first, second = self.image_shape, self.other_shape
        self.pool, self.other_pool = (
            HistoryPool(self, name, pool_size, shape) for name, shape in (("pool", first), ("other_pool", second))
        )
        self.translator = self._add_translator("translator", translator, first, second)
        self.translator_back = self._add_translator("translator_back", translator, second, first)
        self.adversary, self.other_adversary = (
            Adversary(self.add_network(name, discriminator, shape), divergence, penalty)
            for name, shape in (("discriminator", first), ("other_discriminator", second))
        )

    def _checked_domains(self) -> tuple[int, ...]:
        """The shape of an example of the second domain."""
        spec, other = self.spec, self.spec.other
        if other is None:
            raise UsageError(
                f"CycleGAN translates between two sets of images and data={spec.name!r} is one; set other_data = NAME"
            )
        if not (spec.is_image and other.is_image):
            vectors = other if spec.is_image else spec
            raise UsageError(f"CycleGAN translates images, and data={vectors.name!r} holds vectors; give images")
        if self.identity_weight and spec.shape != other.shape:
            raise UsageError(
                f"identity_weight={self.identity_weight!r} compares images with translations, but data have the shape "
                f"{spec.shape} and other_data {other.shape}; use 0, or one load.channels and load.image_size for both"
            )
        return other.shape

    def _add_translator(self, name: str, make, source: tuple[int, ...], target: tuple[int, ...]) -> keras.Layer:
        """The network of one direction, whose images are of the shape of the other domain's."""
        network = self.add_network(name, make, source, target)
        owner, remedy = f"CycleGAN.translator made {type(network).__name__}, which", "give a class whose networks"
        try:
            images = network(keras.KerasTensor((None, *source)), training=False)  # shapes alone, nothing is computed
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            cause = one_line(error).partition(" Arguments received")[0]
            raise UsageError(
                f"{owner} does not take images of shape {source} ({cause}); {remedy} take the image_shape "
                "that they are made with"
            ) from error
        shape = tuple(getattr(images, "shape", ()))[1:]
        if not shape or not tf.TensorShape(shape).is_compatible_with(target):
            raise UsageError(
                f"{owner} turns images of shape {source} into {shape or 'no images'}, and the other domain's are of "
                f"shape {target}; {remedy} return the output_shape that they are made with"
            )
        return network

    def players(self):
        return (
            Player("translators", self.translator, self.translator_back),
            Player("discriminator", self.adversary.network),
            Player("other_discriminator", self.other_adversary.network),
        )

    def losses(self, batch: Batch, seeds: Seeds):
        # 1. Translations of both domains, and these translated back
        x, y = self.network_input(batch.images), self.other_network_input(batch.other)
        translated, translated_back = self.translator(x, training=True), self.translator_back(y, training=True)
        cycle = absolute_error(x, self.translator_back(translated, training=True))
        cycle_back = absolute_error(y, self.translator(translated_back, training=True))
        translators = {"cycle": Weighted(self.cycle_weight, cycle)}
        translators["cycle_back"] = Weighted(self.cycle_weight, cycle_back)
        # 2. Images that are of the right domain already
        if weight := self.identity_weight:
            identity = absolute_error(y, self.translator(y, training=True))
            identity_back = absolute_error(x, self.translator_back(x, training=True))
            translators |= {"identity": Weighted(weight, identity), "identity_back": Weighted(weight, identity_back)}
        # 3. A discriminator of each domain
        fooled, other_discriminator = self.other_adversary.terms(
            y, {"fake": translated}, seeds, discriminator_fakes={"fake": self.other_pool(translated, seeds)}
        )
        fooled_back, discriminator = self.adversary.terms(
            x, {"fake": translated_back}, seeds, discriminator_fakes={"fake": self.pool(translated_back, seeds)}
        )
        translators["adversarial"] = Weighted(self.adversarial_weight, fooled["fake"])
        translators["adversarial_back"] = Weighted(self.adversarial_weight, fooled_back["fake"])
        return {
            "translators": translators,
            "discriminator": discriminator,
            "other_discriminator": other_discriminator,
        }

    def other_network_input(self, y) -> tf.Tensor:
        """Images of the second domain, uint8 or floats in [0, 1], as networks see them: in [-1, 1], checked."""
        return self.network_range(numerics.checked_unit(y, self.other_shape))

    def validate(self, batch: Batch):
        """The cycle errors in the units of the loss: mean absolute differences of images in [-1, 1], unweighted."""
        translator, translator_back = self.network("translator"), self.network("translator_back")
        x, y = self.network_input(batch.images), self.other_network_input(batch.other)
        cycle = translator_back(translator(x, training=False), training=False)
        cycle_back = translator(translator_back(y, training=False), training=False)
        return {"cycle": absolute_error(x, cycle), "cycle_back": absolute_error(y, cycle_back)}

    # ---- Public contract ----

    def translate(self, x):
        return numerics.from_signed(self.network("translator")(self.network_input(x), training=False))

    def translate_back(self, y):
        return numerics.from_signed(self.network("translator_back")(self.other_network_input(y), training=False))

    def discriminate(self, x, labels=None):
        self.checked_labels(labels)
        return of_example(self.network("discriminator")(self.network_input(x), training=False))
