"""Models with latent variables: a replaceable prior, samples, and an encoder where there is one."""

from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.distributions.gaussian import diagonal_normal
from tfade.distributions.layer import DistributionLayer, build_latent_distribution
from tfade.distributions.standard import StandardNormal
from tfade.errors import LARGEST, UsageError, check_whole
from tfade.models.adversary import Adversary
from tfade.models.base import GenerativeModel
from tfade.objectives.reconstruction import absolute_error
from tfade.questions import needs
from tfade.seeds import Seeds, as_seed
from tfade.spec import Batch


class LatentVariableModel(GenerativeModel):
    """z ~ p(z), x = G(z): samples, and what follows from a decoder, an encoder and a discriminator.

    Networks by role: "prior", the density p(z) over latents; `decoder_name`, G, to images in [-1, 1]; "discriminator",
    of images in [-1, 1], where there is one. A subclass makes G with `add_network`, or overrides `decode`. With
    `conditional = True` every network input made by `conditioned` has the class appended to it, one-hot.

    Args:
        spec: what the data look like, or the bare shape of an example.
        latent_size: dimension of z, 1 or more.
        prior: class of p(z), a `DistributionLayer` made without arguments; trained jointly if a player moves it.

    Raises:
        UsageError: a latent size below 1, something that does not make a distribution, or a conditional model of data
            without classes.
    """

    decoder_name = "decoder"

    def __init__(self, spec, latent_size: int, prior=StandardNormal):
        super().__init__(spec)
        check_whole("latent_size", latent_size, most=LARGEST)
        self.latent_size = latent_size
        if self.conditional and not self.spec.num_classes:
            raise UsageError(
                f"{type(self).__name__} is conditional and data={self.spec.name!r} has no classes; give labelled data"
            )
        self.set_prior(prior)

    def set_prior(self, prior: Callable[[], DistributionLayer]) -> DistributionLayer:
        """Makes another density over latents the prior, and returns it to be fitted.

        Args:
            prior: class of the density, made without arguments.

        Raises:
            UsageError: something that does not make a `DistributionLayer`, or a prior that training moves.
        """
        moved = {id(v) for state in self.stages for player in state.players.values() for v in player.variables}
        if "prior" in self.networks and any(id(v) in moved for v in self.networks["prior"].variables):
            raise UsageError(
                f"prior={prior!r} would replace one that a player trains; choose it when the model is made"
            )
        return self.add_network("prior", lambda: self._build_prior(prior))

    def _build_prior(self, prior) -> DistributionLayer:
        """The density of a class; a model that takes only some densities rejects the others here."""
        return build_latent_distribution("prior", prior, self.latent_size)

    def add_adversary(self, name: str, make: Callable, divergence, penalty=None, arguments: Sequence = ()) -> Adversary:
        """Registers a discriminator network under `name`, made with the arguments; returns the adversary it plays."""
        return Adversary(self.add_network(name, make, *arguments), divergence, penalty)

    # ---- Conditioning ----

    @property
    def condition_size(self) -> int:
        """Numbers that `conditioned` appends: the number of classes of a conditional model, otherwise 0."""
        return self.spec.num_classes if self.conditional else 0

    def conditioned(self, z, labels) -> tf.Tensor:
        """Latents [batch, Z], with the one-hot class appended in a conditional model: [batch, Z + classes]."""
        z = tf.cast(z, tf.float32)
        labels = self.checked_labels(labels, z.shape[0])
        return z if labels is None else tf.concat([z, tf.one_hot(labels, self.spec.num_classes)], -1)

    def sampled_labels(self, n, labels, seed) -> tf.Tensor | None:
        """The labels to sample with: those given, or classes [n] drawn uniformly; None in an unconditional model."""
        if self.conditional and labels is None:
            seed = seed + tf.constant([0, 1], seed.dtype)  # not the seed of the latents
            return tf.random.stateless_uniform((n,), seed, 0, self.spec.num_classes, tf.int32)
        return self.checked_labels(labels, n)

    # ---- Public contract ----

    def prior(self, temperature=1.0):
        return self.network("prior").distribution(temperature=temperature)

    @needs("prior", "decode")
    def sample(self, n, temperature=1.0, seed=None, labels=None):
        seed = as_seed(seed)
        labels = self.sampled_labels(n, labels, seed)
        return self.decode(self.draw_prior(n, temperature, seed, labels), **self.conditions(labels))

    @needs(network=lambda model: model.decoder_name)
    def decode(self, z, labels=None):
        outputs = self.network(self.decoder_name)(self.conditioned(z, labels), training=False)
        return numerics.from_signed(outputs) if self.spec.is_image else tf.cast(outputs, tf.float32)

    @needs(network="discriminator")
    def discriminate(self, x, labels=None):
        labels, examples = self.checked_labels(labels), self.network_input(x)
        inputs = examples if labels is None else (examples, labels)
        return tf.squeeze(self.network("discriminator")(inputs, training=False), -1)

    def prior_sample(self, seeds: Seeds, rows) -> tf.Tensor:
        """Latents of the prior that is trained, for a pass of training, [rows, latent_size]."""
        return self.networks["prior"].draw(rows, seeds)


class Autoencoder(LatentVariableModel):
    """A latent variable model with an encoder of images in [-1, 1]: z = E(x), or z ~ N(μ(x), σ²(x)).

    Args:
        spec, latent_size, prior: see `LatentVariableModel`.
        encoder: class of E, called as `encoder(image_shape, outputs)`.
        decoder: class of G, called as `decoder(image_shape, inputs)`.
        gaussian_codes: codes are Gaussian, by reparameterisation; otherwise deterministic.

    Attributes:
        validation_error: (x, x̂), images in [0, 1] or vectors → the error [batch] of reconstructions in `validate`.
    """

    validation_error = staticmethod(absolute_error)

    def __init__(self, spec, latent_size: int, encoder, decoder, prior=StandardNormal, gaussian_codes: bool = False):
        super().__init__(spec, latent_size, prior)
        self.gaussian_codes = gaussian_codes
        outputs = latent_size * (2 if gaussian_codes else 1)
        self.encoder = self.add_network("encoder", encoder, self.image_shape, outputs)
        inputs = latent_size + self.condition_size
        self.decoder = self.add_network(self.decoder_name, decoder, self.image_shape, inputs)

    def code_sample(self, x, seeds: Seeds, name: str = "code") -> tf.Tensor:
        """A code for each image [batch, H, W, C] in [-1, 1], in training; Gaussian ones by reparameterisation.

        Args:
            x: images, or vectors.
            seeds: the noise of this pass.
            name: of the noise; codes of two kinds of images in one pass are drawn under two names.
        """
        parameters = self.encoder(x, training=True)
        if not self.gaussian_codes:
            return parameters
        posterior = diagonal_normal(parameters)
        return posterior.mean() + posterior.stddev() * seeds.normal(name, (tf.shape(x)[0], self.latent_size))

    def decoded(self, code, training: bool = True) -> tf.Tensor:
        """Images in [0, 1], or vectors, of codes [batch, latent_size] without a condition, in training."""
        outputs = self.decoder(code, training=training)
        return numerics.from_signed(outputs) if self.spec.is_image else outputs

    def validate(self, batch: Batch):
        reconstruction = self.reconstruct(batch.images, **self.conditions(batch.labels))
        return {"reconstruction": self.validation_error(self.unit(batch.images), reconstruction)}

    def encode(self, x, labels=None):
        self.checked_labels(labels)
        parameters = self.network("encoder")(self.network_input(x), training=False)
        return diagonal_normal(parameters) if self.gaussian_codes else deterministic(parameters)


def deterministic(codes) -> tfp.distributions.Distribution:
    """The distribution of codes [batch, latent_size] that an encoder without noise gives."""
    return tfp.distributions.Independent(tfp.distributions.Deterministic(codes), 1)
