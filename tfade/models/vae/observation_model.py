"""What a VAE observes: a distribution of pixels, or of features that an invertible f makes of them."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfade import numerics
from tfade.distributions.pixels import PixelDistribution
from tfade.errors import UsageError
from tfade.flows.layer import FlowLayer
from tfade.flows.stack import Stack

Network = Callable[[str], keras.Layer]  # name → the network that is trained, or the one that serves


class ObservationModel:
    """p(f(y) | z), with y the dequantised (or binarised) example: the networks "pixels" and, where there is f, "flow".

    It owns no variables: `network` arguments look its networks up in the model.

    Args:
        add_network: registers a network, see `GenerativeModel.add_network`.
        shape: of an example, (H, W, C) or (D,).
        pixels: class of p(· | z), a `PixelDistribution`.
        flow: class of f; None for the identity.

    Attributes:
        activations: values that a decoder returns for an example, or that pixels make of it, if these are more.
        output_shape: shape of a decoder's output.
        pixel_levels: see `Contract.pixel_levels`.
        noise_shape: of the uniform noise that an image is drawn from; None where images are means.

    Raises:
        UsageError: classes that make something else, a pmf of levels together with f or vectors, or features that are
            not an image.
    """

    def __init__(self, add_network, shape: tuple[int, ...], pixels, flow=None):
        self._is_image = len(shape) == 3
        self.flow = None if flow is None else add_network("flow", lambda: _build_flow(flow, shape))
        features = shape if self.flow is None else self.flow.latent_shape
        in_image_space = self._is_image and flow is None
        self.pixels = add_network("pixels", lambda: _build_pixels(pixels, features, in_image_space))
        self.activations, self.pixel_levels = self.pixels.activations, self.pixels.pixel_levels
        self.output_shape = (*features[:-1], self.pixels.outputs)
        self.noise_shape = self.pixels.noise_shape if self.pixels.is_drawn else None

    def target(self, unit, noise) -> tf.Tensor:
        """y: what is observed of images in [0, 1], with `noise`, a function of them; vectors as they are."""
        return self.pixels.target(unit, noise(unit)) if self._is_image else unit

    def encoder_input(self, target) -> tf.Tensor:
        """y as an encoder sees it: images in [-1, 1]."""
        return numerics.to_signed(self.pixels.as_image(target)) if self._is_image else target

    def features(self, target, network: Network) -> tuple[tf.Tensor, tf.Tensor]:
        """f(y), and log |det ∂f/∂y| in nats [batch]."""
        if self.flow is None:
            return target, tf.zeros(tf.shape(target)[:1])
        return network("flow").bijector().inverse_and_log_det(target)

    def images(self, parameters, network: Network, noise=None) -> tf.Tensor:
        """f⁻¹ of the means that a decoder's outputs stand for; images are clipped to [0, 1]; the gradient passes.

        With a `noise_shape`, images made of uniform noise [batch, *noise_shape] instead, without a gradient.
        """
        if self.noise_shape is not None:
            report = "pixels" if tf.executing_eagerly() else ""
            return self.pixels.as_image(network("pixels").image_from_uniform(noise, parameters, report=report))
        return self._clipped(self._inverse(network("pixels").mean(parameters), network))

    def to_image(self, features, network: Network) -> tf.Tensor:
        """The images in [0, 1] (or vectors) of features."""
        return self._clipped(self._inverse(features, network) if self.flow is not None else self._image(features))

    def _inverse(self, features, network: Network) -> tf.Tensor:
        return features if self.flow is None else network("flow").bijector().forward(features)

    def _image(self, target) -> tf.Tensor:
        return self.pixels.as_image(target) if self._is_image else target

    def _clipped(self, images) -> tf.Tensor:
        if not self._is_image:
            return images
        return numerics.straight_through(lambda y: tf.clip_by_value(y, 0.0, 1.0), images)

    def initialise(self, target) -> None:
        """Data-dependent initialisation of f, on y."""
        if self.flow is not None:
            self.flow.initialise(target)


def _build_flow(make, shape) -> FlowLayer:
    """f, built."""
    if isinstance(make, keras.layers.Layer) or not callable(make):
        raise UsageError(
            f"flow={make!r} is not a class; give one such as functools.partial(Stack, parts), or @Stack in gin"
        )
    flow = make() if isinstance(make, type) and issubclass(make, FlowLayer) else Stack([make()])
    flow.build(shape)
    if len(flow.latent_shape) != len(shape):
        raise UsageError(
            f"flow turns data of shape {tuple(shape)} into features of shape {flow.latent_shape}; a decoder of images "
            "needs features that are an image: leave out Flatten, and give MultiScale flatten=False"
        )
    return flow


def _build_pixels(make, shape, in_image_space: bool) -> PixelDistribution:
    made = make() if callable(make) and not isinstance(make, keras.layers.Layer) else None
    if not isinstance(made, PixelDistribution):
        raise UsageError(
            f"pixels={make!r} does not make a PixelDistribution; give its class, such as IsotropicNormal (in gin "
            "@IsotropicNormal, without parentheses), or functools.partial(class, …)"
        )
    made.build(shape, in_image_space)
    return made
