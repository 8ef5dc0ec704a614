"""Likelihood bounds of models that have none: an inference network around the frozen generator."""

import functools
from collections.abc import Callable

import gin
import keras
import numpy as np

from tfade.data.source import Source
from tfade.distributions.gaussian import DiagonalNormal, standard_normal
from tfade.errors import UsageError, check_positive, check_whole
from tfade.fitting import fit
from tfade.flows.preprocessing import Rescale
from tfade.models.base import GenerativeModel
from tfade.models.vae import VAE
from tfade.networks.conditioner import LinearConditioner
from tfade.networks.dcgan import DCGANEncoder
from tfade.training.fitting import steps_of
from tfade.training.optimizers import LinearDecay


class FrozenDecoder(keras.layers.Layer):
    """z → images in [0, 1] of a trained model, without variables of its own.

    Args:
        model: has `decode`.
    """

    def __init__(self, model: GenerativeModel):
        super().__init__()
        self._decode = model.decode  # a bound method: Keras would take the model itself for a part of this layer
        self.built = True

    def call(self, z, training=False):
        return self._decode(z)


@gin.configurable(denylist=["model", "train", "progress"])
def inference_bound(
    model: GenerativeModel,
    train: Source,
    *,
    steps: int = 3000,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    encoder=None,
    context_size: int = 256,
    seed: int = 0,
    progress: Callable[[str], None] = print,
) -> VAE:
    """Fits an encoder and one σ around a frozen generator G: a VAE whose bound is one of N(G(z), σ² I), z ~ N(0, I).

    The density is that of G's samples with isotropic noise. A generator with fewer codes than pixels has none of its
    own, so to call this its likelihood is a convention (the paper prints it in brackets). The inference network is not
    the exact posterior, so in bits per dimension the number is an upper bound of that density's.

    Args:
        model: answers `decode` and `prior`, which is N(0, I).
        train: training images.
        steps, batch_size, learning_rate, seed: of the fit by Adam, whose rate falls linearly to 0.
        encoder: class of the inference network, called as `encoder(image_shape, context_size)`; DCGAN's if None.
        context_size: its outputs.
        progress: receives lines of text.

    Returns:
        The VAE; `log_prob(x, num_samples)` is the bound in nats, and `fit_protocol` what goes with such a number.

    Raises:
        UsageError: a number out of range, a model of vectors, or one whose prior is not N(0, I).
        NonFiniteError: the bound was not finite.

    Reference: Lucas et al. 2019, section 5 (evaluation of GANs).
    """
    check_whole("inference_bound.steps", steps)
    check_whole("inference_bound.batch_size", batch_size)
    check_positive("inference_bound.learning_rate", learning_rate)
    if len(model.image_shape) != 3:
        raise UsageError(f"inference_bound needs a model of images; this one is of data of shape {model.image_shape}")
    prior, normal = model.prior(), standard_normal(model.latent_size)
    points = normal.sample(8, seed=(0, seed))
    if not np.allclose(prior.log_prob(points), normal.log_prob(points), rtol=1e-4):
        raise UsageError(f"{type(model).__name__}.prior() is not N(0, I), which the bound assumes")
    keras.utils.set_random_seed(seed)
    bound = VAE(
        model.image_shape,
        model.latent_size,
        encoder or functools.partial(DCGANEncoder, width=32, initial_scale=None),
        lambda shape, latent_size, activation: FrozenDecoder(model),
        functools.partial(DiagonalNormal, conditioner=LinearConditioner),
        flow=functools.partial(Rescale, 1.0, 0.0),  # means are images already
        context_size=context_size,
    )
    bound.compile(lambda name: keras.optimizers.Adam(LinearDecay(learning_rate, steps)), seed=seed)
    fit(
        steps_of(bound, train, batch_size, seed),
        steps,
        name="inference network",
        progress=progress,
        learning_rate=learning_rate,
    )
    bound.fit_protocol = {
        "inference_steps": steps,
        "inference_batch_size": batch_size,
        "inference_learning_rate": learning_rate,
        "inference_seed": seed,
        "inference_encoder": type(bound.encoder).__name__,
        "inference_encoder_parameters": bound.encoder.count_params(),
        "inference_context_size": context_size,
    }
    return bound
