"""Masked and inverse autoregressive flows."""

import functools

import pytest

from tests.flows.cases import Case
from tests.flows.properties import CHECKS, name_of
from tfade.flows.autoregressive import IAF, MAF
from tfade.flows.splines import RationalQuadratic
from tfade.flows.stack import Stack
from tfade.flows.transformers import GatedAffine, Shift
from tfade.networks.made import MADE

SMALL = functools.partial(MADE, width=16)
DEEP = functools.partial(MADE, width=3, depth=3, activation="tanh")
CASES = (
    Case("maf", lambda: MAF(conditioner=SMALL), (5,), tolerance=1e-8),
    Case("maf_1", lambda: MAF(conditioner=SMALL), (1,), tolerance=1e-8),
    Case("maf_deep", lambda: MAF(Shift(1.0), order="reversed", conditioner=DEEP), (6,), tolerance=1e-8),
    Case("maf_spline", lambda: MAF(RationalQuadratic(5), order="random", conditioner=SMALL), (4,), tolerance=1e-7),
    Case("iaf", lambda: Stack([functools.partial(IAF, conditioner=SMALL)], repeat=2), (4,), tolerance=1e-8),
    Case("iaf_gated", lambda: IAF(GatedAffine, conditioner=SMALL), (3,), tolerance=1e-8, identity=False),
)


@pytest.mark.every(5, 3)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=name_of)
def test_property(check, case):
    check(case)
