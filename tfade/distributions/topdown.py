"""Latents inside a decoder: normals at several resolutions, each given the features that those above it lead to."""

import functools
from collections.abc import Sequence

import gin
import keras
import tensorflow as tf

from tfade.distributions.topdown_autoregressive import AutoregressiveLevel
from tfade.distributions.topdown_levels import Drawn, TopDownLevel
from tfade.errors import UsageError, check_choice, check_class, check_list
from tfade.networks.dcgan import DCGANGenerator
from tfade.networks.topdown import feature_maps

MERGES = ("precision", "sum")


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
        autoregressive: class of a masked network, such as `GatedPixelCNN`, that makes the prior of each level
            autoregressive over its map; None for independent normals. The posterior then has the same order or, with a
            flow, is drawn at once; see `AutoregressiveLevel`.

    Attributes:
        latent_shapes: (h, w, c) of every level.
        hierarchical_size: dimensions of all levels together.

    Raises:
        UsageError: more levels than the network has feature maps or none, an unknown merge, a flow after precisions of
            an autoregressive prior, or an object where a class is wanted.

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
        autoregressive=None,
    ):
        super().__init__(autocast=False)  # its layers see to the precision themselves, densities are in float32
        check_choice("merge", merge, MERGES)
        check_list("channels", channels)
        check_class("network", network)
        check_class("flow", flow, optional=True)
        check_class("autoregressive", autoregressive, optional=True)
        kind = TopDownLevel
        if autoregressive is not None:
            if merge == "precision" and flow is not None:
                raise UsageError(
                    f"merge={merge!r} multiplies the conditionals of an autoregressive prior, which flow={flow!r} is "
                    "not made of; use merge = 'sum', or flow = None"
                )
            kind = functools.partial(AutoregressiveLevel, network=autoregressive)
        self.network = network(image_shape, latent_size, activation=activation)
        maps = feature_maps(self.network)
        if not 1 <= len(channels) <= len(maps):
            raise UsageError(
                f"channels={tuple(channels)!r} is not one positive number for each level, and 1 to {len(maps)} levels: "
                f"the feature maps of {type(self.network).__name__} are {list(maps.values())} for images of shape "
                f"{tuple(image_shape)}"
            )
        self.level_layers = [
            kind(shape, count, merge, flow, ordinal)
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

    def call(self, z, noise=None, latents=None, maps=None, temperature=1.0, kept=None, training=None):
        """The network's output, and the latents on the way, which are given, or made of noise.

        Args:
            z: z₀, [batch, latent_size].
            noise: standard normal, [batch, hierarchical_size], of which latents are made: of the posterior's if there
                are maps, of the prior's otherwise.
            latents: [batch, hierarchical_size], to be taken as they are.
            kept: with both, how many levels take their latents, before the later ones are made of noise.
            maps: the encoder's, the smallest first, each [batch, H, W, C]; None where only the prior is asked for.
            temperature: factor on the deviation of the prior.
            training: whether batch normalisation takes the statistics of this batch.

        Returns:
            Parameters [batch, H, W, C], and `Drawn`.
        """
        if kept is None:
            if (noise is None) == (latents is None):
                raise UsageError(
                    "TopDownDecoder needs either noise, to make its latents of, or the latents, and not both"
                )
            kept = 0 if latents is None else len(self._sizes)
        sources = [noise if level >= kept else latents for level in range(len(self._sizes))]
        parts = iter([tf.split(source, list(self._sizes), -1)[level] for level, source in enumerate(sources)])
        bottom_up = iter(maps or ())
        drawn, value = [], z
        for position, layer in enumerate(self.network.layers):
            value = layer(value, training=training)
            if position in self._places:
                level, part = self._places[position], next(parts)
                given = {"noise" if len(drawn) >= kept else "latents": part}
                value, result = level(
                    value, **given, bottom_up=next(bottom_up) if maps else None, temperature=temperature
                )
                drawn.append(result)
        latents, *densities = zip(*drawn)
        stacked = (None if column[0] is None else tf.stack(column, -1) for column in densities)
        return value, Drawn(tf.concat(latents, -1), *stacked)
