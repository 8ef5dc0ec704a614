"""What may depend on what: couplings keep one half, autoregressive flows look back only, to the bit."""

import functools

import keras
import numpy as np
import pytest

from tests.flows.cases import jacobian, perturb, precision
from tfade.flows.autoregressive import IAF, MAF
from tfade.flows.coupling import Coupling
from tfade.flows.image_coupling import ChannelCoupling, CheckerboardCoupling
from tfade.flows.splines import RationalQuadratic
from tfade.flows.transformers import Affine, GatedAffine, Shift
from tfade.networks.conditioner import MLPConditioner
from tfade.networks.glow import GlowConditioner
from tfade.networks.made import MADE
from tfade.networks.residual import ResidualConditioner

ROWS = 3
MLP = functools.partial(MLPConditioner, width=8, activation="tanh")
RESIDUAL = functools.partial(ResidualConditioner, width=4, blocks=1)
GLOW = functools.partial(GlowConditioner, width=4)
MASKED = functools.partial(MADE, width=12, activation="tanh")
BENDING = functools.partial(Affine, log_scale_bound=2.0, gain=1.0)
SPLINE = functools.partial(RationalQuadratic, bins=4, bound=6.0)


def halves(shape, mask: str) -> np.ndarray:
    """Whether each dimension is in the first half, which parity 0 keeps."""
    places = np.indices(shape)
    if mask == "checkerboard":
        return (places[0] + places[1]) % 2 == 0
    return places[-1] % 2 == 0 if mask == "alternate" else places[-1] < shape[-1] // 2


# name → (coupling of a parity, shape, the rule that makes a half of it)
COUPLINGS = {
    "half": (functools.partial(Coupling, BENDING, conditioner=MLP), (5,), "half"),
    "half_shift": (functools.partial(Coupling, Shift, conditioner=MLP), (2,), "half"),
    "alternate": (functools.partial(Coupling, SPLINE, "alternate", conditioner=MLP), (5,), "alternate"),
    "alternate_gated": (functools.partial(Coupling, GatedAffine, "alternate", conditioner=MLP), (4,), "alternate"),
    "checkerboard": (functools.partial(CheckerboardCoupling, BENDING, conditioner=RESIDUAL), (3, 4, 2), "checkerboard"),
    "checkerboard_learned": (
        functools.partial(CheckerboardCoupling, BENDING, True, conditioner=GLOW, show_mask=False),
        (3, 3, 1),
        "checkerboard",
    ),
    "channels": (functools.partial(ChannelCoupling, BENDING, conditioner=RESIDUAL), (2, 2, 5), "half"),
    "channels_spline": (functools.partial(ChannelCoupling, SPLINE, conditioner=GLOW), (2, 2, 2), "half"),
}


def built(layer, shape, context_size: int):
    keras.utils.set_random_seed(1)
    layer.build(shape, context_size)
    perturb(layer)
    return layer


def numbers(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS, *shape))


def derivatives(layer, direction: str, value, context) -> np.ndarray:
    """d result / d value, [ROWS, D, D]."""
    return jacobian(lambda v, c: getattr(layer.bijector(c), f"{direction}_and_log_det")(v)[0], value, context)


@pytest.mark.every(3)
@pytest.mark.parametrize("context_size", [0, 2])
@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize("name", COUPLINGS)
def test_a_coupling_keeps_one_half_and_transforms_the_other_number_by_number(name, parity, context_size):
    make, shape, mask = COUPLINGS[name]
    kept = (halves(shape, mask) == (parity == 0)).ravel()
    with precision("float64"):
        layer = built(make(parity=parity), shape, context_size)
        value, context = numbers(*shape), numbers(context_size, seed=1) if context_size else None
        for direction in ("inverse", "forward"):
            result = getattr(layer.bijector(context), direction)(value).numpy().reshape(ROWS, -1)
            before = value.reshape(ROWS, -1)
            np.testing.assert_array_equal(result[:, kept], before[:, kept])
            assert (result[:, ~kept] != before[:, ~kept]).all()
            matrices = derivatives(layer, direction, value, context)
            identity = np.eye(kept.size)
            np.testing.assert_array_equal(matrices[:, kept], np.tile(identity[kept], (ROWS, 1, 1)))
            own = matrices[:, ~kept][:, :, ~kept]
            np.testing.assert_array_equal(own != 0, np.tile(identity[~kept][:, ~kept] != 0, (ROWS, 1, 1)))
            assert (matrices[:, ~kept][:, :, kept] != 0).any((0, 2)).all()  # every transformed number sees the half


@pytest.mark.every(5)
@pytest.mark.parametrize("kind", [MAF, IAF])
@pytest.mark.parametrize("order", ["natural", "reversed", "random"])
@pytest.mark.parametrize("transformer", [BENDING, SPLINE, GatedAffine])
@pytest.mark.parametrize("context_size", [0, 2])
def test_an_autoregressive_jacobian_is_triangular_in_its_order(kind, order, transformer, context_size):
    """Exact zeros where a number would look ahead, and nothing but exact zeros there."""
    with precision("float64"):
        layer = built(kind(transformer, order, conditioner=MASKED), (5,), context_size)
        sequence = layer.conditioner.sequence
        value, context = numbers(5), numbers(context_size, seed=1) if context_size else None
        for direction in ("inverse", "forward"):
            matrices = derivatives(layer, direction, value, context)[:, sequence][:, :, sequence]
            np.testing.assert_array_equal((matrices != 0).any(0), np.tri(5) > 0)
            assert (np.diagonal(matrices, axis1=1, axis2=2) > 0).all()
