"""Measures training steps of convolutional models against PyTorch's, with equal networks and losses, timed in turn.

PyTorch runs eagerly in channels-last memory, and under torch.compile as well if asked to. A figure is our time
over PyTorch's. Part of `python -m launch.benchmark`.
"""

import statistics
from collections.abc import Callable

from launch.benchmarks.ade import step_of
from launch.benchmarks.peers import installed
from launch.benchmarks.timing import BLOCK, Figures, block_seconds, set_threads

LIMIT = 0.8
BATCH = 64
COLOUR = (
    *("data = 'color_digits'", "load.image_size = 32", "GAN.divergence = @CrossEntropy"),
    *("GAN.generator = @DCGANGenerator", "GAN.discriminator = @DCGANDiscriminator"),
    "DCGANDiscriminator.normalization = None",
)
# name → recipe of gin, bindings, and the name of the step in `torch_steps`
SYSTEMS = {
    "VAE, 16×16": ("vae", (), "vae"),
    "GAN + R1, 32×32×3": ("gan", COLOUR, "gan"),
    "VGH++, 16×16×3": ("vgh_pp", (), "vgh_pp"),
    "WGAN-GP, 16×16": ("wgan_gp", (), "wgan_gp"),
    "pythae's VAE, 16×16": ("vae", (), "pythae_vae"),
}


def measure(steps: int, compile_peers: bool, threads: int) -> Figures:
    """(name, value, limit or None) of every figure.

    Args:
        steps: timed steps of each kind.
        compile_peers: time PyTorch under torch.compile, too.
        threads: of both libraries.
    """
    if not installed("torch"):
        return
    set_threads(threads, between=threads)
    for name, (recipe, bindings, theirs) in SYSTEMS.items():
        if theirs == "pythae_vae" and not installed("pythae"):
            continue
        ours, model = step_of(recipe, (f"batch_size = {BATCH}", *bindings))
        peers = {
            "compiled" if compiled else "eager": peer_step(model, theirs, compiled)
            for compiled in (False, True)[: 1 + compile_peers]
        }
        times = [[block_seconds(call) for call in (ours, *peers.values())] for _ in range(max(5, steps // BLOCK))]
        for place, how in enumerate(peers, 1):
            ratio = statistics.median(row[0] / row[place] for row in times)
            yield f"{name}, step / PyTorch's, {how}", ratio, LIMIT if how == "eager" else None
        yield f"{name}, milliseconds a step", 1e3 * statistics.median(row[0] for row in times), None


def peer_step(model, kind: str, compiled: bool = False) -> Callable[[], float]:
    """A call that takes one training step of a model's networks in PyTorch, on one batch of noise."""
    import torch

    from launch.benchmarks import torch_steps

    step = getattr(torch_steps, kind)(model, compiled)
    height, width, channels = model.image_shape
    images = torch.rand(BATCH, channels, height, width).to(memory_format=torch.channels_last)
    images = images if kind == "pythae_vae" else 2 * images - 1
    return lambda: step(images)
