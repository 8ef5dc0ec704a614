"""Measures the training step: against a hand-written one, with data, guard and `fit`; flows; PyTorch.

Every figure is a ratio of two things timed in turn in this one run, so that a noisy machine slows both alike.
"""

import importlib

from launch import common
from launch.flags import Parser, whole

DEFAULT = str(common.ROOT / "gin" / "vgh_pp.gin")


def main(arguments: list[str]) -> int | None:
    parser = Parser("benchmark", __doc__.splitlines()[0])
    parser.add_gin_flags()
    parser.add_argument("--steps", type=whole(10), default=200, help="timed steps of each kind")
    parser.add_argument(
        "--part",
        choices=("step", "flows", "peers", "residual", "ade", "glf", "pixelcnn", "peak", "devices", "all"),
        default="step",
        help="the training step of a recipe, flows against nflows and zuko (pip install torch nflows zuko), "
        "convolutional models against PyTorch (pip install torch pythae), a residual block against its reference, "
        "AV-ADE or GLF against its parts, cached against naive sampling of a PixelCNN, steps against the machine's "
        "peak, steps by precision on all devices, or all",
    )
    parser.add_argument("--compile_peers", action="store_true", help="time the peers under torch.compile too (minutes)")
    parser.add_argument("--threads", type=whole(1), default=1, help="of step, flows, peers; with --part=all of all")
    flags = parser.parse_args(arguments)
    if flags.part not in ("step", "all") and (flags.gin_file or flags.gin_bindings):
        parser.error(
            f"--gin_file and --gin_bindings apply to --part=step only; --part={flags.part} has its own recipes"
        )
    from launch.benchmarks.devices import describe
    from tfade import kernels

    kernels.prefer_onednn()  # before a part imports TensorFlow
    print(f"{'figure':<60}{'measured':>10}{'limit':>8}")
    for name, value, limit in figures(flags):
        print(f"{name:<60}{value:>10.4g}{'' if limit is None else f'{limit:>8.4g}'}", flush=True)
    print("\n".join(describe()))


def figures(flags):
    """(name, value, limit or None) of every figure of the parts that are asked for."""
    against_peers, few = (flags.steps, flags.compile_peers, flags.threads), max(10, flags.steps // 5)
    parts = {  # part → its module and its settings; the first ones set the number of threads while that can be done
        "flows": ("flows", against_peers),
        "peers": ("torch_peers", against_peers),
        "residual": ("residual", (flags.steps,)),
        "ade": ("ade", (few,)),
        "glf": ("glf", (flags.steps,)),
        "pixelcnn": ("pixel_cnn", ()),
        "peak": ("peak", (few,)),
        "devices": ("devices", (few,)),
    }
    for part, (module, settings) in parts.items():
        if flags.part in (part, "all"):
            yield from importlib.import_module(f"launch.benchmarks.{module}").measure(*settings)
    if flags.part in ("step", "all"):
        from launch.benchmarks import step

        with common.workspace().configured(flags.gin_file or [DEFAULT], flags.gin_bindings):
            yield from step.measure(flags.steps, flags.threads)


if __name__ == "__main__":
    common.launch(main)
