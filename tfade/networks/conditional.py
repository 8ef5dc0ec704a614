"""Networks that are given the class: conditional normalisation in a generator, projection in a discriminator."""

import functools
import inspect
from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from tfade.errors import UsageError, check_class, check_sizes
from tfade.networks.dcgan import DCGANGenerator
from tfade.networks.sngan import SNGANDiscriminator
from tfade.networks.spectral import SpectralDense


def takes_classes(make: Callable) -> bool:
    """Whether a network's class, a partial of it or gin's reference to it has an argument `num_classes`."""
    while isinstance(make, functools.partial):
        make = make.func
    make = inspect.unwrap(make)  # of gin's scopes
    # The constructor itself: gin's subclass of a class shows no arguments.
    return "num_classes" in inspect.signature(make.__init__ if inspect.isclass(make) else make).parameters


def require_classes(discriminator) -> None:
    """Rejects the class of a discriminator that cannot be given labels."""
    check_class("discriminator", discriminator)
    if not takes_classes(discriminator):
        raise UsageError(
            f"discriminator={discriminator!r} takes no num_classes, so that it cannot take the class into account; use "
            "ConditionalDiscriminator, with this as its `network`"
        )


def has_classifier(discriminator: keras.Layer) -> bool:
    """Whether a discriminator classifies, too: `ConditionalDiscriminator.auxiliary`."""
    return bool(getattr(discriminator, "auxiliary", False))


def conditional_generator(make: Callable, shape, latent_size: int, num_classes: int, **arguments) -> keras.Layer:
    """A network of [z, y], latents with the one-hot class appended: [batch, latent_size + num_classes].

    A class that does not take `num_classes` sees y as additional latents, that is, in its first layer alone.
    """
    if takes_classes(make):
        return make(shape, latent_size, num_classes=num_classes, **arguments)
    return make(shape, latent_size + num_classes, **arguments)


@gin.register
class ConditionalGenerator(keras.layers.Layer):
    """[z, y], latents and the one-hot class → image, by a network with a gain and a shift of every class.

        r = ReLU(γ_y · n + β_y)

    in the place of ReLU(n), for every channel, with γ = 1 and β = 0 at the start. Behind batch normalisation that is
    conditional batch normalisation; without normalisation it is a conditional scale and shift of the features.

    Args:
        image_shape: (H, W, C).
        latent_size: dimension of z.
        num_classes: of y.
        activation: of the output, see `network`.
        network: class of a `keras.Sequential` whose rectifiers are layers of their own, called as `network(image_shape,
            latent_size, activation=activation)`, such as `DCGANGenerator` or `SNGANGenerator`.

    Raises:
        UsageError: a network without such rectifiers, or a size below 1.

    Reference: Dumoulin, Shlens and Kudlur 2017, equation 5; Miyato and Koyama 2018, appendix A.
    """

    def __init__(
        self,
        image_shape,
        latent_size: int,
        num_classes: int,
        activation: str | None = "tanh",
        network=DCGANGenerator,
    ):
        super().__init__()
        check_sizes("ConditionalGenerator", latent_size=latent_size, num_classes=num_classes)
        check_class("ConditionalGenerator.network", network)
        self.latent_size = latent_size
        self.network = network(image_shape, latent_size, activation=activation)
        rectifiers = [layer for layer in getattr(self.network, "layers", ()) if isinstance(layer, keras.layers.ReLU)]
        if not isinstance(self.network, keras.Sequential) or not rectifiers:
            raise UsageError(
                f"ConditionalGenerator.network={network!r} has no rectifiers as layers of their own, before which a "
                "class could act; use DCGANGenerator or SNGANGenerator"
            )
        self.modulations = {}
        for index, layer in enumerate(rectifiers):
            modulation = keras.layers.Dense(2 * layer.output.shape[-1], use_bias=False, kernel_initializer="zeros")
            modulation.build((None, num_classes))
            setattr(self, f"modulation_{index}", modulation)
            self.modulations[id(layer)] = modulation
        self.built = True

    def call(self, inputs, training=None):
        features, classes = inputs[:, : self.latent_size], inputs[:, self.latent_size :]
        for layer in self.network.layers:
            if (modulation := self.modulations.get(id(layer))) is not None:
                parameters = modulation(classes)
                parameters = tf.reshape(parameters, (-1, *[1] * (features.shape.rank - 2), parameters.shape[-1]))
                gain, shift = tf.split(tf.cast(parameters, features.dtype), 2, -1)
                features = (1.0 + gain) * features + shift
            features = layer(features)  # `training` is that of this call
        return features


@gin.register
class ConditionalDiscriminator(keras.layers.Layer):
    """Pair (x, y) of an image and its class, an integer → value [batch, 1]: projection of features onto the class.

        D(x, y) = w · h(x) + b + ⟨E_y, h(x)⟩

    h(x) is what the last dense layer of `network` sees, whose w and b these are; E is normalised spectrally if w is. An
    auxiliary classifier reads the class off h(x) instead: D(x, y) = w · h(x) + b, and `class_logits` for its loss.

    Args:
        image_shape: (H, W, C), or (D,).
        num_classes: of y.
        auxiliary: a classifier in the place of the projection.
        network: class of a `keras.Sequential`, called as `network(image_shape)`, whose last dense layer has one output.

    Raises:
        UsageError: a network without such a layer, or a number of classes below 1.

    Reference: Miyato and Koyama 2018, equation 4; Odena, Olah and Shlens 2017 (auxiliary classifier).
    """

    def __init__(self, image_shape, num_classes: int, auxiliary: bool = False, network=SNGANDiscriminator):
        super().__init__()
        check_sizes("ConditionalDiscriminator", num_classes=num_classes)
        check_class("ConditionalDiscriminator.network", network)
        self.auxiliary, self.num_classes = auxiliary, num_classes
        self.network = network(image_shape)
        dense = [layer for layer in getattr(self.network, "layers", ()) if isinstance(layer, keras.layers.Dense)]
        if not isinstance(self.network, keras.Sequential) or not dense or dense[-1].units != 1:
            raise UsageError(
                f"ConditionalDiscriminator.network={network!r} does not end with a dense layer of one output; use one "
                "such as SNGANDiscriminator or ConvDiscriminator"
            )
        self.last, size = dense[-1], dense[-1].input.shape[-1]
        kind = SpectralDense if isinstance(self.last, SpectralDense) else keras.layers.Dense
        self.classes = kind(num_classes, use_bias=auxiliary) if auxiliary else kind(size, use_bias=False)
        self.classes.build((None, size if auxiliary else num_classes))
        self.built = True

    def features(self, x, training=None) -> tf.Tensor:
        """h(x), [batch, features]."""
        for layer in self.network.layers:
            if layer is self.last:
                break
            x = layer(x, training=training)
        return x

    def call(self, pair, training=None):
        x, labels = pair
        features = self.features(x, training)
        value = tf.cast(self.last(features, training=training), tf.float32)
        if not self.auxiliary:
            one_hot = tf.one_hot(labels, self.num_classes, dtype=features.dtype)
            embedding = self.classes(one_hot, training=training)
            value += tf.reduce_sum(tf.cast(embedding * features, tf.float32), -1, keepdims=True)
        return value

    def class_logits(self, x, training=None) -> tf.Tensor:
        """Logits [batch, classes] of the auxiliary classifier."""
        return tf.cast(self.classes(self.features(x, training), training=training), tf.float32)
