"""Measures GLF's training step against an autoencoder's and a flow's, timed in turn, and the fit of a mixture by EM.

Part of `python -m launch.benchmark`.
"""

import time

from launch.benchmarks.ade import step_of
from launch.benchmarks.timing import Figures, paired

LIMIT, EM_LIMIT = 1.03, 20.0
CODES, SIZE, COMPONENTS = 60_000, 20, 10


def measure(steps: int) -> Figures:
    """(name, value, limit or None) of every figure.

    Args:
        steps: timed steps of each kind.
    """
    whole, _ = step_of("glf")
    autoencoder, _ = step_of("glf_two_stage")
    flow, _ = flow_alone()

    def parts():
        autoencoder(), flow()

    ratio, seconds = paired(whole, parts, steps)
    yield "GLF's step / the autoencoder's and the flow's", ratio, LIMIT
    yield "GLF's step, milliseconds", 1e3 * seconds, None
    yield f"EM, {COMPONENTS} full Gaussians on {CODES:,} codes of {SIZE}, CPU seconds", mixture_seconds(), EM_LIMIT


def flow_alone() -> tuple:
    """A call that takes one step of the flow on a batch of codes that are given, and its model."""
    bindings = (
        "Recipe.model = @DensityModel",
        "DensityModel.distribution = @FlowDistribution",
        "data = 'toy:gaussian'",
        f"load.toy_dimensions = {SIZE}",
        "density/adam.weight_decay = 2e-5",
    )
    return step_of("glf", bindings)


def mixture_seconds() -> float:
    """CPU seconds that the fit of a mixture to codes of several clusters takes, with the default restarts."""
    import numpy as np

    from tfade.distributions.mixture import GaussianMixture

    generator = np.random.default_rng(0)
    centres, roots = 2 * generator.normal(size=(30, SIZE)), generator.normal(size=(30, SIZE, SIZE)) / SIZE**0.5
    chosen = generator.integers(30, size=CODES)
    noise = generator.normal(size=(CODES, SIZE))
    codes = centres[chosen] + np.einsum("nij,nj->ni", roots[chosen], noise)
    layer = GaussianMixture(COMPONENTS)
    layer.build((SIZE,))
    began = time.process_time()
    layer.fit_em(codes)
    return time.process_time() - began
