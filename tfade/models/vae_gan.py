"""VAE-GAN (Larsen et al. 2016): a VAE whose likelihood is one of features of a discriminator."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.gaussian import diagonal_normal
from tfade.errors import UsageError, check_between, check_finite
from tfade.models.latent import Autoencoder
from tfade.models.players import Player, Weighted
from tfade.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from tfade.objectives.divergences import CrossEntropy
from tfade.objectives.reconstruction import squared_error
from tfade.questions import unanswered
from tfade.seeds import Seeds
from tfade.spec import Batch


@gin.register
class VAEGAN(Autoencoder):
    """A VAE and a GAN that share the decoder G; reconstructions are compared in a layer h of the discriminator D.

    With ẑ ~ q(z | x) = N(μ(x), σ²(x)), x̂ = G(ẑ), z ~ N(0, I) and L_h = ½ ‖h(x) - h(x̂)‖², the negative log-likelihood of
    a unit normal of features up to a constant:

        encoder        KL(q(z | x) ‖ p(z)) + L_h
        generator      γ L_h - log D(x̂) - log D(G(z))
        discriminator  -log D(x) - log(1 - D(x̂)) - log(1 - D(G(z)))

    The encoder receives no gradient from the adversarial loss, nor D from L_h. The paper's generator has the
    saturating form (`CrossEntropy.saturating`). Not done here: its code adds 1e-3 to D and 1 - D within the logarithms,
    and skips the updates of a player that is far ahead.

    Args:
        spec: what the data look like, or the bare shape of an example.
        latent_size: dimension of z.
        reconstruction_weight: γ ≥ 0. The authors' code weighs w L_h against (1 - w) of the adversarial loss, so that
            γ = w / (1 - w), with w = 1e-2 by default and 1e-5 for faces.
        feature_layer: position of the layer h among the discriminator's layers, counted from 0; negative ones are
            counted from its end. It lies before the head, the last layer with weights.
        real_weight: r in (0, 1), which makes the discriminator's loss -r log D(x) - (1 - r) / 2 · [log(1 - D(x̂)) +
            log(1 - D(G(z)))]; None for the sum above. In the authors' code 0.5 by default and 0.66 for faces.
        encoder, generator, discriminator: network classes, called as `encoder(image_shape, outputs)`,
            `generator(image_shape, latent_size)` and `discriminator(image_shape)`, the last a `keras.Sequential`.
        divergence, penalty: classes of the discriminator's losses and penalty (None for none), see `tfade.objectives`.

    Raises:
        UsageError: a weight out of range, a layer that does not exist, a latent size below 1, or a penalty or weight
            that does not go with discriminator and divergence.

    Reference: Larsen et al. 2016, equations 7 to 10 and algorithm 1, and their code.
    """

    decoder_name = "generator"

    def __init__(
        self,
        spec,
        latent_size: int = 64,
        reconstruction_weight: float = 0.01,
        feature_layer: int = -4,
        real_weight: float | None = None,
        encoder=DCGANEncoder,
        generator=DCGANGenerator,
        discriminator=DCGANDiscriminator,
        divergence=CrossEntropy,
        penalty=None,
    ):
        check_finite("reconstruction_weight", reconstruction_weight)
        if real_weight is not None:
            check_between("real_weight", real_weight, 0.0, 1.0)
        super().__init__(spec, latent_size, encoder, generator, gaussian_codes=True)
        self.reconstruction_weight, self.real_weight = reconstruction_weight, real_weight
        self.adversary = self.add_adversary("discriminator", discriminator, divergence, penalty, [self.image_shape])
        if real_weight is not None and self.adversary.divergence.shift_invariant:
            name = type(self.adversary.divergence).__name__
            raise UsageError(
                f"real_weight={real_weight!r} does not go with {name}, whose data and samples weigh the same; use None"
            )
        self.discriminator = self.adversary.network
        self._with_features = with_features(self.discriminator, feature_layer)

    def players(self):
        return (
            Player("encoder", self.encoder),
            Player("generator", self.decoder),
            Player("discriminator", self.discriminator),
        )

    def losses(self, batch: Batch, seeds: Seeds):
        # 1. Codes
        x, z = self.network_input(batch.images), self.prior_sample(seeds, batch.size)
        posterior = diagonal_normal(self.encoder(x, training=True))
        code = posterior.mean() + posterior.stddev() * seeds.normal("code", (batch.size, self.latent_size))
        kl = tfp.distributions.kl_divergence(posterior, self.networks["prior"].distribution())
        # 2. Reconstructions and samples against data
        fakes = {"reconstruction": self.decoder(code, training=True), "sample": self.decoder(z, training=True)}
        features, outputs = zip(*map(self._with_features, (x, *fakes.values())))
        adversarial, discriminator = self.adversary.terms(x, fakes, seeds, outputs=outputs)
        if self.real_weight is not None:
            weights = {"real": self.real_weight, **dict.fromkeys(fakes, (1 - self.real_weight) / 2)}
            discriminator |= {name: Weighted(weight, discriminator[name]) for name, weight in weights.items()}
        # 3. Reconstructions in the discriminator's features
        error = squared_error(features[0], features[1], reduction="sum")
        return {
            "encoder": {"kl": kl, "feature_reconstruction": Weighted(0.5, error)},
            "generator": {
                "feature_reconstruction": Weighted(0.5 * self.reconstruction_weight, error),
                "reconstruction_adversarial": adversarial["reconstruction"],
                "sample_adversarial": adversarial["sample"],
            },
            "discriminator": discriminator,
        }

    @unanswered("its likelihood is over discriminator features, not images")
    def log_prob(self, x, num_samples=1, labels=None): ...


def with_features(discriminator: keras.Sequential, position: int) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """A function of examples → (h(x), D(x)), both of one pass in training.

    h(x) is the output of the layer at `position`, float32 [batch, ...].

    Raises:
        UsageError: a network without a sequence of layers, or a position that is not before the head, the last layer
            with weights.
    """
    if not isinstance(discriminator, keras.Sequential):
        raise UsageError(
            f"feature_layer={position!r} is a layer of a keras.Sequential, and the discriminator is a "
            f"{type(discriminator).__name__}; use one such as DCGANDiscriminator"
        )
    layers = discriminator.layers
    head = max((index for index, layer in enumerate(layers) if layer.trainable_weights), default=0)
    whole = isinstance(position, int) and not isinstance(position, bool)
    if not whole or not -len(layers) <= position < len(layers) or position % len(layers) >= head:
        listed = ", ".join(f"{index} {type(layer).__name__}" for index, layer in enumerate(layers[:head]))
        raise UsageError(f"feature_layer={position!r} is not a layer of the discriminator before its head: {listed}")
    network = keras.Model(discriminator.inputs, [layers[position].output, *discriminator.outputs])

    def features_and_output(x):
        features, output = network(x, training=True)
        return tf.cast(features, tf.float32), output

    return features_and_output
