"""The flows of nflows and zuko, by the architectures and budgets of our own in `launch.benchmarks.flows`."""

import importlib
import itertools
from collections.abc import Callable

BATCH = 256
RATE = 1e-3  # of Adam, theirs and ours


def normal_batch(dimensions: int):
    """A batch of standard normal vectors, float32."""
    import numpy as np

    return np.random.default_rng(0).normal(size=(BATCH, dimensions)).astype("float32")


def installed(name: str) -> bool:
    """Whether a peer can be imported; prints why if not."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"{name} is left out: {error}; pip install torch {name}")
        return False
    return True


def nflows_couplings(dimensions: int, width: int, layers: int):
    """Affine couplings with a bounded scale, halves in turn."""
    import torch
    from nflows import distributions, flows, transforms

    class Network(torch.nn.Sequential):
        def __init__(self, inputs, outputs):
            sizes = (inputs, width, width)
            hidden = [part for a, b in itertools.pairwise(sizes) for part in (torch.nn.Linear(a, b), torch.nn.ReLU())]
            super().__init__(*hidden, torch.nn.Linear(width, outputs))

        def forward(self, inputs, context=None):
            return super().forward(inputs)

    masks = [(torch.arange(dimensions) < dimensions // 2) == bool(layer % 2) for layer in range(layers)]
    parts = [transforms.AffineCouplingTransform(mask.float(), Network) for mask in masks]
    return flows.Flow(transforms.CompositeTransform(parts), distributions.StandardNormal([dimensions]))


def nflows_autoregressive(inverse: bool, dimensions: int, width: int, layers: int):
    from nflows import distributions, flows, transforms

    def part():  # its first layer and one block make two hidden layers
        made = transforms.MaskedAffineAutoregressiveTransform(
            dimensions, width, num_blocks=1, use_residual_blocks=False
        )
        return transforms.InverseTransform(made) if inverse else made

    flow = flows.Flow(
        transforms.CompositeTransform([part() for _ in range(layers)]), distributions.StandardNormal([dimensions])
    )
    return (lambda: flow.sample_and_log_prob(BATCH)), flow.log_prob


def zuko_couplings(dimensions: int, width: int, layers: int):
    import zuko

    return zuko.flows.RealNVP(dimensions, 0, transforms=layers, hidden_features=(width, width))


def zuko_autoregressive(inverse: bool, dimensions: int, width: int, layers: int):
    import zuko

    flow = zuko.flows.MAF(dimensions, 0, transforms=layers, hidden_features=(width, width))
    if inverse:
        flow.transform = flow.transform.inv
    return (lambda: flow().rsample_and_log_prob((BATCH,))), (lambda x: flow().log_prob(x))


PEER_FLOWS = {
    "nflows": (nflows_couplings, nflows_autoregressive),
    "zuko": (zuko_couplings, zuko_autoregressive),
}


def their_training_step(couplings, dimensions: int, width: int, layers: int, compiled: bool) -> Callable:
    import torch

    flow = couplings(dimensions, width, layers)
    optimizer = torch.optim.Adam(flow.parameters(), RATE)
    x = torch.tensor(normal_batch(dimensions))

    def loss_of(x):
        log_prob = flow.log_prob(x) if hasattr(flow, "log_prob") else flow().log_prob(x)
        return -log_prob.mean()

    objective = torch.compile(loss_of) if compiled else loss_of

    def step():
        loss = objective(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def their_density(autoregressive, inverse, dimensions: int, width: int, layers: int, compiled: bool) -> Callable:
    import torch

    sample, density = autoregressive(inverse, dimensions, width, layers)
    x = torch.tensor(normal_batch(dimensions))
    function = sample if inverse else (lambda: density(x))
    function = torch.compile(function) if compiled else function

    def call():
        with torch.no_grad():
            return function()

    return call
