"""Variational autoencoders, whose encoder, decoder, prior, posterior and pixel distribution can be exchanged."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from tfade import numerics
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.pixels import IsotropicNormal
from tfade.distributions.standard import StandardNormal
from tfade.errors import LARGEST, check_whole
from tfade.models.latent import LatentVariableModel
from tfade.models.players import Player, Weighted
from tfade.models.vae.class_conditioned import ClassConditionedNetworks
from tfade.models.vae.elbo import BoundWeights, ELBOTerms, EvidenceLowerBound
from tfade.models.vae.latents import HierarchicalLatents, add_latent_networks
from tfade.models.vae.observation_model import Network, ObservationModel
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.seeds import Seeds, as_seed, per_example_noise, per_example_normal_noise
from tfade.spec import Batch

NOISE_CELLS = 4  # codes within a quarter in every dimension share their noise: rounding is not to change an image


@gin.register
class VAE(LatentVariableModel):
    """A variational autoencoder, on pixels or on features that a flow f makes of them (V-ADE).

        log p(y) ≥ E_q(z|y)[log p(f(y) | z)] - KL(q(z | y) ‖ p(z)) + log |det ∂f/∂y|,   y = (255 x + u) / 256

    u ~ U[0, 1) is dequantisation noise. Without a flow f is the identity. The one player, `autoencoder`, moves
    everything by the negative bound. Terms are reported in nats and minimised in nats per dimension, so that weights
    mean the same for every size of image.

    With a pmf of levels (see `tfade.distributions.pixels`) the bound is one of log P(x), without dequantisation.

    `log_prob` draws its noise as a function of the image, so that an image's value is its own; with `num_samples` k > 1
    it is the importance-weighted bound of k codes at one draw of u. Samples and reconstructions are decoder means;
    under `AutoregressivePixels` (PixelVAE) they are draws of p(x | z), pixel by pixel.

    A decoder may hold further latents at several resolutions (`TopDownDecoder`, with `BottomUpEncoder`). A code is then
    the vector z₀ and they, one level after the other: `encode` and `prior` are over all of it, `decode` takes all of
    it, and the model's attribute `latent_size` is the dimension of all of it. Each level is a group of its own to
    `free_bits`.

    Args:
        spec: what the data look like, or the bare shape: (H, W, C), or (D,) for vectors, which have no noise: y = x.
        latent_size: dimension of z, of z₀ where the decoder holds latents, too.
        encoder: class of the network from images in [-1, 1] to the posterior's context, called as
            `encoder(image_shape, context_size)`. `BottomUpEncoder` returns feature
            maps, too. Vectors: `MLPEncoder`.
        decoder: class of the network from codes to the parameters of the pixels' distribution, called as
            `decoder((H, W, outputs of pixels), latent_size, activation=None)`. Vectors: `MLPDecoder`.
        posterior: class of q(z | context): `DiagonalNormal`, or a flow over it (`RealNVPDensity`, `MAFDensity`,
            `IAFDensity`, with `base = DiagonalNormal`).
        prior: class of p(z), trained jointly if it has variables.
        pixels: class of p(· | z).
        flow: class of f, from images in [0, 1] to features of the shape of an image; None for the identity.
        context_size: outputs of the encoder, which condition the posterior.
        kl_weight: β ≥ 0 of the KL term; 1 is the bound.
        warm_up: training steps over which the weight of the KL term rises linearly from 0.
        free_bits: λ ≥ 0, nats that every group of latents may spend at no cost; see `objectives.bounds.free_bits`.
            A group is one latent where prior and posterior are diagonal normals, the whole code where one of them is
            not, and a level of a decoder that has latents inside: with another posterior another λ is the same freedom.
        importance_samples: k ≥ 1 codes an image in training; above 1 the importance-weighted bound is maximised.

    Raises:
        UsageError: a value out of range, k > 1 together with another weight than 1, warm-up or free bits, or parts that
            do not fit each other.

    Reference: Kingma and Welling 2014; Burda et al. 2016 (k > 1); Lucas et al. 2019, equation 3 (f).
    """

    likelihood = "lower_bound"
    has_implicit_posterior = False
    takes_hierarchy = True  # a decoder with latents of its own

    def __init__(
        self,
        spec,
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
        super().__init__(spec, latent_size, prior)
        check_whole("context_size", context_size, most=LARGEST)
        self.weights_of_bound = BoundWeights(kl_weight, warm_up, free_bits, importance_samples)
        self.observation_model = ObservationModel(self.add_network, self.image_shape, pixels, flow)
        self.latents = add_latent_networks(self, latent_size, encoder, decoder, posterior, context_size)
        self.elbo = EvidenceLowerBound(self.observation_model, self.latents)
        self.latent_size, self.pixel_levels = self.latents.size, self.observation_model.pixel_levels
        flat = not isinstance(self.latents, HierarchicalLatents)
        self.gaussian_codes = flat and self.networks["posterior"].is_diagonal_normal

    # ---- Training ----

    def players(self):
        return (Player("autoencoder", *self.networks.values()),)

    def losses(self, batch: Batch, seeds: Seeds):
        return {"autoencoder": self.bound_losses(self.bound_terms(batch, seeds))}

    def bound_terms(self, batch: Batch, seeds: Seeds, network: Network | None = None) -> ELBOTerms:
        """The terms of the bound on a training batch.

        Args:
            batch, seeds: of this pass.
            network: looks networks up by name; None for the model's own.
        """
        given = self._given(network or self.networks.__getitem__, batch.labels)
        return self.elbo.terms(*self._drawn(batch, seeds), given, training=True)

    def bound_losses(self, terms: ELBOTerms) -> dict[str, Weighted]:
        """The negative bound, as terms in nats minimised in nats per dimension."""
        has_flow = self.observation_model.flow is not None
        return self.weights_of_bound.losses(terms, 1.0 / self.spec.dimensions, self.step.value, has_flow)

    def _drawn(self, batch: Batch, seeds: Seeds) -> tuple[tf.Tensor, tf.Tensor]:
        """y of a training batch, and the noise of its codes [batch, k, noise_size]."""
        count = self.weights_of_bound.importance_samples
        target = self.observation_model.target(self.unit(batch.images), self.uniform_noise(seeds))
        return target, seeds.normal("code", (batch.size, count, self.latents.noise_size))

    @property
    def decode_is_random(self):
        return self.observation_model.noise_shape is not None

    def generate(self, rows, seeds: Seeds, labels=None) -> tf.Tensor:
        """Decoder means as images [rows, H, W, C] in training, for latents of the prior, and labels of a conditional
        model."""
        network = self._given(self.networks.__getitem__, labels)
        return self.observation_model.images(self.latents.generate(rows, seeds, network), network)

    def regenerate(self, codes, labels=None) -> tf.Tensor:
        """As `generate`, for given codes of all latents [rows, latent_size]."""
        network = self._given(self.networks.__getitem__, labels)
        return self.observation_model.images(self.latents.decode(codes, network, training=True), network)

    def initialise(self, batch: Batch):
        """Data-dependent initialisation of f and, in the first stage that moves it, of the prior, on drawn codes."""
        unit, network = self.unit(batch.images), self._given(self.networks.__getitem__, batch.labels)
        target = self.observation_model.target(unit, per_example_noise)
        self.observation_model.initialise(target)
        prior = self.networks["prior"]
        moves = not self.stages or any(prior in player.networks for player in self.stage.players.values())
        if moves and not prior.is_fitted:
            noise = per_example_normal_noise(unit, 1, (self.latents.noise_size,))
            self.latents.initialise_prior(self.elbo.context(target, network), noise, network)

    def _given(self, network: Network, labels) -> Network:
        """Networks as they are looked up; those of a conditional model are given the classes of the examples."""
        if not self.conditional:
            return network
        return ClassConditionedNetworks(network, tf.one_hot(self.checked_labels(labels), self.spec.num_classes))

    def _served(self, labels) -> Network:
        """The networks of the public contract."""
        return self._given(self.network, labels)

    # ---- Public contract ----

    def log_prob(self, x, num_samples=1, labels=None):
        """A lower bound in nats [batch]; it rises with `num_samples`, the codes drawn for each example."""
        check_whole("num_samples", num_samples)
        unit, labels = self.unit(x), self.checked_labels(labels)
        if num_samples == 1:
            return self.elbo.value_and_kl(unit, labels, self._served)[0]
        return self.elbo.importance_weighted(unit, labels, self._served, num_samples)

    def validate(self, batch: Batch):
        bound, kl = self.elbo.value_and_kl(self.unit(batch.images), batch.labels, self._served)
        terms = {"nll": -bound, "kl": kl}
        if self.spec.is_image and self.pixel_levels != 2:
            terms["bits_per_dim"] = numerics.bits_per_dim(bound, self.spec.dimensions, self.pixel_levels is None)
        return terms

    def prior(self, temperature=1.0):
        return self.latents.prior(self.network, temperature)

    def encode(self, x, labels=None):
        self.checked_labels(labels)
        network = self._served(labels)
        return self.latents.posterior(self._noiseless_context(x, network), network)

    def codes(self, x, labels=None):
        """The centres of the posteriors [batch, latent_size]: noise 0 at every level."""
        self.checked_labels(labels)
        network = self._served(labels)
        return self.latents.centre(self._noiseless_context(x, network), network)

    @property
    def code_noise_size(self):
        return self.latents.noise_size

    def sampled_codes(self, x, noise, labels=None):
        self.checked_labels(labels)
        network = self._served(labels)
        return self.latents.sampled(self._noiseless_context(x, network), noise, network)

    def _noiseless_context(self, x, network: Network):
        target = self.observation_model.target(self.unit(x), lambda unit: tf.fill(tf.shape(unit), 0.5))
        return self.elbo.context(target, network)

    def decode(self, z, labels=None):
        """Decoder means as images in [0, 1], through the inverse of f; the gradient passes the clip.

        Where `decode_is_random`, a draw of p(x | z) whose noise is a function of z: equal codes give equal images.
        """
        self.checked_labels(labels)
        network, noise = self._served(labels), None
        if self.decode_is_random:
            rounded = tf.round(NOISE_CELLS * tf.cast(z, tf.float32)) / NOISE_CELLS
            noise = per_example_noise(rounded, 2, self.observation_model.noise_shape)
        return self.observation_model.images(self.latents.decode(z, network), network, noise)

    def sample(self, n, temperature=1.0, seed=None, labels=None):
        """See `Contract.sample`; the temperature is that of the prior, also where pixels are drawn one by one."""
        if not self.decode_is_random:
            return super().sample(n, temperature, seed, labels)
        of_code, of_pixels = tfp.random.split_seed(as_seed(seed), 2)
        labels = self.sampled_labels(n, labels, of_code)
        network = self._served(labels)
        parameters = self.latents.decode(self.draw_prior(n, temperature, of_code, labels), network)
        noise = tf.random.stateless_uniform((n, *self.observation_model.noise_shape), of_pixels)
        return self.observation_model.images(parameters, network, noise)

    def to_observation(self, x):
        """f(y) [batch, H, W, C] and log |det ∂f/∂y| in nats [batch]; noise as in `log_prob`."""
        return self.observation_model.features(
            self.observation_model.target(self.unit(x), per_example_noise), self.network
        )

    def observation(self, z):
        """p(f(y) | z) of latents [batch, latent_size]: a density of dequantised images or features, or a pmf."""
        return self.network("pixels").distribution(self.latents.decode(z, self.network))

    def to_image(self, observed):
        return self.observation_model.to_image(observed, self.network)
