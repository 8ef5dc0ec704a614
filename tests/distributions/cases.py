"""The distributions of the suite, each with what it can do."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np

from tests.flows.cases import perturb
from tfade.distributions.autoregressive_networks import AutoregressiveLSTM, AutoregressiveMADE
from tfade.distributions.flow import FlowDistribution
from tfade.distributions.gaussian import DiagonalNormal, FullNormal
from tfade.distributions.layer import DistributionLayer, StandardisedLayer
from tfade.distributions.mixture import GaussianMixture
from tfade.distributions.standard import StandardLogistic, StandardNormal
from tfade.flows.actnorm import ActNorm
from tfade.flows.autoregressive import IAF, MAF
from tfade.flows.coupling import Coupling
from tfade.flows.stack import Stack
from tfade.flows.transformers import Affine
from tfade.networks.conditioner import MLPConditioner
from tfade.networks.made import MADE

WIDE_ENOUGH = (0.2, 5.0)  # standard deviations of components that a grid of 301 points a side resolves
SMALL = functools.partial(MLPConditioner, width=8, depth=1)
MASKED = functools.partial(MADE, width=12)
LSTM = functools.partial(AutoregressiveLSTM, width=6, head=SMALL)
MASKED_DENSITY = functools.partial(AutoregressiveMADE, conditioner=MASKED)
MIXTURE = functools.partial(GaussianMixture, 3, conditioner=SMALL, scale_range=WIDE_ENOUGH)
COUPLING = functools.partial(Coupling, functools.partial(Affine, gain=0.5), conditioner=SMALL)


@dataclasses.dataclass(frozen=True)
class Case:
    """A distribution to be tested.

    Attributes:
        name: shown in the test's name.
        make: makes the layer, not yet built.
        uses_context: the context changes the density, and does not only give the batch shape.
        uses_data: `initialise` moves the density to data.
        tempered: temperature T is p^(1/T²) exactly.
    """

    name: str
    make: Callable[[], DistributionLayer]
    uses_context: bool = True
    uses_data: bool = True
    tempered: bool = False

    def __str__(self):
        return self.name

    def build(self, size: int = 3, context_size: int = 0, seed: int = 1) -> DistributionLayer:
        """The layer over vectors of `size` numbers, with random weights."""
        keras.utils.set_random_seed(seed)
        layer = self.make()
        layer.build((size,), context_size)
        perturb(layer, 0.7, seed)
        for part in layer._flatten_layers():
            if isinstance(part, StandardisedLayer):
                part.shift.assign(np.linspace(-0.5, 0.5, size))
                part.scale.assign(np.linspace(0.7, 1.4, size))
        return layer


CASES = (
    Case("standard_normal", StandardNormal, uses_context=False, uses_data=False, tempered=True),
    Case("standard_logistic", StandardLogistic, uses_context=False, uses_data=False),
    Case(
        "tempered_logistic", lambda: StandardLogistic(tempered=True), uses_context=False, uses_data=False, tempered=True
    ),
    Case("diagonal", functools.partial(DiagonalNormal, conditioner=SMALL), tempered=True),
    Case("full", functools.partial(FullNormal, conditioner=SMALL), tempered=True),
    Case("mixture_diagonal", functools.partial(MIXTURE, covariance="diagonal")),
    Case("mixture_full", functools.partial(MIXTURE, covariance="full")),
    Case("lstm", LSTM),
    Case("lstm_mixture", functools.partial(LSTM, components=3, scale_range=WIDE_ENOUGH)),
    Case("made", MASKED_DENSITY),
    Case(
        "made_mixture", functools.partial(MASKED_DENSITY, components=3, scale_range=WIDE_ENOUGH, order="random", seed=1)
    ),
    Case("real_nvp", lambda: FlowDistribution(Stack((ActNorm, COUPLING), repeat=2))),
    Case(
        "iaf",
        lambda: FlowDistribution(
            Stack((functools.partial(IAF, conditioner=MASKED), ActNorm)),
            functools.partial(DiagonalNormal, conditioner=SMALL),
        ),
    ),
    Case(
        "maf_logistic",
        lambda: FlowDistribution(Stack((ActNorm, functools.partial(MAF, conditioner=MASKED))), StandardLogistic),
    ),
)
