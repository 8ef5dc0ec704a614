"""Couplings of vectors, one by one and in stacks."""

import functools

import pytest

from tests.flows.cases import Case
from tests.flows.properties import CHECKS, name_of
from tfade.flows.coupling import Coupling
from tfade.flows.splines import RationalQuadratic
from tfade.flows.stack import Stack
from tfade.flows.transformers import Affine, Shift
from tfade.networks.conditioner import MLPConditioner

SMALL = functools.partial(MLPConditioner, width=16)
CASES = (
    Case("affine", lambda: Coupling(conditioner=SMALL), (5,)),
    Case("affine_alternate", lambda: Coupling(Affine(gain=1.0), "alternate", parity=1, conditioner=SMALL), (6,)),
    Case("additive", lambda: Coupling(Shift, conditioner=SMALL), (4,)),
    Case("spline", lambda: Coupling(RationalQuadratic, conditioner=SMALL), (5,), tolerance=1e-7),
    Case(
        "spline_narrow",
        lambda: Coupling(RationalQuadratic(3, 1.0), conditioner=SMALL),
        (10,),
        tolerance=1e-7,
        data_scale=0.7,
    ),
    Case("stack", lambda: Stack([functools.partial(Coupling, conditioner=SMALL)], repeat=3), (2,)),
)


@pytest.mark.every(5, 4)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_property(check, case):
    check(case)
