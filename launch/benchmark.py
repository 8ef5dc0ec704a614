"""Measures the training step: against a hand-written one, with data, guard and `fit`; flows; residual blocks; ADE; GLF.

Every figure is a ratio of two things timed in turn in this one run, so that a noisy machine slows both alike.
"""

from launch import common
from launch.flags import Parser, whole

DEFAULT = str(common.ROOT / "gin" / "vgh_pp.gin")


def main(arguments: list[str]) -> int | None:
    parser = Parser("benchmark", __doc__.splitlines()[0])
    parser.add_gin_flags()
    parser.add_argument("--steps", type=whole(10), default=200, help="timed steps of each kind")
    parser.add_argument(
        "--part",
        choices=("step", "flows", "residual", "ade", "glf", "pixelcnn", "all"),
        default="step",
        help="the training step of a recipe, flows against nflows and zuko (pip install torch nflows zuko), "
        "a residual block against its reference, AV-ADE or GLF against its parts, cached against naive sampling of a "
        "PixelCNN, or all",
    )
    parser.add_argument("--compile_peers", action="store_true", help="time the peers under torch.compile too (minutes)")
    parser.add_argument("--threads", type=whole(1), default=1, help="of flows and peers; with --part=all of everything")
    flags = parser.parse_args(arguments)
    if flags.part in ("flows", "residual", "ade", "glf", "pixelcnn") and (flags.gin_file or flags.gin_bindings):
        parser.error(
            f"--gin_file and --gin_bindings apply to --part=step only; --part={flags.part} has its own recipes"
        )
    print(f"{'figure':<60}{'measured':>10}{'limit':>8}")
    for name, value, limit in figures(flags):
        print(f"{name:<60}{value:>10.4g}{'' if limit is None else f'{limit:>8.4g}'}", flush=True)


def figures(flags):
    """(name, value, limit or None) of every figure of the parts that are asked for."""
    if flags.part in ("flows", "all"):  # first, while the number of threads can still be set
        from launch.benchmarks import flows

        yield from flows.measure(flags.steps, flags.compile_peers, flags.threads)
    if flags.part in ("residual", "all"):
        from launch.benchmarks import residual

        yield from residual.measure(flags.steps)
    if flags.part in ("ade", "all"):
        from launch.benchmarks import ade

        yield from ade.measure(max(10, flags.steps // 5))
    if flags.part in ("glf", "all"):
        from launch.benchmarks import glf

        yield from glf.measure(flags.steps)
    if flags.part in ("pixelcnn", "all"):
        from launch.benchmarks import pixel_cnn

        yield from pixel_cnn.measure()
    if flags.part in ("step", "all"):
        from launch.benchmarks import step

        with common.workspace().configured(flags.gin_file or [DEFAULT], flags.gin_bindings):
            yield from step.measure(flags.steps)


if __name__ == "__main__":
    common.launch(main)
