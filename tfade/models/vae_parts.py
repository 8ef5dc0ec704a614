"""The parts of a VAE: what its bound is made of, and networks from the classes that a user gives, or a refusal."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tfade.distributions.layer import DistributionLayer
from tfade.distributions.pixels import PixelDistribution
from tfade.errors import UsageError
from tfade.flows.layer import FlowLayer
from tfade.flows.stack import Stack


class Explained(NamedTuple):
    """What the model makes of images, in nats.

    Attributes:
        log_likelihood: log p(f(y) | z) of every sampled code, [batch, k].
        log_weight: log p(f(y), z) - log q(z | y) + log |det ∂f/∂y|, [batch, k].
        log_det: log |det ∂f/∂y|, [batch]; 0 without a flow.
        kl: KL(q(z | y) ‖ p(z)), [batch, groups]: of every dimension in closed form where prior and posterior are
            diagonal normals, otherwise of all of them together, by one sample; then of every level inside the decoder.
    """

    log_likelihood: tf.Tensor
    log_weight: tf.Tensor
    log_det: tf.Tensor
    kl: tf.Tensor


def built_flow(make, shape) -> FlowLayer:
    """f over images, built."""
    if isinstance(make, keras.layers.Layer) or not callable(make):
        raise UsageError(
            f"flow={make!r} is no class; give one such as functools.partial(Stack, parts), or @Stack in gin"
        )
    flow = make() if isinstance(make, type) and issubclass(make, FlowLayer) else Stack([make()])
    flow.build(shape)
    if len(flow.latent_shape) != 3:
        raise UsageError(
            f"flow turns images of shape {tuple(shape)} into features of shape {flow.latent_shape}; a decoder needs "
            "features that are an image: leave out Flatten, and give MultiScale flatten=False"
        )
    return flow


def built_decoder(make, shape, latent_size: int, encoder):
    """The decoder; one with levels is told the shapes of the feature maps that the posterior sees."""
    layer = make(shape, latent_size, activation=None)
    levels, maps = (getattr(part, name, ()) for part, name in ((layer, "latent_shapes"), (encoder, "map_shapes")))
    if bool(levels) != bool(maps):
        has = {True: "has", False: "has no"}
        raise UsageError(
            f"decoder={make!r} {has[bool(levels)]} latents at feature maps, but {type(encoder).__name__} "
            f"{has[bool(maps)]} feature maps to give: TopDownDecoder goes with BottomUpEncoder, DCGANGenerator with "
            "DCGANEncoder"
        )
    if levels:
        layer.build_posterior(maps)
    return layer


def built_pixels(make, shape, in_image_space: bool) -> PixelDistribution:
    layer = _made("pixels", make, PixelDistribution)
    layer.build(shape, in_image_space)
    return layer


def built_over_codes(name: str, make, latent_size: int, context_size: int) -> DistributionLayer:
    layer = _made(name, make, DistributionLayer)
    layer.build((latent_size,), context_size)
    return layer


def _made(name: str, make, kind: type):
    """`make()`, if `make` is a class (or a function) that makes what is wanted."""
    if isinstance(make, keras.layers.Layer) or not callable(make) or not isinstance(layer := make(), kind):
        raise UsageError(
            f"{name}={make!r} makes no {kind.__name__}; give the class of one, or functools.partial(class, …)"
        )
    return layer
