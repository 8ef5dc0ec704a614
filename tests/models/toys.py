"""Small models of the kinds that the library's mechanism carries and its own models do not all use."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tfade import numerics
from tfade.distributions.mixture import GaussianMixture
from tfade.models.base import GenerativeModel
from tfade.models.gan import GAN
from tfade.models.latent import Autoencoder, LatentVariableModel, deterministic
from tfade.models.players import Player, Weighted
from tfade.models.stages import Stage
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.discriminators import CodeDiscriminator
from tfade.networks.perceptual import FeatureNetwork
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.reconstruction import absolute_error, squared_error

ENCODER = functools.partial(DCGANEncoder, width=3, initial_scale=None)
DECODER = functools.partial(DCGANGenerator, width=3, initial_scale=None)


class ConditionalAutoencoder(Autoencoder):
    """An adversarial autoencoder whose decoder and code discriminator are given the class."""

    conditional, fields = True, ("images", "labels")

    def __init__(self, spec):
        super().__init__(spec, 3, ENCODER, DECODER)
        size = 3 + self.condition_size
        self.adversary = self.add_adversary("code_discriminator", lambda: CodeDiscriminator(size, 8, 1), CrossEntropy)

    def players(self):
        return Player("autoencoder", self.encoder, self.decoder), Player("code_discriminator", self.adversary.network)

    def losses(self, batch, seeds):
        x = self.network_input(batch.images)
        code = self.conditioned(self.code_sample(x, seeds), batch.labels)
        z = self.conditioned(self.prior_sample(seeds, batch.size), batch.labels)
        adversarial, discriminator = self.adversary.terms(z, {"code": code}, seeds)
        error = Weighted(5.0, squared_error(x, self.decoder(code, training=True)))
        return {
            "autoencoder": {"reconstruction": error, "adversarial": adversarial["code"]},
            "code_discriminator": discriminator,
        }


class TwoStages(Autoencoder):
    """An autoencoder, and after it a mixture over its codes: by EM first, then by gradients."""

    def __init__(self, spec):
        super().__init__(spec, 3, ENCODER, DECODER, prior=functools.partial(GaussianMixture, 2))

    def players(self):
        return Player("autoencoder", self.encoder, self.decoder), Player("prior", self.networks["prior"])

    def losses(self, batch, seeds):
        x = self.network_input(batch.images)
        if self.moves("autoencoder"):
            reconstruction = self.decoder(self.code_sample(x, seeds), training=True)
            return {"autoencoder": {"reconstruction": squared_error(x, reconstruction)}}
        codes = self.encoder(x, training=False)
        return {"prior": {"nll": -self.networks["prior"].distribution().log_prob(codes)}}


def fit_mixture(model: TwoStages, train) -> None:
    """EM on the codes of all training images."""
    codes = model.encoder(model.network_input(train.fetch(np.arange(train.spec.num_examples))), training=False)
    model.networks["prior"].fit_em(codes.numpy(), seed=0)


STAGES = (
    Stage("autoencoder", 1, players=("autoencoder",)),
    Stage("mixture", fit=fit_mixture),
    Stage("prior", 2, players=("prior",)),
)


class BalancedGAN(GAN):
    """A GAN that weighs its samples by a variable of its own, as BEGAN does with k_t."""

    def __init__(self, spec, **networks):
        super().__init__(spec, 3, **networks)
        self.balance = self.add_weight(
            name="balance", shape=(), initializer="zeros", trainable=False, aggregation="only_first_replica"
        )

    def losses(self, batch, seeds):
        losses = super().losses(batch, seeds)
        losses["discriminator"]["fake"] *= 1.0 + self.balance.value
        return losses

    def decode(self, z, labels=None):
        return super().decode(z, labels) * tf.exp(-tf.square(self.balance.value))

    def after_step(self, reported):
        self.balance.assign_add(0.1 * (reported["discriminator/real"] - reported["generator/adversarial"]))


class Embedding(GenerativeModel):
    """An encoder and nothing else: codes that tell images from their mirror images."""

    latent_size = 3

    def __init__(self, spec):
        super().__init__(spec)
        self.encoder = self.add_network("encoder", lambda: ENCODER(self.image_shape, self.latent_size))

    def players(self):
        return (Player("encoder", self.encoder),)

    def losses(self, batch, seeds):
        x = self.network_input(batch.images)
        code, mirrored = self.encoder(x, training=True), self.encoder(x[:, :, ::-1], training=True)
        contrast = tf.reduce_mean(tf.exp(-((code - mirrored) ** 2)), -1)
        return {"encoder": {"contrast": contrast, "size": tf.reduce_mean(code**2, -1)}}

    def encode(self, x, labels=None):
        self.checked_labels(labels)
        return deterministic(self.network("encoder")(self.network_input(x), training=False))


class Translator(GenerativeModel):
    """Two domains of images and a network each way, trained by the consistency of the cycle."""

    fields = ("images", "other")

    def __init__(self, spec):
        super().__init__(spec)
        self.there = self.add_network("there", lambda: self._network(spec.shape, spec.other.shape))
        self.back = self.add_network("back", lambda: self._network(spec.other.shape, spec.shape))

    @staticmethod
    def _network(shape, output_shape) -> keras.Sequential:
        convolutions = [
            keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(output_shape[-1], 3, padding="same"),
        ]
        return keras.Sequential(
            [keras.Input(shape), *convolutions, keras.layers.Activation("sigmoid", dtype="float32")]
        )

    def players(self):
        return (Player("translators", self.there, self.back),)

    def losses(self, batch, seeds):
        x, y = self.unit(batch.images), numerics.to_unit(batch.other)
        cycle = absolute_error(x, self.back(self.there(x, training=True), training=True))
        other_cycle = absolute_error(y, self.there(self.back(y, training=True), training=True))
        return {"translators": {"cycle": cycle, "other_cycle": other_cycle}}

    def translate(self, x):
        return self.network("there")(self.unit(x), training=False)

    def translate_back(self, y):
        return self.network("back")(numerics.to_unit(y), training=False)


class LatentOptimisation(LatentVariableModel):
    """A decoder and one free code for every training image (GLO, Bojanowski et al. 2018)."""

    fields = ("images", "index")

    def __init__(self, spec):
        super().__init__(spec, 3)
        self.decoder = self.add_network("decoder", lambda: DECODER(self.image_shape, 3))
        self.table = self.add_network("codes", self._table)

    def _table(self) -> keras.layers.Embedding:
        table = keras.layers.Embedding(self.spec.num_examples, self.latent_size)
        table.build(())
        return table

    def players(self):
        return (Player("decoder", self.decoder, self.table),)

    def losses(self, batch, seeds):
        reconstruction = self.decoder(tf.cast(self.table(batch.index), tf.float32), training=True)
        return {"decoder": {"reconstruction": squared_error(self.network_input(batch.images), reconstruction)}}


class EdgeFeatures(FeatureNetwork):
    """A perceptual network of one convolution, without a file."""

    def __init__(self):
        super().__init__(("edges",))

    def _whole(self):
        images = keras.Input((None, None, 3))
        return keras.Model(images, keras.layers.Conv2D(2, 3, activation="relu", name="edges")(images))

    def load(self):
        self.network.set_weights([np.cos(np.arange(54.0)).reshape(3, 3, 3, 2), np.zeros(2)])


class Same(keras.Sequential):
    """Vectors as they are."""

    def __init__(self, shape, outputs):
        super().__init__([keras.Input(shape), keras.layers.Activation("linear")])


class Linear(keras.Sequential):
    """[z, y] → W [z, y]."""

    def __init__(self, shape, inputs, activation=None):
        super().__init__([keras.Input((inputs,)), keras.layers.Dense(shape[0], use_bias=False)])
