"""Latents inside a decoder: normals at several resolutions, each given the features that those above it lead to."""

from collections.abc import Sequence
from typing import NamedTuple

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfade.distributions.scales import bounded_log_scale
from tfade.errors import UsageError, check_choice, check_class, check_list
from tfade.flows.layer import FlowLayer
from tfade.networks.dcgan import DCGANGenerator
from tfade.networks.topdown import TopDownBlock, feature_maps

tfd = tfp.distributions

MERGES = ("precision", "sum")


class Drawn(NamedTuple):
    """Latents, in nats and float32; each level of a decoder has one, and the decoder one of all of them.

    Attributes:
        latents: [batch, size], those of the levels one after the other.
        log_prior: log p of every level given the levels before it, [batch, levels].
        log_posterior: log q, likewise; None without the encoder's maps.
        kl: KL(q ‖ p) of every level given the levels before it, [batch, levels]: in closed form where q is normal,
            otherwise by the one sample; None without the encoder's maps.
    """

    latents: tf.Tensor
    log_prior: tf.Tensor
    log_posterior: tf.Tensor | None
    kl: tf.Tensor | None


def precision_weighted(one, other) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and log σ of the normalised product of two normals, each given by its mean and log σ.

        μ = (μ₁/σ₁² + μ₂/σ₂²) / (1/σ₁² + 1/σ₂²),   1/σ² = 1/σ₁² + 1/σ₂²

    Reference: Sønderby et al. 2016, equations 17 and 18.
    """
    (mean, log_scale), (other_mean, other_log_scale) = one, other
    weight = tf.sigmoid(2.0 * (log_scale - other_log_scale))  # of the other: its share of the precision
    gain = tf.nn.softplus(2.0 * (log_scale - other_log_scale))
    return mean + weight * (other_mean - mean), log_scale - 0.5 * gain


class TopDownLevel(TopDownBlock):
    """The densities of one map of latents z [h, w, c] within a decoder's features h.

        p(z | h) = N(μ(h), σ²(h)),   h ← h + g(h, z)

    with a residual branch g. The posterior merges the encoder's map of the same side with the top-down path:

    - "precision": the product of p(z | h) and a normal whose moments the encoder gives;
    - "sum": means and log σ are sums of what a convolution of h and one of the encoder's map return.

    A flow follows the merged normal, over the flattened latents. Its context is a map of the latents' shape, from the
    encoder and, for "sum", from h, as in the IAF paper. That paper masks 3×3 convolutions; `IAF` has a dense masked
    network, which sees all latents before one, costs with the square of their number, and so suits small maps.

    Means and log σ are 0 at the start. For "sum" the posterior then is the prior; for "precision" it has half of the
    prior's variance, a KL that is paid before the level is of any use: without `VAE.warm_up` levels are switched off
    in the first steps and stay unused.

    Args:
        shape: (H, W, C) of h.
        channels: c.
        merge: "precision" or "sum".
        flow: class of the posterior's flow, called without arguments; None for none.
        ordinal: how many levels lie above, which sets the direction that `IAF` starts with.

    Reference: Sønderby et al. 2016 ("precision"); Kingma et al. 2016, section 5.1 and figure 4 ("sum", flow).
    """

    def __init__(self, shape, channels: int, merge: str, flow, ordinal: int):
        super().__init__(shape, channels)
        self._make_flow, self._merge, self._ordinal = flow, merge, ordinal
        self.flow = None

    def build_posterior(self, map_shape) -> None:
        """Makes the posterior's variables, for an encoder's maps of this shape."""
        self.add_posterior(map_shape, 2 if self._make_flow is None else 3, sees_features=self._merge == "sum")
        if self._make_flow is not None:
            self.flow = self._make_flow()
            if not isinstance(self.flow, FlowLayer):
                raise UsageError(f"flow={self._make_flow!r} makes no flow; give a class such as IAF")
            self.flow.build((self.size,), self.size, self._ordinal)

    @property
    def posterior_variables(self) -> list:
        """The trainable variables that p(z | h) and the features have no part in."""
        parts = (self.bottom_up, self.top_down, self.flow)
        return [variable for part in parts if part is not None for variable in part.trainable_variables]

    def call(self, features, noise=None, latents=None, bottom_up=None, temperature=1.0):
        """See `TopDownDecoder.call`. Returns h and a `Drawn`, without the dimension of levels."""
        mean, log_scale = self.parameters(self.prior, features)
        moments = mean, bounded_log_scale(log_scale)
        prior = _normal(moments, temperature)
        log_posterior = kl = None
        if bottom_up is not None:
            latents, log_posterior, kl = self._inferred(features, moments, bottom_up, prior, noise, latents)
        elif latents is None:
            latents = _sample(prior, noise)
        return self.with_latents(features, latents), Drawn(latents, prior.log_prob(latents), log_posterior, kl)

    def posterior(self, features, moments, bottom_up) -> tuple[tfd.Distribution, tf.Tensor | None]:
        """The merged normal over flattened latents, and the context of the flow behind it."""
        parts = self.parameters(self.bottom_up, bottom_up)
        if self._merge == "sum":
            parts = [one + other for one, other in zip(self.parameters(self.top_down, features), parts)]
        merged = parts[0], bounded_log_scale(parts[1])
        if self._merge == "precision":
            merged = precision_weighted(moments, merged)
        return _normal(merged), None if self.flow is None else parts[2]

    def _inferred(self, features, moments, bottom_up, prior, noise, latents):
        """Latents, those given or those made of noise; log q; KL(q ‖ p)."""
        normal, context = self.posterior(features, moments, bottom_up)
        if self.flow is None:
            latents = _sample(normal, noise) if latents is None else latents
            return latents, normal.log_prob(latents), tfd.kl_divergence(normal, prior)
        bijector = self.flow.bijector(context)
        if latents is None:
            start = _sample(normal, noise)
            latents, log_det = bijector.forward_and_log_det(start)
            log_posterior = normal.log_prob(start) - log_det
        else:
            start, log_det = bijector.inverse_and_log_det(latents)
            log_posterior = normal.log_prob(start) + log_det
        return latents, log_posterior, log_posterior - prior.log_prob(latents)


@gin.register
class TopDownDecoder(keras.layers.Layer):
    """A decoder with latents of its own at the feature maps of a network, the smallest first: a ladder of latents.

        p(z₀, …, z_L) = p(z₀) Π_l p(z_l | z_<l),   q(z₀, …, z_L | x) = q(z₀ | x) Π_l q(z_l | z_<l, x)

    z₀ is the vector that every decoder takes; its prior and posterior are the model's. The latents of level l lie at
    the l-th map of `network`, in the features that become the image: see `TopDownLevel`.

    A model finds by `latent_shapes` that it has levels, and hands the shapes of its encoder's maps to
    `build_posterior`.

    Args:
        image_shape, latent_size, activation: as for any decoder; `latent_size` is that of z₀.
        network: class of the convolutional network, a `keras.Sequential` called as
            `network(image_shape, latent_size, activation=activation)`.
        channels: latent channels of each level, the smallest map first; as many levels as entries.
        merge: "sum" (Kingma et al. 2016), or "precision" (Sønderby et al. 2016), which wants a warm-up of the KL term;
            see `TopDownLevel`.
        flow: class of a flow over each level's flattened latents in the posterior, such as `IAF`; None for normals.

    Attributes:
        latent_shapes: (h, w, c) of every level.
        hierarchical_size: dimensions of all levels together.

    Raises:
        UsageError: more levels than the network has feature maps or none, an unknown merge, or an object where a class
            is wanted.

    Reference: Sønderby et al. 2016; Kingma et al. 2016.
    """

    def __init__(
        self,
        image_shape,
        latent_size: int,
        activation: str | None = None,
        network=DCGANGenerator,
        channels: Sequence[int] = (4, 2),
        merge: str = "sum",
        flow=None,
    ):
        super().__init__(autocast=False)  # its layers see to the precision themselves, densities are in float32
        check_choice("merge", merge, MERGES)
        check_list("channels", channels)
        check_class("network", network)
        check_class("flow", flow, optional=True)
        self.network = network(image_shape, latent_size, activation=activation)
        maps = feature_maps(self.network)
        if not 1 <= len(channels) <= len(maps):
            raise UsageError(
                f"channels={tuple(channels)!r} is not one positive number for each level, and 1 to {len(maps)} levels: "
                f"the feature maps of {type(self.network).__name__} are {list(maps.values())} for images of shape "
                f"{tuple(image_shape)}"
            )
        self.level_layers = [
            TopDownLevel(shape, count, merge, flow, ordinal)
            for ordinal, (shape, count) in enumerate(zip(maps.values(), channels))
        ]
        self._places = dict(zip(maps, self.level_layers))
        self.latent_shapes = tuple(level.latent_shape for level in self.level_layers)
        self._sizes = tuple(level.size for level in self.level_layers)
        self.hierarchical_size = sum(self._sizes)
        self.built = True

    def build_posterior(self, map_shapes: Sequence[Sequence[int]]) -> None:
        """Makes the posterior's variables.

        Args:
            map_shapes: (H, W, C) of the encoder's maps, the smallest first.

        Raises:
            UsageError: no map of a level's side.
        """
        given = [tuple(shape[:2]) for shape in map_shapes]
        wanted = [tuple(shape[:2]) for shape in self.latent_shapes]
        if given[: len(wanted)] != wanted:
            raise UsageError(
                f"the encoder's feature maps have the sides {given}, the levels of the decoder {wanted}; they must be "
                "the same from the smallest on: give both the same kind of network, or TopDownDecoder fewer channels"
            )
        for level, shape in zip(self.level_layers, map_shapes):
            level.build_posterior(shape)

    @property
    def posterior_variables(self) -> list:
        """The trainable variables of the levels' posteriors: they are not parameters of p(x)."""
        return [variable for level in self.level_layers for variable in level.posterior_variables]

    def call(self, z, noise=None, latents=None, maps=None, temperature=1.0, training=None):
        """The network's output, and the latents on the way, which are given, or made of noise.

        Args:
            z: z₀, [batch, latent_size].
            noise: standard normal, [batch, hierarchical_size], of which latents are made: of the posterior's if there
                are maps, of the prior's otherwise.
            latents: [batch, hierarchical_size], to be taken as they are.
            maps: the encoder's, the smallest first, each [batch, H, W, C]; None where only the prior is asked for.
            temperature: factor on the deviation of the prior.
            training: whether batch normalisation takes the statistics of this batch.

        Returns:
            Parameters [batch, H, W, C], and `Drawn`.
        """
        if (noise is None) == (latents is None):
            raise UsageError("TopDownDecoder needs either noise, to make its latents of, or the latents, and not both")
        parts = iter(tf.split(noise if latents is None else latents, list(self._sizes), -1))
        bottom_up = iter(maps or ())
        drawn, value = [], z
        for position, layer in enumerate(self.network.layers):
            value = layer(value, training=training)
            if position in self._places:
                level, part = self._places[position], next(parts)
                given = {"noise": part} if latents is None else {"latents": part}
                value, result = level(
                    value, **given, bottom_up=next(bottom_up) if maps else None, temperature=temperature
                )
                drawn.append(result)
        latents, *densities = zip(*drawn)
        stacked = (None if column[0] is None else tf.stack(column, -1) for column in densities)
        return value, Drawn(tf.concat(latents, -1), *stacked)


def _normal(moments, temperature=1.0) -> tfd.Distribution:
    """N(μ, T² diag σ²) from μ and log σ."""
    mean, log_scale = moments
    return tfd.Independent(tfd.Normal(mean, temperature * tf.exp(log_scale)), 1)


def _sample(normal: tfd.Distribution, noise) -> tf.Tensor:
    return normal.mean() + normal.stddev() * tf.cast(noise, tf.float32)
