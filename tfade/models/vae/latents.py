"""Inference of a VAE's latents, one vector or a hierarchy: z, log p(z), log q(z | y) and their KL divergence."""

from typing import NamedTuple

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.implicit import ImplicitPosterior
from tfade.distributions.layer import build_latent_distribution
from tfade.distributions.topdown_latents import TopDownLatents
from tfade.errors import UsageError, check_class
from tfade.models.vae.observation_model import Network
from tfade.networks.conditional import conditional_generator
from tfade.networks.topdown import BottomUpEncoder
from tfade.networks.topdown_decoder import TopDownDecoder
from tfade.seeds import Seeds


class InferredLatents(NamedTuple):
    """Latents drawn from the posterior, and the decoder's output.

    Attributes:
        parameters: of the observation model, [batch · k, ...].
        log_prior: log p(z), [batch, k].
        log_posterior: log q(z | y), [batch, k].
        kl: KL(q ‖ p), [batch, groups]; see `ELBOTerms.kl`.
        codes: all latents, as `decode` takes them, [batch, k, size].
        by_sample: whether the KL divergence of a single vector is that of the first code, and not in closed form.
    """

    parameters: tf.Tensor
    log_prior: tf.Tensor
    log_posterior: tf.Tensor
    kl: tf.Tensor
    codes: tf.Tensor
    by_sample: bool = False


class FlatLatents:
    """A vector z: networks "encoder" (images → context), "posterior", "prior" and "decoder".

    It owns no variables: `network` arguments look its networks up in the model.

    Args:
        model: the VAE whose networks these are.
        size: dimension of z.

    Attributes:
        size: dimension of all latents together.
        noise_size: dimension of the noise that they are made of.
    """

    def __init__(self, model, size: int):
        self.size = self.noise_size = size

    def context(self, images, network: Network, training: bool = False):
        """What the posterior is conditioned on: the encoder's output for images in [-1, 1]."""
        return network("encoder")(images, training=training)

    def infer(self, context, noise, network: Network, training: bool = False) -> InferredLatents:
        """Latents of the posterior.

        Args:
            context: see `context`.
            noise: standard normal, [batch, k, size].
        """
        z, log_prior, log_posterior, kl = self._top(context, noise, network)
        parameters = network("decoder")(tf.reshape(z, (-1, z.shape[-1])), training=training)
        return InferredLatents(parameters, log_prior, log_posterior, kl, z, not self._has_closed_form(network))

    @staticmethod
    def _has_closed_form(network: Network) -> bool:
        """Whether KL(q ‖ p) of the vector z has one."""
        return network("posterior").is_diagonal_normal and network("prior").is_diagonal_normal

    @classmethod
    def _top(cls, context, noise, network: Network):
        """z₀ [batch, k, ·], its log-densities [batch, k] and its KL [batch, groups]."""
        posterior, prior = network("posterior"), network("prior")
        z, log_posterior = posterior.from_noise(noise, context[:, None])
        log_prior = prior.distribution().log_prob(z)
        if cls._has_closed_form(network):
            normals = (part.distribution for part in (posterior.distribution(context[:, None]), prior.distribution()))
            kl = tfp.distributions.kl_divergence(*normals)[:, 0]  # of every dimension
        else:
            kl = (log_posterior - log_prior)[:, :1]
        return z, log_prior, log_posterior, kl

    def initialise_prior(self, context, noise, network: Network) -> None:
        """Data-dependent initialisation of the prior, on codes made of standard normal noise [batch, size]."""
        network("prior").initialise(network("posterior").from_noise(noise, context)[0])

    def sampled(self, context, noise, network: Network) -> tf.Tensor:
        """Codes of the posterior [batch, size] made of standard normal noise [batch, size], in inference mode."""
        return network("posterior").from_noise(noise, context)[0]

    def generate(self, rows, seeds: Seeds, network: Network) -> tf.Tensor:
        """The decoder's output in training for latents of the prior; nothing of the posterior takes part."""
        return network("decoder")(network("prior").draw(rows, seeds), training=True)

    def prior(self, network: Network, temperature=1.0):
        return network("prior").distribution(temperature=temperature)

    def posterior(self, context, network: Network):
        return network("posterior").distribution(context)

    def centre(self, context, network: Network) -> tf.Tensor:
        """The code that noise 0 gives, [batch, size]."""
        return self.sampled(context, tf.zeros((tf.shape(context)[0], self.size)), network)

    def decode(self, z, network: Network, training: bool = False) -> tf.Tensor:
        """The decoder's output for codes of all latents [batch, size]."""
        return network("decoder")(tf.cast(z, tf.float32), training=training)


class HierarchicalLatents(FlatLatents):
    """A vector z₀ and latents at the feature maps of a `TopDownDecoder`, one level after the other in one vector."""

    def __init__(self, model, size: int):
        super().__init__(model, size + model.decoder.hierarchical_size)
        self._hierarchical_size = model.decoder.hierarchical_size

    def _split(self, latents) -> tuple[tf.Tensor, tf.Tensor]:
        """z₀, and the latents inside the decoder; of latents, or of the noise that they are made of."""
        return tf.split(latents, [-1, self._hierarchical_size], -1)

    def infer(self, context, noise, network, training=False):
        (context, maps), (rows, count) = context, (tf.shape(noise)[0], noise.shape[1])
        top, inner = self._split(noise)
        z, log_prior, log_posterior, kl = self._top(context, top, network)
        maps = [tf.repeat(features, count, 0) for features in maps]
        inner = tf.reshape(inner, (-1, self._hierarchical_size))
        z = tf.reshape(z, (-1, z.shape[-1]))
        parameters, drawn = network("decoder")(z, noise=inner, maps=maps, training=training)
        log_prior += tf.reshape(tf.reduce_sum(drawn.log_prior, -1), (rows, count))
        log_posterior += tf.reshape(tf.reduce_sum(drawn.log_posterior, -1), (rows, count))
        levels = tf.reshape(drawn.kl, (rows, count, drawn.kl.shape[-1]))[:, 0]
        codes = tf.reshape(tf.concat([z, drawn.latents], -1), (rows, count, self.size))
        return InferredLatents(parameters, log_prior, log_posterior, tf.concat([kl, levels], -1), codes)

    def initialise_prior(self, context, noise, network):
        super().initialise_prior(context[0], self._split(noise)[0], network)

    def generate(self, rows, seeds, network):
        z = network("prior").draw(rows, seeds)
        noise = seeds.normal("prior levels", (rows, self._hierarchical_size))
        return network("decoder")(z, noise=noise, training=True)[0]

    def prior(self, network, temperature=1.0):
        return TopDownLatents(super().prior(network, temperature), network("decoder"), None, temperature)

    def posterior(self, context, network):
        context, maps = context
        return TopDownLatents(super().posterior(context, network), network("decoder"), maps)

    def sampled(self, context, noise, network):
        context, maps = context
        top, inner = self._split(noise)
        z = super().sampled(context, top, network)
        return tf.concat([z, network("decoder")(z, noise=inner, maps=maps, training=False)[1].latents], -1)

    def centre(self, context, network):
        return self.sampled(context, tf.zeros((tf.shape(context[0])[0], self.size)), network)

    def decode(self, z, network, training=False):
        top, inner = self._split(tf.cast(z, tf.float32))
        return network("decoder")(top, latents=inner, training=training)[0]


class ImplicitLatents(FlatLatents):
    """A vector z = E(x, ε) whose posterior has no density: log q(z | x) is estimated by "joint_discriminator", T(x, z).

        log q(z | x) ≈ T(x, z) + log p(z),  or with adaptive contrast  T(x, (z - μ) / σ) + log r(z | x)

    r = N(μ(x), σ²(x)) is the normal with the posterior's moments, constants to whatever is trained. The estimate is
    exact where T is optimal, and no bound otherwise.

    Attributes:
        adaptive_contrast: which of the two.
    """

    adaptive_contrast = False

    def __init__(self, model, size: int):
        super().__init__(model, size)
        self.noise_size = model.networks["posterior"].noise_size

    def context(self, images, network, training=False):
        return images, super().context(images, network, training)

    def draw(self, context, noise, network: Network) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Codes [batch, k, size], the same as the discriminator sees them, and log r (or log p) of them [batch, k]."""
        layer, count = network("posterior"), noise.shape[1]
        z = layer.codes(noise, tf.repeat(context[:, None], count, 1))
        if not self.adaptive_contrast:
            return z, z, network("prior").distribution().log_prob(z)
        normal = layer.distribution(context).normal_approximation()
        mean, scale = (tf.stop_gradient(part)[:, None] for part in (normal.mean(), normal.stddev()))
        return z, (z - mean) / scale, tfp.distributions.MultivariateNormalDiag(mean, scale).log_prob(z)

    def infer(self, context, noise, network, training=False):
        images, context = context
        z, seen, log_contrast = self.draw(context, noise, network)
        pairs = tf.repeat(images, noise.shape[1], 0), tf.reshape(seen, (-1, self.size))
        log_ratio = tf.reshape(network("joint_discriminator")(pairs, training=training), tf.shape(log_contrast))
        log_prior, log_posterior = network("prior").distribution().log_prob(z), log_ratio + log_contrast
        parameters = network("decoder")(tf.reshape(z, (-1, self.size)), training=training)
        return InferredLatents(parameters, log_prior, log_posterior, (log_posterior - log_prior)[:, :1], z)

    def initialise_prior(self, context, noise, network):
        network("prior").initialise(network("posterior").codes(noise, context[1]))

    def posterior(self, context, network):
        return network("posterior").distribution(context[1])

    def sampled(self, context, noise, network):
        return network("posterior").codes(noise, context[1])

    def centre(self, context, network):
        return self.posterior(context, network).mean()


def add_latent_networks(model, latent_size: int, encoder, decoder, posterior, context_size: int) -> FlatLatents:
    """Registers the networks "encoder", "posterior" and "decoder" of a VAE; returns its latents.

    Raises:
        UsageError: a hierarchy in only one of encoder and decoder, or something that cannot be a posterior.
    """
    model.encoder = model.add_network("encoder", encoder, model.image_shape, context_size)
    outputs, classes = model.observation_model.output_shape, model.condition_size
    context_size += classes
    layer = model.add_network(
        "posterior", lambda: build_latent_distribution("posterior", posterior, latent_size, context_size)
    )
    model.decoder = model.add_network(
        "decoder", lambda: _build_decoder(decoder, outputs, latent_size, model.encoder, classes)
    )
    hierarchical = isinstance(model.decoder, TopDownDecoder)
    if hierarchical and not model.takes_hierarchy:
        raise UsageError(
            f"decoder={decoder!r} has latents of its own, which {type(model).__name__} does not take; give one such as "
            "DCGANGenerator"
        )
    if model.has_implicit_posterior:
        if hierarchical or not isinstance(layer, ImplicitPosterior):
            raise UsageError(
                f"posterior={posterior!r} with {type(model.decoder).__name__}: {type(model).__name__} takes an "
                "ImplicitPosterior and a decoder without latents of its own"
            )
        return ImplicitLatents(model, latent_size)
    layer.from_noise(tf.zeros((1, latent_size)), tf.zeros((1, context_size)))  # rejects what cannot be a posterior
    return (HierarchicalLatents if hierarchical else FlatLatents)(model, latent_size)


def _build_decoder(make, shape, latent_size: int, encoder, classes: int) -> keras.Layer:
    """The decoder; the shapes of the encoder's feature maps are handed to one with a hierarchy."""
    check_class("decoder", make)
    if classes:
        decoder = conditional_generator(make, shape, latent_size, classes, activation=None)
    else:
        decoder = make(shape, latent_size, activation=None)
    if classes and isinstance(decoder, TopDownDecoder):
        raise UsageError(f"decoder={make!r} has latents of its own, which a conditional model does not take")
    hierarchical, maps = isinstance(decoder, TopDownDecoder), isinstance(encoder, BottomUpEncoder)
    if hierarchical != maps:
        has = {True: "has", False: "has no"}
        raise UsageError(
            f"decoder={make!r} {has[hierarchical]} latents at feature maps, but {type(encoder).__name__} {has[maps]} "
            "feature maps to give: TopDownDecoder goes with BottomUpEncoder, DCGANGenerator with DCGANEncoder"
        )
    if hierarchical:
        decoder.build_posterior(encoder.map_shapes)
    return decoder
