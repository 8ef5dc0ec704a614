"""GANs of p(x | y): the class goes into the generator and into the discriminator."""

import functools

import gin
import tensorflow as tf

from tfade.contract import as_spec
from tfade.errors import UsageError, check_class, check_finite
from tfade.models.gan import GAN
from tfade.models.players import Weighted
from tfade.networks.conditional import (
    ConditionalDiscriminator,
    ConditionalGenerator,
    conditional_generator,
    has_classifier,
    require_classes,
)
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.penalties import R1
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class ConditionalGAN(GAN):
    """A GAN of images given their class, by a discriminator of pairs (x, y).

        generator      -log D(G(z, y), y) - a log C(y | G(z, y))
        discriminator  -log D(x, y) - log(1 - D(G(z, y), y)) - a (log C(y | x) + log C(y | G(z, y))) + penalty

    Samples of a batch have the labels of its images. D is a projection discriminator; with an auxiliary classifier C
    (`ConditionalDiscriminator.auxiliary`), a > 0, and D sees images alone. The penalty is on D, with respect to x.

    Args:
        spec: what the data look like; they have classes.
        latent_size: dimension of z.
        generator: network class, called as `generator(image_shape, latent_size, num_classes=…)`; one that does not take
            `num_classes` gets z with the one-hot class appended.
        discriminator: network class, called as `discriminator(image_shape, num_classes=…)`.
        auxiliary_weight: a ≥ 0; 1 in the paper. It is of use to a discriminator with an auxiliary classifier only.
        divergence, penalty, dequantise: see `GAN`.

    Raises:
        UsageError: data without classes, a discriminator that does not take classes, a weight without a classifier or
            a classifier without a weight, or what `GAN` rejects.

    Reference: Miyato and Koyama 2018; Odena, Olah and Shlens 2017, equations 2 and 3.
    """

    conditional, fields = True, ("images", "labels")

    def __init__(
        self,
        spec,
        latent_size: int = 128,
        generator=ConditionalGenerator,
        discriminator=ConditionalDiscriminator,
        divergence=CrossEntropy,
        penalty=R1,
        dequantise: bool = False,
        auxiliary_weight: float = 0.0,
    ):
        check_finite("auxiliary_weight", auxiliary_weight)
        check_class("generator", generator)
        require_classes(discriminator)
        classes = as_spec(spec).num_classes
        super().__init__(
            spec,
            latent_size,
            lambda shape, size: conditional_generator(generator, shape, size, classes),
            functools.partial(discriminator, num_classes=classes),
            divergence,
            penalty,
            dequantise,
        )
        self.auxiliary_weight = auxiliary_weight
        if bool(auxiliary_weight) != has_classifier(self.discriminator):
            raise UsageError(
                f"auxiliary_weight={auxiliary_weight!r} does not suit the discriminator: a weight above 0 needs "
                "one with a classifier (ConditionalDiscriminator.auxiliary = True), and a classifier needs a weight"
            )

    def losses(self, batch: Batch, seeds: Seeds):
        labels = batch.labels
        real = self.network_input(batch.images, self.uniform_noise(seeds))
        fake = self.generator(self.conditioned(self.prior_sample(seeds, batch.size), labels), training=True)
        adversarial, discriminator = self.adversary.terms((real, labels), {"fake": (fake, labels)}, seeds)
        generator = {"adversarial": adversarial["fake"]}
        if self.auxiliary_weight:
            of_real, of_fake = (self._class_error(x, labels) for x in (real, fake))
            generator["class"] = Weighted(self.auxiliary_weight, of_fake)
            discriminator["class"] = Weighted(self.auxiliary_weight, of_real + of_fake)
        return {"generator": generator, "discriminator": discriminator}

    def _class_error(self, x, labels) -> tf.Tensor:
        """-log C(y | x), [batch], in training."""
        logits = self.discriminator.class_logits(x, training=True)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
