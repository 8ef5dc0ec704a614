"""Variational autoencoders, whose encoder, decoder, prior, posterior and pixel distribution can be exchanged."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.pixels import IsotropicNormal
from tfade.distributions.standard import StandardNormal
from tfade.distributions.topdown_codes import TopDownCodes
from tfade.errors import UsageError, check_finite, check_whole
from tfade.models import vae_parts as parts
from tfade.models.base import GenerativeModel
from tfade.models.players import Player, Weighted
from tfade.models.vae_parts import Explained
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.objectives.bounds import free_bits, importance_weighted_bound, warmed_up
from tfade.seeds import Seeds, as_seed, per_example_noise, per_example_normal_noise

NUMBERS_AT_A_TIME = 2**22  # of the decoder's outputs in `log_prob`; the feature maps before them are ten times as many


@gin.register
class VAE(GenerativeModel):
    """A variational autoencoder, on pixels or on features that a flow f makes of them (V-ADE).

        log p(y) ≥ E_q(z|y)[log p(f(y) | z)] - KL(q(z | y) ‖ p(z)) + log |det ∂f/∂y|,   y = (255 x + u) / 256

    u ~ U[0, 1) is dequantisation noise. Without a flow f is the identity. The one player, `autoencoder`, moves
    everything by the negative bound. Terms are reported in nats and minimised in nats per dimension, so that weights
    mean the same for every size of image.

    With a pmf of levels (see `tfade.distributions.pixels`) the bound is one of log P(x), without dequantisation.

    `log_prob` draws its noise as a function of the image, so that an image's value is its own; with `num_samples` k > 1
    it is the importance-weighted bound of k codes at one draw of u. Samples and reconstructions are decoder means.

    A decoder may hold further latents at several resolutions (`TopDownDecoder`, with `BottomUpEncoder`). A code is then
    the vector z₀ and they, one level after the other: `encode` and `prior` are over all of it, `decode` takes all of
    it, and the model's attribute `latent_size` is the dimension of all of it. Each level is a group of its own to
    `free_bits`.

    Args:
        image_shape: (H, W, C).
        latent_size: dimension of the code, of z₀ where the decoder holds latents, too.
        encoder: class of the network from images in [-1, 1] to the posterior's context, called as
            `encoder(image_shape, context_size)`. With an attribute `map_shapes` it returns feature maps, too.
        decoder: class of the network from codes to the parameters of the pixels' distribution, called as
            `decoder((H, W, C · size), latent_size, activation=None)`. With an attribute `latent_shapes` it has levels.
        posterior: class of q(z | context): `DiagonalNormal`, or a flow over it (`RealNVPDensity`, `MAFDensity`,
            `IAFDensity`, with `base = DiagonalNormal`).
        prior: class of p(z), trained along if it has variables.
        pixels: class of p(· | z).
        flow: class of f, from images in [0, 1] to features of the shape of an image; None for the identity.
        context_size: numbers that the encoder hands to the posterior.
        kl_weight: β ≥ 0 of the KL term; 1 is the bound.
        warm_up: training steps over which the weight of the KL term rises linearly from 0.
        free_bits: λ ≥ 0, nats that every group of latents may spend without cost; see `objectives.bounds.free_bits`.
            A group is one latent where prior and posterior are diagonal normals, the whole code where one of them is
            not, and a level of a decoder that has latents inside: with another posterior another λ is the same freedom.
        importance_samples: k ≥ 1 codes an image in training; above 1 the importance-weighted bound is maximised.

    Raises:
        UsageError: a value out of range, k > 1 together with another weight than 1, warm-up or free bits, or parts that
            do not fit each other.

    Reference: Kingma and Welling 2014; Burda et al. 2016 (k > 1); Lucas et al. 2019, equation 3 (f).
    """

    likelihood = "lower_bound"

    def __init__(
        self,
        image_shape,
        latent_size: int = 32,
        encoder=DCGANEncoder,
        decoder=DCGANGenerator,
        posterior=DiagonalNormal,
        prior=StandardNormal,
        pixels=IsotropicNormal,
        flow=None,
        context_size: int = 256,
        kl_weight: float = 1.0,
        warm_up: int = 0,
        free_bits: float = 0.0,
        importance_samples: int = 1,
    ):
        super().__init__(image_shape)
        if len(self.image_shape) != 3:
            raise UsageError(
                f"{type(self).__name__} was given data of shape {self.image_shape}; it is for images (H, W, C), "
                "vectors are for DensityModel and FlowModel"
            )
        check_whole("latent_size", latent_size)
        check_whole("context_size", context_size)
        check_whole("importance_samples", importance_samples)
        check_finite("kl_weight", kl_weight)
        check_finite("warm_up", warm_up)
        check_finite("free_bits", free_bits)
        if importance_samples > 1 and (kl_weight != 1 or warm_up or free_bits):
            raise UsageError(
                f"importance_samples={importance_samples} has one term, whose parts cannot be weighted; leave "
                f"kl_weight={kl_weight!r}, warm_up={warm_up!r} and free_bits={free_bits!r} at 1, 0 and 0"
            )
        self.kl_weight, self.warm_up, self.free_bits = kl_weight, warm_up, free_bits
        self.importance_samples = importance_samples
        shape = self.image_shape
        self.flow = self.add_network("flow", lambda: parts.built_flow(flow, shape)) if flow is not None else None
        self.feature_shape = self.flow.latent_shape if self.flow else shape
        self.pixels = self.add_network("pixels", lambda: parts.built_pixels(pixels, self.feature_shape, flow is None))
        outputs = (*self.feature_shape[:2], self.feature_shape[2] * self.pixels.size)
        self.encoder = self.add_network("encoder", lambda: encoder(shape, context_size))
        self.posterior = self.add_network(
            "posterior", lambda: parts.built_over_codes("posterior", posterior, latent_size, context_size)
        )
        self.prior_density = self.add_network("prior", lambda: parts.built_over_codes("prior", prior, latent_size, 0))
        self.decoder = self.add_network(
            "decoder", lambda: parts.built_decoder(decoder, outputs, latent_size, self.encoder)
        )
        self.hierarchical_size = getattr(self.decoder, "hierarchical_size", 0)
        self.latent_size = latent_size + self.hierarchical_size
        self.posterior.from_noise(tf.zeros((1, latent_size)), tf.zeros((1, context_size)))  # refuses what is none

    # ---- Training ----

    def players(self):
        return (Player("autoencoder", *self.networks.values()),)

    def losses(self, x, seeds: Seeds):
        return {"autoencoder": self._bound_terms(self._explained_in_training(x, seeds))}

    def initialise(self, x):
        if self.flow is not None:
            self.flow.initialise(self._target(x, per_example_noise))

    def _explained_in_training(self, x, seeds: Seeds) -> Explained:
        """The batch with the noise of this pass."""
        rows = tf.shape(x)[0]
        target = self._target(x, lambda unit: seeds.uniform("dequantisation", (rows, *self.image_shape)))
        noise = seeds.normal("code", (rows, self.importance_samples, self.latent_size))
        return self._explained(target, noise, training=True)

    def _bound_terms(self, explained: Explained) -> dict[str, Weighted]:
        """The negative bound, as terms in nats that are minimised in nats per dimension."""
        share = 1.0 / self.dimensions
        if self.importance_samples > 1:
            terms = {"bound": Weighted(share, -importance_weighted_bound(explained.log_weight))}
        else:
            kl = tf.reduce_sum(explained.kl, -1)
            weight = warmed_up(self.kl_weight * share, self.step.value, self.warm_up)
            terms = {"reconstruction": Weighted(share, -explained.log_likelihood[:, 0]), "kl": Weighted(weight, kl)}
            if self.free_bits:
                terms["kl"] = Weighted(0.0, kl)
                terms["kl_with_free_bits"] = Weighted(weight, free_bits(explained.kl, self.free_bits))
        if self.flow is not None and self.importance_samples == 1:
            terms["log_det"] = Weighted(share, -explained.log_det)
        return terms

    def _explained(self, target, noise, training=False) -> Explained:
        """See `Explained`.

        Args:
            target: what the pixels' distribution is of, [batch, H, W, C] in image space.
            noise: standard normal, [batch, k, latent_size].
            training: with the networks that are trained, and batch statistics; otherwise with those that serve.
        """
        network = self.networks.__getitem__ if training else self.network
        rows, count = tf.shape(noise)[0], noise.shape[1]
        features, log_det = self._features(target, network)
        context, maps = self._encoded(target, network, training)
        top, inner = self._split(noise)
        z, log_posterior = network("posterior").from_noise(top, context[:, None])
        log_prior = network("prior").distribution().log_prob(z)
        kl = self._kl(network, context, log_prior - log_posterior)
        z = tf.reshape(z, (-1, z.shape[-1]))
        if self.hierarchical_size:
            maps = [tf.repeat(features_of, count, 0) for features_of in maps]
            inner = tf.reshape(inner, (-1, self.hierarchical_size))
            parameters, drawn = network("decoder")(z, noise=inner, maps=maps, training=training)
            log_prior += tf.reshape(tf.reduce_sum(drawn.log_prior, -1), (rows, count))
            log_posterior += tf.reshape(tf.reduce_sum(drawn.log_posterior, -1), (rows, count))
            kl = tf.concat([kl, tf.reshape(drawn.kl, (rows, count, drawn.kl.shape[-1]))[:, 0]], -1)
        else:
            parameters = network("decoder")(z, training=training)
        likelihood = network("pixels").distribution(parameters)
        log_likelihood = tf.reshape(likelihood.log_prob(tf.repeat(features, count, 0)), (rows, count))
        log_weight = log_likelihood + log_prior - log_posterior + log_det[:, None]
        return Explained(log_likelihood, log_weight, log_det, kl)

    def _encoded(self, target, network, training=False) -> tuple[tf.Tensor, list[tf.Tensor] | None]:
        """The posterior's context [batch, context_size], and the encoder's feature maps if the decoder takes them."""
        result = network("encoder")(2.0 * self.pixels.as_image(target) - 1.0, training=training)
        return result if self.hierarchical_size else (result, None)

    def _split(self, codes) -> tuple[tf.Tensor, tf.Tensor | None]:
        """z₀ and the latents inside the decoder, or None; of codes, or of the noise that they are made of."""
        return tf.split(codes, [-1, self.hierarchical_size], -1) if self.hierarchical_size else (codes, None)

    def _generated(self, rows, seeds: Seeds) -> tf.Tensor:
        """The decoder's output in training, of codes of the prior; nothing of the posterior takes part."""
        z = seeds.rows("prior", rows, self.prior_density.distribution().sample)
        if not self.hierarchical_size:
            return self.decoder(z, training=True)
        return self.decoder(z, noise=seeds.normal("prior levels", (rows, self.hierarchical_size)), training=True)[0]

    def _kl(self, network, context, log_ratio) -> tf.Tensor:
        posterior, prior = network("posterior"), network("prior")
        if not (isinstance(posterior, DiagonalNormal) and isinstance(prior, (StandardNormal, DiagonalNormal))):
            return -log_ratio[:, :1]
        normals = (part.distribution for part in (posterior.distribution(context), prior.distribution()))
        return tfp.distributions.kl_divergence(*normals)

    def _features(self, target, network) -> tuple[tf.Tensor, tf.Tensor]:
        if self.flow is None:
            return target, tf.zeros(tf.shape(target)[:1])
        return network("flow").bijector().inverse_and_log_det(target)

    def _target(self, x, noise) -> tf.Tensor:
        """What the pixels' distribution is of, from images and `noise(images in [0, 1])`."""
        unit = numerics.checked_unit(x, self.image_shape)
        return self.pixels.target(unit, noise(unit))

    # ---- What a user asks ----

    @property
    def dimensions(self) -> int:
        """Numbers of an image."""
        height, width, channels = self.image_shape
        return height * width * channels

    @property
    def levels(self) -> int | None:
        """None where `log_prob` is of a density on [0, 1]^D, otherwise the number of levels whose pmf it is of."""
        return self.pixels.levels

    @property
    def stochastic_codes(self) -> bool:
        """Whether the posterior has a standard deviation in closed form."""
        return isinstance(self.posterior, DiagonalNormal) and not self.hierarchical_size

    def log_prob(self, x, num_samples=1):
        """A lower bound in nats [batch]; it rises with `num_samples`, the codes drawn for each image."""
        return self._bound(x, num_samples)[0]

    def validate(self, x):
        bound, kl = self._bound(x, 1)
        terms = {"nll": -bound, "kl": kl}
        if self.levels != 2:
            terms["bits_per_dim"] = numerics.bits_per_dim(bound, self.dimensions, self.levels is None)
        return terms

    def _bound(self, x, num_samples: int) -> tuple[tf.Tensor, tf.Tensor]:
        """The bound and the KL divergence of every image, [batch] each."""
        check_whole("num_samples", num_samples)  # codes of an image
        unit = numerics.checked_unit(x, self.image_shape)
        rows = max(1, NUMBERS_AT_A_TIME // (self.dimensions * self.pixels.size))
        if tf.executing_eagerly() and len(unit) > rows:  # 256 levels of large images are gigabytes for a whole batch
            parts = [self._bound(unit[start : start + rows], num_samples) for start in range(0, len(unit), rows)]
            return tuple(tf.concat(values, 0) for values in zip(*parts))
        target = self.pixels.target(unit, per_example_noise(unit))
        numbers = (unit.shape[0] or 1) * self.dimensions * self.pixels.size
        together = max(1, NUMBERS_AT_A_TIME // numbers)
        noise, weights = per_example_normal_noise(unit, 1, (num_samples, self.latent_size)), []
        for start in range(0, num_samples, together):
            explained = self._explained(target, noise[:, start : start + together])
            weights.append(explained.log_weight)
        kl = tf.reduce_sum(explained.kl, -1)
        if num_samples == 1:
            return explained.log_likelihood[:, 0] - kl + explained.log_det, kl
        return importance_weighted_bound(tf.concat(weights, -1)), kl

    def prior(self, temperature=1.0):
        """The codes' density, its standard deviation multiplied by `temperature`."""
        top = self.network("prior").distribution(temperature=temperature)
        return TopDownCodes(top, self.network("decoder"), None, temperature) if self.hierarchical_size else top

    def sample(self, n, temperature=1.0, seed=None):
        return self.decode(self.prior(temperature).sample(n, seed=as_seed(seed)))

    def encode(self, x):
        context, maps = self._encoded(self._middle(x), self.network)
        top = self.network("posterior").distribution(context)
        return TopDownCodes(top, self.network("decoder"), maps) if self.hierarchical_size else top

    def codes(self, x):
        context, maps = self._encoded(self._middle(x), self.network)
        top, inner = self._split(tf.zeros((tf.shape(context)[0], self.latent_size)))
        z = self.network("posterior").from_noise(top, context)[0]
        if not self.hierarchical_size:
            return z
        return tf.concat([z, self.network("decoder")(z, noise=inner, maps=maps, training=False)[1].latents], -1)

    def _middle(self, x) -> tf.Tensor:
        """Images as the encoder is to see them where no noise is wanted."""
        return self._target(x, lambda unit: tf.fill(tf.shape(unit), 0.5))

    def decode(self, z):
        """Images in [0, 1] from codes: decoder means, through the inverse of f; the gradient passes the clip."""
        return self._images(self._decoded(z), self.network)

    def observed(self, x):
        """What `conditional` is of, [batch, H, W, C], and log |det ∂f/∂y| in nats [batch]; noise as in `log_prob`."""
        return self._features(self._target(x, per_example_noise), self.network)

    def conditional(self, z):
        """p(f(y) | z) of codes [batch, latent_size]: a density of dequantised images or features, or a levels' pmf."""
        return self.network("pixels").distribution(self._decoded(z))

    def log_likelihood(self, x, z):
        """log p(y | z) in nats [batch] of images with one code each: log p(f(y) | z) + log |det ∂f/∂y|."""
        features, log_det = self.observed(x)
        return self.conditional(z).log_prob(features) + log_det

    def unobserved(self, features):
        """Images in [0, 1] of what `conditional` is of, such as draws of it."""
        bijector = None if self.flow is None else self.network("flow").bijector()
        images = self.pixels.as_image(features) if bijector is None else bijector.forward(features)
        return tf.clip_by_value(images, 0.0, 1.0)

    def _decoded(self, z) -> tf.Tensor:
        """The parameters of the pixels' distribution, of codes."""
        top, inner = self._split(tf.cast(z, tf.float32))
        if not self.hierarchical_size:
            return self.network("decoder")(top, training=False)
        return self.network("decoder")(top, latents=inner, training=False)[0]

    def _images(self, parameters, network) -> tf.Tensor:
        """f⁻¹ of the means that a decoder's outputs stand for: images in [0, 1]."""
        means = network("pixels").mean(parameters)
        images = means if self.flow is None else network("flow").bijector().forward(means)
        return numerics.straight_through(lambda y: tf.clip_by_value(y, 0.0, 1.0), images)

    def reconstruct(self, x):
        return self.decode(self.codes(x))
