"""A decoder with latents of its own at its feature maps, each level given what those above it lead to."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import gin
import keras
import tensorflow as tf

from tfade.errors import UsageError, check_class, check_list
from tfade.networks.dcgan import DCGANGenerator
from tfade.networks.topdown import feature_maps


class LevelDraw(NamedTuple):
    """Latents and their log densities in nats, float32; each level of a decoder has one, and the decoder one of all.

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


@gin.register
class TopDownDecoder(keras.layers.Layer):
    """A decoder with latents of its own at the feature maps of a network, the smallest first: a ladder of latents.

        p(z₀, …, z_L) = p(z₀) Π_l p(z_l | z_<l),   q(z₀, …, z_L | x) = q(z₀ | x) Π_l q(z_l | z_<l, x)

    z₀ is the vector that every decoder takes; its prior and posterior are the model's. The latents of level l lie at
    the l-th map of `network`, in the features that become the image; their densities are the level's own.

    A model finds by `latent_shapes` that it has levels, and hands the shapes of its encoder's maps to
    `build_posterior`.

    Args:
        image_shape, latent_size, activation: as for any decoder; `latent_size` is that of z₀.
        network: class of the convolutional network, a `keras.Sequential` called as
            `network(image_shape, latent_size, activation=activation)`.
        channels: latent channels of each level, the smallest map first; as many levels as entries.
        level: class of the levels, a `TopDownBlock` with the densities of one map's latents, called as
            `level((H, W, C), channels, ordinal)` with the number of levels above: `TopDownLevel` for normals or flows,
            `AutoregressiveLevel` for a prior that is autoregressive over the map.

    Attributes:
        latent_shapes: (h, w, c) of every level.
        hierarchical_size: dimensions of all levels together.

    Raises:
        UsageError: more levels than the network has feature maps or none, or an object where a class is wanted.

    Reference: Sønderby et al. 2016; Kingma et al. 2016.
    """

    def __init__(
        self,
        image_shape,
        latent_size: int,
        activation: str | None = None,
        network=DCGANGenerator,
        channels: Sequence[int] = (4, 2),
        level: Callable[..., keras.layers.Layer] | None = None,
    ):
        super().__init__(autocast=False)  # its layers see to the precision themselves, densities are in float32
        check_list("channels", channels)
        check_class("network", network)
        if level is None:
            raise UsageError("TopDownDecoder.level=None; give a class of levels, such as TopDownLevel")
        check_class("TopDownDecoder.level", level)
        self.network = network(image_shape, latent_size, activation=activation)
        maps = feature_maps(self.network)
        if not 1 <= len(channels) <= len(maps):
            raise UsageError(
                f"channels={tuple(channels)!r} is not one positive number for each level, and 1 to {len(maps)} levels: "
                f"the feature maps of {type(self.network).__name__} are {list(maps.values())} for images of shape "
                f"{tuple(image_shape)}"
            )
        self.level_layers = [
            level(shape, count, ordinal) for ordinal, (shape, count) in enumerate(zip(maps.values(), channels))
        ]
        self._places = dict(zip(maps, self.level_layers))
        self.latent_shapes = tuple(layer.latent_shape for layer in self.level_layers)
        self._sizes = tuple(layer.size for layer in self.level_layers)
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
            Parameters [batch, H, W, C], and `LevelDraw`.
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
        return value, LevelDraw(tf.concat(latents, -1), *stacked)
