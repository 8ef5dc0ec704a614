"""Flows as densities, ready made: stacks of one kind of layer over a base density.

Each repeats ActNorm, which brings the data to unit scale, an invertible linear map, which lets every dimension meet
every other, and the layer that gives the class its name. Anything else is a `FlowDistribution` over a `Stack`.
"""

import functools
from collections.abc import Callable

import gin

from tfade.distributions.flow import FlowDistribution
from tfade.distributions.gaussian import DiagonalNormal
from tfade.distributions.standard import StandardNormal
from tfade.errors import check_layers
from tfade.flows.actnorm import ActNorm
from tfade.flows.autoregressive import IAF, MAF
from tfade.flows.coupling import Coupling
from tfade.flows.layer import FlowLayer
from tfade.flows.linear import LULinear
from tfade.flows.splines import RationalQuadratic
from tfade.flows.stack import Stack
from tfade.flows.transformers import Affine
from tfade.networks.conditioner import MLPConditioner
from tfade.networks.made import MADE

# Shallow stacks have to bend much; the defaults of `Affine` are small because they keep deep stacks invertible.
# Compared on the pinwheel in gin/RESULTS.md, "Densities".
LOG_SCALE_BOUND = 3.0
GAIN = 1.0


def repeated(part: Callable[[], FlowLayer], layers: int) -> Stack:
    """`layers` times ActNorm, linear map and `part`."""
    check_layers("layers", layers)
    return Stack((ActNorm, LULinear, part), repeat=layers)


def affine(kind: type[FlowLayer], layers: int, log_scale_bound: float, conditioner) -> Stack:
    """`layers` times ActNorm, linear map and a layer of `kind` that transforms by `Affine`."""
    transformer = Affine(log_scale_bound, GAIN)
    return repeated(functools.partial(kind, transformer, conditioner=conditioner), layers)


@gin.register
class RealNVPDensity(FlowDistribution):
    """Affine couplings: density and samples take one pass each.

    Args:
        layers: number of couplings.
        log_scale_bound: see `Affine`.
        conditioner: class of a coupling's network, called as `conditioner(inputs, outputs)`.
        base: see `FlowDistribution`.

    Reference: Dinh et al. 2017; the linear maps, Kingma and Dhariwal 2018.
    """

    def __init__(
        self,
        layers: int = 10,
        log_scale_bound: float = LOG_SCALE_BOUND,
        conditioner=MLPConditioner,
        base=StandardNormal,
        **kwargs,
    ):
        super().__init__(affine(Coupling, layers, log_scale_bound, conditioner), base, **kwargs)


@gin.register
class SplineDensity(FlowDistribution):
    """Couplings by monotone splines: few layers fit many modes.

    Args:
        layers: number of couplings.
        bins, bound, min_bin, min_slope: see `RationalQuadratic`. Narrow modes need many bins.
        conditioner: class of a coupling's network, called as `conditioner(inputs, outputs)`.
        base: see `FlowDistribution`.

    Reference: Durkan et al. 2019.
    """

    def __init__(
        self,
        layers: int = 4,
        bins: int = 32,
        bound: float = 3.0,
        min_bin: float = 3e-3,
        min_slope: float = 1e-2,
        conditioner=MLPConditioner,
        base=StandardNormal,
        **kwargs,
    ):
        transformer = RationalQuadratic(bins, bound, min_bin, min_slope)
        super().__init__(
            repeated(functools.partial(Coupling, transformer, conditioner=conditioner), layers), base, **kwargs
        )


@gin.register
class MAFDensity(FlowDistribution):
    """Masked autoregressive flow: density in one pass, samples dimension by dimension.

    Args:
        layers: number of masked networks.
        log_scale_bound: see `Affine`.
        conditioner: class of the masked network, see `MAF`.
        base: see `FlowDistribution`.

    Reference: Papamakarios et al. 2017.
    """

    def __init__(
        self, layers: int = 8, log_scale_bound: float = LOG_SCALE_BOUND, conditioner=MADE, base=StandardNormal, **kwargs
    ):
        super().__init__(affine(MAF, layers, log_scale_bound, conditioner), base, **kwargs)


@gin.register
class IAFDensity(FlowDistribution):
    """Inverse autoregressive flow: a sample and its density in one pass, the density of given points dimension by
    dimension. Meant as a posterior: with a context, over a normal whose moments the context gives.

    Args:
        layers: number of masked networks.
        log_scale_bound: see `Affine`.
        conditioner: class of the masked network, see `IAF`.
        base: see `FlowDistribution`.

    Reference: Kingma et al. 2016.
    """

    def __init__(
        self, layers: int = 4, log_scale_bound: float = LOG_SCALE_BOUND, conditioner=MADE, base=DiagonalNormal, **kwargs
    ):
        super().__init__(affine(IAF, layers, log_scale_bound, conditioner), base, **kwargs)
