"""Small VAEs: parts that can be exchanged, and one whose likelihood and posterior have a closed form."""

import functools

import keras
import numpy as np
import pytest

from tfade.distributions.flow_densities import IAFDensity, MAFDensity, RealNVPDensity
from tfade.distributions.gaussian import DiagonalNormal, FullNormal
from tfade.distributions.pixels import IsotropicNormal
from tfade.distributions.topdown_levels import TopDownLevel
from tfade.flows.autoregressive import IAF
from tfade.flows.image_coupling import CheckerboardCoupling
from tfade.flows.linear import DiagonalScaling
from tfade.flows.preprocessing import Logit
from tfade.flows.stack import Stack
from tfade.models.vae import VAE
from tfade.networks.conditioner import LinearConditioner, MLPConditioner
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.networks.made import MADE
from tfade.networks.residual import ResidualConditioner

SMALL = functools.partial(MLPConditioner, width=8)
MASKED = functools.partial(MADE, width=12)
NORMAL = functools.partial(DiagonalNormal, conditioner=LinearConditioner)
POSTERIORS = {
    "diagonal": NORMAL,
    "real_nvp": functools.partial(RealNVPDensity, 2, conditioner=SMALL, base=NORMAL),
    "maf": functools.partial(MAFDensity, 2, conditioner=MASKED, base=NORMAL),
    "iaf": functools.partial(IAFDensity, 2, conditioner=MASKED, base=NORMAL),
}
COUPLING = functools.partial(
    CheckerboardCoupling, conditioner=functools.partial(ResidualConditioner, width=4, blocks=1)
)
FLOW = functools.partial(Stack, (functools.partial(Logit, 0.05), COUPLING, COUPLING))


PARTS = {
    "latent_size": 5,
    "context_size": 7,
    "encoder": functools.partial(DCGANEncoder, width=4, initial_scale=None),
    "decoder": functools.partial(DCGANGenerator, width=4, initial_scale=None),
    "posterior": NORMAL,
}


def model_of(compiled=False, spread=0.05, **arguments) -> VAE:
    """A small VAE whose posterior depends on the image."""
    keras.utils.set_random_seed(4)
    model = VAE((16, 16, 1), **{**PARTS, **arguments})
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(spread * generator.normal(size=variable.shape))
    if compiled:
        model.compile(lambda name: keras.optimizers.Adam(1e-3))
    return model


class Affine(keras.Sequential):
    """A linear decoder: x = W z + b."""

    def __init__(self, shape, latent_size, activation=None):
        layers = [keras.Input((latent_size,)), keras.layers.Dense(int(np.prod(shape))), keras.layers.Reshape(shape)]
        super().__init__(layers)


class FlatEncoder(keras.Sequential):
    """An image as the context itself."""

    def __init__(self, image_shape, outputs):
        super().__init__([keras.Input(image_shape), keras.layers.Flatten()])


IDENTITY = functools.partial(Stack, (DiagonalScaling,))


def probabilistic_pca(scale=0.3):
    """A VAE of 3×3 images with a linear decoder, its parameters, and log p(y) and the posterior in closed form."""
    model = VAE(
        (3, 3, 1), 2, FlatEncoder, Affine, functools.partial(FullNormal, conditioner=LinearConditioner),
        pixels=functools.partial(IsotropicNormal, scale), flow=IDENTITY, context_size=9,
    )  # fmt: skip
    generator = np.random.default_rng(1)
    weights, bias = 0.5 * generator.normal(size=(9, 2)), generator.normal(size=9)
    model.decoder.layers[0].set_weights([weights.T, bias])
    precision = np.eye(2) + weights.T @ weights / scale**2
    covariance = np.linalg.inv(precision)
    return model, weights, bias, covariance, scale


STEPS = functools.partial(IAF, conditioner=MASKED)
LEVELS = {
    "precision": functools.partial(TopDownLevel, merge="precision"),
    "sum": functools.partial(TopDownLevel, merge="sum"),
    "precision_iaf": functools.partial(TopDownLevel, merge="precision", flow=STEPS),
    "sum_iaf": functools.partial(TopDownLevel, merge="sum", flow=STEPS),
}
levels = pytest.mark.parametrize("variant", LEVELS)


def disturb(layer, spread=0.05):
    """Weights as after some training, so that everything depends on everything."""
    generator = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign_add(spread * generator.normal(size=variable.shape))
