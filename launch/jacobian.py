"""Compares how runs stretch space: singular values of their generators' Jacobians, as numbers and a plot."""

from pathlib import Path

from launch import common


def main(arguments: list[str]) -> int | None:
    parser = common.Parser("jacobian", __doc__)
    parser.add_argument("--run_dir", action="append", required=True, help="a trained run; give several to compare them")
    parser.add_argument("--out", required=True, help="folder for jacobian.png and jacobian.json")
    parser.add_argument("--num_codes", type=common.whole(1), default=64, help="codes drawn from the prior")
    parser.add_argument("--temperature", type=common.temperature, default=1.0, help="of the codes")
    parser.add_argument("--seed", type=common.whole(0), default=0, help="of the codes")
    common.add_checkpoint_flag(parser)
    flags = parser.parse_args(arguments)
    found = {}
    for run_dir in flags.run_dir:
        name = Path(run_dir).name if len({Path(run).name for run in flags.run_dir}) == len(flags.run_dir) else run_dir
        found[name] = measure(run_dir, flags)
    write(Path(flags.out), found, flags)
    print(table(found))
    print(f"plot and numbers: {flags.out}")


def measure(run_dir: str, flags):
    """The spectrum of one run."""
    from tfade.errors import UsageError
    from tfade.evaluation.latents.jacobian import spectrum
    from tfade.seeds import as_seed

    with common.open_run(run_dir, flags.checkpoint) as run:
        model = run.model
        try:
            codes = model.prior(flags.temperature).sample(flags.num_codes, seed=as_seed(flags.seed))
            model.decode(codes[:1])
        except (AttributeError, NotImplementedError) as error:
            raise UsageError(
                f"--run_dir={run_dir}: {type(model).__name__} has no prior and decoder ({error})"
            ) from error

        def progress(done):
            if done % 16 == 0 or done == flags.num_codes:
                print(f"  {run_dir}: Jacobians of {done} of {flags.num_codes} codes", flush=True)

        return spectrum(model.decode, codes, progress)


def table(found: dict) -> str:
    """The summaries, a line a run."""
    lines = [f"{'run':<28}{'log10 condition: median':>24}{'quartiles':>20}{'largest':>12}{'smallest':>12}"]
    for name, result in found.items():
        summary = result.summary()
        low, high = summary["log10_condition_quartiles"]
        lines.append(
            f"{name:<28}{_number(summary['log10_condition_median']):>24}{_number(low) + ' – ' + _number(high):>20}"
            f"{summary['largest_median']:>12.3g}{summary['smallest_median']:>12.3g}"
        )
    return "\n".join(lines)


def write(out: Path, found: dict, flags) -> None:
    """jacobian.json, and jacobian.png: the share of singular values below each value, pooled over the codes."""
    import numpy as np
    from matplotlib.figure import Figure

    from tfade import files

    protocol = {"num_codes": flags.num_codes, "temperature": flags.temperature, "seed": flags.seed}
    report = {name: {**result.summary(), "protocol": protocol} for name, result in found.items()}
    files.write_json(out / "jacobian.json", report)
    figure = Figure((10, 4), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    finite = {name: result.log10_condition[np.isfinite(result.log10_condition)] for name, result in found.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(finite.values())), 40)
    for name, result in found.items():
        pooled = np.sort(result.values[result.values > 0])
        left.plot(np.log10(pooled), np.linspace(0, 1, len(pooled)), label=name)
        right.hist(finite[name], edges, histtype="step", linewidth=1.5, label=name)
    left.set(xlabel="log₁₀ singular value", ylabel="share of values below", title="singular values of ∂x/∂z")
    right.set(xlabel="log₁₀ condition number", ylabel="codes", title="condition numbers")
    right.legend()
    files.write_atomically(out / "jacobian.png", lambda file: figure.savefig(file, format="png"))


def _number(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    common.launch(main)
